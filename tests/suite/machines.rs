//! A lake on several machines: network namespaces with addresses of their own, the catalog in one and nodes in others.
//! One node is cut off while it commits, and comes back.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use logstore::{DuckDbStore, Error, LogStore as _};

use crate::processes::{Process, given, given_store};
use crate::scale_out::{assert_alerts, batch, batches, consume, size};
use crate::support::patiently;
use crate::test_lake::{self, EXTENSIONS, options};

/// Where PostgreSQL's programs are.
const PROGRAMS: &str = "LOGSTORE_TEST_POSTGRES_PROGRAMS";

const NODES: i64 = 3;

fn open() -> DuckDbStore {
    let options = options().lock_timeout(Duration::from_secs(60)).threads(1);
    options.open(given_store()).unwrap()
}

#[test]
#[ignore = "run in a process of its own"]
fn writer() {
    let (store, writer) = (open(), given("LOGSTORE_TEST_WRITER"));
    for number in 0.. {
        let logs = batch(writer, number);
        patiently(|| store.append_logs(&logs));
        println!("\nstored={number}");
    }
}

#[test]
#[ignore = "run in a process of its own"]
fn consumer() {
    let store = open();
    loop {
        let read = patiently(|| match consume(&store, "detector") {
            Err(Error::Conflict { .. }) => Ok(0),
            outcome => outcome,
        });
        if read == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        println!("\nread={read}");
    }
}

/// Networks of their own, with a switch between them; gone when it is dropped.
struct Machines {
    /// What all names begin with.
    prefix: String,
    folder: tempfile::TempDir,
    programs: PathBuf,
}

fn run(program: impl AsRef<Path>, arguments: &[&str]) -> Result<(), String> {
    let output: Output = Command::new(program.as_ref())
        .args(arguments)
        .current_dir("/")
        .output()
        .map_err(|error| format!("{}: {error}", program.as_ref().display()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

impl Machines {
    /// A switch and machines with addresses from 10.77.0.1 on, the first of which has the catalog.
    fn start(programs: PathBuf) -> Result<Self, String> {
        let machines = Self {
            prefix: format!("ls{}", std::process::id()),
            folder: tempfile::tempdir().map_err(|error| error.to_string())?,
            programs,
        };
        let switch = machines.switch();
        run("ip", &["netns", "add", &switch])?;
        run("ip", &["-n", &switch, "link", "add", "br0", "type", "bridge"])?;
        run("ip", &["-n", &switch, "link", "set", "br0", "up"])?;
        for number in 0..=NODES {
            machines.plug_in(number)?;
        }
        Ok(machines)
    }

    fn switch(&self) -> String {
        format!("{}s", self.prefix)
    }

    fn machine(&self, number: i64) -> String {
        format!("{}m{number}", self.prefix)
    }

    fn plug_in(&self, number: i64) -> Result<(), String> {
        let (switch, machine, port) = (self.switch(), self.machine(number), format!("port{number}"));
        let address = format!("10.77.0.{}/24", number + 1);
        run("ip", &["netns", "add", &machine])?;
        let link = [
            "-n", &switch, "link", "add", &port, "type", "veth", "peer", "eth0", "netns", &machine,
        ];
        run("ip", &link)?;
        run(
            "ip",
            &["-n", &switch, "link", "set", &port, "master", "br0", "up"],
        )?;
        run("ip", &["-n", &machine, "address", "add", &address, "dev", "eth0"])?;
        run("ip", &["-n", &machine, "link", "set", "eth0", "up"])?;
        run("ip", &["-n", &machine, "link", "set", "lo", "up"])
    }

    /// Cuts a machine off, or lets it back: what it sends gets lost meanwhile, and nobody tells it so.
    fn set_link(&self, number: i64, state: &str) {
        let port = format!("port{number}");
        run("ip", &["-n", &self.switch(), "link", "set", &port, state]).unwrap();
    }

    /// A command on a machine.
    fn on(&self, number: i64) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.machine(number)]);
        command
    }

    /// Starts a database server on the first machine, and says where a lake is in it.
    fn start_catalog(&self) -> Result<String, String> {
        let folder = self.folder.path().display();
        let (data, password) = (format!("{folder}/catalog"), format!("{folder}/password"));
        let io = |error: std::io::Error| error.to_string();
        std::fs::write(&password, "secret").map_err(io)?;
        std::fs::create_dir(&data).map_err(io)?;
        run("chmod", &["755", &folder.to_string()])?;
        run("chown", &["postgres", &data, &password])?;
        self.on_catalog(
            "initdb",
            &[
                "-D",
                &data,
                "-U",
                "lake",
                "-A",
                "scram-sha-256",
                "--pwfile",
                &password,
                "-N",
            ],
        )?;
        let rule = "host all all 10.77.0.0/24 scram-sha-256\n";
        std::fs::write(format!("{data}/pg_hba.conf"), rule).map_err(io)?;
        let options = "-c listen_addresses=10.77.0.1 -c unix_socket_directories= -c fsync=off";
        self.on_catalog(
            "pg_ctl",
            &[
                "-D",
                &data,
                "-l",
                &format!("{data}/log"),
                "-w",
                "-t",
                "60",
                "-o",
                options,
                "start",
            ],
        )?;
        Ok(format!(
            "ducklake:postgres:host=10.77.0.1 user=lake password=secret dbname=postgres?data_path={folder}/data"
        ))
    }

    fn on_catalog(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let (machine, program) = (self.machine(0), self.programs.join(program));
        let mut all = vec!["netns", "exec", &machine, "runuser", "-u", "postgres", "--"];
        let program = program.display().to_string();
        all.push(&program);
        all.extend(arguments);
        run("ip", &all)
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        let data = format!("{}/catalog", self.folder.path().display());
        let mut outcomes = vec![self.on_catalog("pg_ctl", &["-D", &data, "-m", "immediate", "stop"])];
        let machines = (0..=NODES).map(|number| self.machine(number));
        outcomes.extend(
            machines
                .chain([self.switch()])
                .map(|name| run("ip", &["netns", "delete", &name])),
        );
        for problem in outcomes.into_iter().filter_map(Result::err) {
            eprintln!("cleaning up: {problem}");
        }
    }
}

/// Looks at the lake from the first machine: says how much each batch has, and lets the consumer read the rest.
#[test]
#[ignore = "run in a process of its own"]
fn auditor() {
    let store = open();
    while consume(&store, "detector").unwrap() > 0 {}
    let stored = batches(&store);
    for ((writer, number), count) in &stored {
        assert_eq!(*count, size(*number), "batch {number} of writer {writer}");
    }
    for writer in 0..NODES {
        let numbers = stored
            .keys()
            .filter(|(of, _)| *of == writer)
            .map(|(_, number)| *number);
        // One after another, none left out.
        let numbers: Vec<i64> = numbers.collect();
        assert_eq!(
            numbers,
            (0..i64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>()
        );
        println!("\nof{writer}={}", numbers.len());
    }
    assert_alerts(&store, &["detector"], stored.values().sum());
}

#[test]
fn a_machine_that_is_cut_off_loses_nothing_and_doubles_nothing() {
    const NONE: &[(&str, &str)] = &[];
    let (Some(_), Some(programs)) = (test_lake::given(EXTENSIONS), test_lake::given(PROGRAMS)) else {
        return;
    };
    let started = Machines::start(programs.into()).and_then(|machines| {
        let location = machines.start_catalog()?;
        Ok((machines, PathBuf::from(location)))
    });
    let (machines, location) = match started {
        Ok(started) => started,
        Err(problem) => {
            eprintln!("skipped: networks of their own cannot be made: {problem}");
            return;
        }
    };
    let mut writers: Vec<Process> = (0..NODES)
        .map(|node| {
            let variables = [("LOGSTORE_TEST_WRITER", node.to_string())];
            Process::start_with(machines.on(node + 1), "machines::writer", &location, &variables)
        })
        .collect();
    let consumers =
        [1, 2].map(|node| Process::start_with(machines.on(node), "machines::consumer", &location, NONE));
    for writer in &mut writers {
        writer.expect("stored");
    }
    // The first node is cut off again and again, whatever it is at, for longer than anybody waits for it.
    for seconds in [1, 40, 3, 20] {
        std::thread::sleep(Duration::from_millis(fastrand::u64(2_000..4_000)));
        machines.set_link(1, "down");
        let cut = Instant::now();
        std::thread::sleep(Duration::from_secs(seconds));
        if seconds > 30 {
            // What it held is given up, and the others go on.
            writers[1].skip_said();
            writers[1].expect("stored");
        }
        machines.set_link(1, "up");
        eprintln!("cut off for {:.1?}", cut.elapsed());
    }
    writers[0].skip_said();
    writers[0].expect("stored");
    let said: Vec<Vec<u64>> = writers.into_iter().map(|writer| writer.kill("stored")).collect();
    for consumer in consumers {
        consumer.kill("read");
    }
    let auditor = Process::start_with(machines.on(0), "machines::auditor", &location, NONE);
    let found = auditor.finish();
    for (node, said) in said.iter().enumerate() {
        let word = format!("of{node}");
        let count = found
            .iter()
            .find_map(|line| crate::processes::number_after(line, &word))
            .unwrap();
        let last = said.last().copied().unwrap_or_default();
        assert!(
            count > last,
            "node {node} stored batch {last}, and there are {count}"
        );
        eprintln!("node {node}: {count} commits");
    }
}
