//! Stores what files hold, and what is written to them, until Enter is pressed, as a collector would.
//!
//! `cargo run --example collect -- soc.duckdb /var/log/auth.log`

use std::thread;

use logstore::ingest::IngestOptions;
use logstore::load::LoadOptions;
use logstore::{DuckDbStore, Loader};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "logstore.duckdb".to_owned());
    let files: Vec<String> = arguments.collect();
    let store = DuckDbStore::open(path)?;
    let options = LoadOptions::new().with_ingest(IngestOptions::new().with_source_type("collector"));
    // What is there already. Run again, it stores only what is new.
    let loaded = Loader::new(&store).options(options.clone()).run(&files)?;
    println!("{} logs stored; press Enter to stop", loaded.stored);
    let loader = Loader::new(&store).options(options);
    let stop = loader.stop_handle();
    thread::spawn(move || {
        // At the end of the input nobody can press Enter any more.
        std::io::stdin().read_line(&mut String::new()).ok();
        stop.stop();
    });
    let followed = loader.follow(&files)?;
    println!("{} logs followed", followed.stored);
    for error in &followed.failed {
        println!("{error}");
    }
    Ok(())
}
