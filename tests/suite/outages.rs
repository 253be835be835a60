//! Outages of a lake's storage or catalog, which must not be taken for damage.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use logstore::duckdb::{MaintenanceOptions, S3Options};
use logstore::{DuckDbStore, Error, LogEntry, LogQuery, LogStore as _, OpenOptions};

use crate::cut_connections::Wire;
use crate::support::{Cli, log};
use crate::test_lake::{EXTENSIONS, TestLake, given, options, s3_options};

/// Makes two files of one day, which maintenance merges. Returns the place of the first one.
fn make_files(store: &DuckDbStore) -> String {
    for id in ["a", "b"] {
        // Too many to be kept in the catalog.
        let logs = (0..300).map(|n| log(n, "sshd", "Failed password").with_id(format!("{id}/{n}")));
        store.append_logs(&logs.collect::<Vec<LogEntry>>()).unwrap();
    }
    let mut files = store.check_data_files().unwrap();
    files.next().unwrap().unwrap().file
}

/// The outcomes of everything that looks at data files, by its name.
fn looks(store: &DuckDbStore, file: &str) -> [(&'static str, Option<Error>); 5] {
    let plan = MaintenanceOptions::default();
    let maintained = || -> Result<(), Error> { store.maintain(&plan)?.try_for_each(|step| step.map(drop)) };
    [
        ("check", store.check().err()),
        ("check --data", store.check_data(|_| ()).err()),
        ("lost_file", store.lost_file(file).err()),
        ("drop_lost_file", store.drop_lost_file(file).err()),
        ("maintain", maintained().err()),
    ]
}

/// A port at which nothing listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The port of a server that has too much to do.
fn busy_port() -> u16 {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(&client).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            // The client may have gone.
            client.write_all(ANSWER).ok();
        }
    });
    port
}

/// The port of a server that ends every connection without an answer.
fn mute_port(server: &str) -> u16 {
    let wire = Wire::to(server.to_owned());
    wire.cut();
    wire.port
}

fn at_port(port: u16) -> S3Options {
    S3Options {
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        ..s3_options().unwrap()
    }
}

fn assert_sound(lake: &TestLake, options: &OpenOptions) {
    let store = options.open(&lake.location).unwrap();
    assert_eq!(store.check_data(|_| ()).unwrap().problems, [""; 0]);
    assert_eq!(store.count_logs(&LogQuery::new()).unwrap(), 600);
}

#[test]
fn an_outage_of_s3_is_no_damage() {
    let Some((lake, reachable)) = TestLake::in_s3() else {
        return;
    };
    let file = make_files(&reachable.open(&lake.location).unwrap());
    let endpoint = s3_options().unwrap().endpoint.unwrap();
    let server = endpoint.strip_prefix("http://").unwrap();
    for (kind, port) in [
        ("closed", closed_port()),
        ("mute", mute_port(server)),
        ("busy", busy_port()),
    ] {
        let store = options().s3(at_port(port)).open(&lake.location).unwrap();
        for (look, error) in looks(&store, &file) {
            assert!(
                matches!(error, Some(Error::DataUnreachable { .. })),
                "{kind}, {look}: {error:?}"
            );
        }
    }
    assert_sound(&lake, &reachable);
}

#[test]
fn commands_say_that_s3_does_not_answer() {
    let (Some((lake, reachable)), Some(folder)) = (TestLake::in_s3(), given(EXTENSIONS)) else {
        return;
    };
    make_files(&reachable.open(&lake.location).unwrap());
    let cli = Cli::new();
    cli.write(
        "logstore.toml",
        format!(
            "[store]\nextension_directory = \"{folder}\"\ns3.endpoint = \"http://127.0.0.1:{}\"\n",
            closed_port()
        ),
    );
    for arguments in [
        &["-d", &lake.location, "check"][..],
        &["-d", &lake.location, "check", "--data"],
        &["-d", &lake.location, "maintain"],
        &["copy", &lake.location, "copy.duckdb"],
    ] {
        let (code, error) = cli.failure(arguments);
        assert_eq!(code, 3, "{arguments:?}: {error}");
        assert!(
            error.contains("the storage of the data does not answer"),
            "{arguments:?}: {error}"
        );
        assert!(!error.contains("restore"), "{arguments:?}: {error}");
    }
}

#[test]
fn an_outage_of_the_catalog_is_no_damage() {
    let Some(lake) = TestLake::in_postgres() else {
        return;
    };
    let file = make_files(&lake.open());
    let (wire, location) = Wire::to_catalog_of(&lake);
    let store = options()
        .lock_timeout(Duration::from_millis(100))
        .open(location)
        .unwrap();
    wire.cut();
    for (look, error) in looks(&store, &file) {
        assert!(
            matches!(error, Some(Error::Disconnected { .. })),
            "{look}: {error:?}"
        );
    }
    assert_sound(&lake, &options());
}
