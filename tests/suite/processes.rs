//! Processes of their own for what only those can show: this test binary, started again for one of its
//! ignored tests, which reads from its environment what to do.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
#[cfg(target_os = "linux")]
use std::time::Duration;

/// A process, and the lines that it says.
pub(crate) struct Process {
    child: Child,
    said: Receiver<String>,
}

impl Process {
    /// Runs one of the functions that say they are run in a process of their own.
    pub(crate) fn start<V: AsRef<OsStr>>(function: &str, store: &Path, variables: &[(&str, V)]) -> Self {
        Self::start_by(
            Command::new(std::env::current_exe().unwrap()),
            function,
            store,
            variables,
        )
    }

    /// The same by a command that starts a program, whose first argument is to be this one.
    pub(crate) fn start_with<V: AsRef<OsStr>>(
        mut starter: Command,
        function: &str,
        store: &Path,
        variables: &[(&str, V)],
    ) -> Self {
        starter.arg(std::env::current_exe().unwrap());
        Self::start_by(starter, function, store, variables)
    }

    fn start_by<V: AsRef<OsStr>>(
        mut command: Command,
        function: &str,
        store: &Path,
        variables: &[(&str, V)],
    ) -> Self {
        command
            .args([function, "--exact", "--ignored", "--nocapture"])
            .env("LOGSTORE_TEST_STORE", store);
        for (name, value) in variables {
            command.env(name, value);
        }
        Self::of(command)
    }

    /// Runs the program.
    pub(crate) fn program(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("logstore"));
        command.args(arguments).current_dir(folder);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, said) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, said }
    }

    /// Waits until it says a number after a word; `None` if it ends before.
    pub(crate) fn wait_for(&self, word: &str) -> Option<u64> {
        self.said.iter().find_map(|line| number_after(&line, word))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        send_signal(&self.child, name);
    }

    /// Stops all of its threads. They may go on for a while after the signal was sent.
    #[cfg(target_os = "linux")]
    pub(crate) fn stop(&self) {
        self.signal("STOP");
        let is_stopped = || {
            let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
            threads.into_iter().all(|thread| {
                let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
                status.contains("State:\tT")
            })
        };
        while !is_stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until it says a number after a word, which it must do.
    pub(crate) fn expect(&mut self, word: &str) -> u64 {
        self.wait_for(word).unwrap_or_else(|| {
            self.child.kill().ok();
            let mut errors = String::new();
            let stderr = self.child.stderr.take();
            stderr.map(|mut stderr| stderr.read_to_string(&mut errors));
            panic!("it never said {word}: {errors}")
        })
    }

    /// Leaves out of account what it has said so far.
    pub(crate) fn skip_said(&self) {
        self.said.try_iter().for_each(drop);
    }

    /// Kills it so that it can do nothing more, and gives the numbers that it said after a word.
    pub(crate) fn kill(mut self, word: &str) -> Vec<u64> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.said
            .iter()
            .filter_map(|line| number_after(&line, word))
            .collect()
    }

    /// Waits for its end, which must be a good one.
    pub(crate) fn finish(self) -> Vec<String> {
        let output = self.child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let said: Vec<String> = self.said.iter().collect();
        assert!(output.status.success(), "{:?} {said:?} {errors}", output.status);
        said
    }
}

/// Asks a program to stop, which it must do as if its work were done.
pub(crate) fn terminate(child: &mut Child) {
    send_signal(child, "TERM");
    assert!(child.wait().unwrap().success());
}

fn send_signal(child: &Child, name: &str) {
    let (signal, pid) = (format!("-{name}"), child.id().to_string());
    let sent = Command::new("kill").args([&signal, &pid]).status().unwrap();
    assert!(sent.success());
}

/// The number behind `word=` in a line.
pub(crate) fn number_after(line: &str, word: &str) -> Option<u64> {
    let rest = line.split_once(&format!("{word}="))?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The store that a process of its own is to work on.
pub(crate) fn given_store() -> PathBuf {
    std::env::var_os("LOGSTORE_TEST_STORE").unwrap().into()
}

/// A number that a process of its own was given.
pub(crate) fn given(name: &str) -> i64 {
    std::env::var(name).unwrap().parse().unwrap()
}
