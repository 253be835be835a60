//! Reads logs from standard input and stores them in batches, as a collector would.
//!
//! `printf '<38>Oct 11 22:14:15 web1 sshd[42]: hello\n' | cargo run --example collect -- soc.duckdb`

use std::io::BufReader;

use logstore::{DuckDbStore, IngestOptions, LogReader, LogStore};

const BATCH: usize = 10_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "logstore.duckdb".to_owned());
    let store = DuckDbStore::open(&path)?;
    let mut reader = LogReader::new(BufReader::new(std::io::stdin()), &IngestOptions::new());
    loop {
        let logs = reader.by_ref().take(BATCH).collect::<Result<Vec<_>, _>>()?;
        if logs.is_empty() {
            return Ok(());
        }
        let appended = store.append_logs(&logs)?;
        println!("stored {} logs", appended.stored);
    }
}
