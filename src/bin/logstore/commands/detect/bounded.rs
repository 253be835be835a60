//! A command of the shell that ends within a time.

use std::io::Write as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Runs a command of the shell with a text on its standard input. Its output goes to standard error.
///
/// The error says why the command did not succeed. After `limit`, the command and its children are killed.
pub(super) fn run(command: &str, input: Vec<u8>, limit: Duration) -> Result<(), String> {
    let mut child = shell(command)
        .stdin(Stdio::piped())
        .stdout(std::io::stderr())
        .spawn()
        .map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command need not read its input.
        thread::spawn(move || stdin.write_all(&input).ok());
    }
    match wait(&mut child, limit) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(format!("{command:?} failed: {status}")),
        Ok(None) => Err(format!(
            "{command:?} was killed: it did not end within {}",
            humantime::format_duration(limit)
        )),
        Err(error) => Err(format!("cannot wait for {command:?}: {error}")),
    }
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut shell = Command::new("sh");
    // A group of its own can be killed as a whole.
    shell.args(["-c", command]).process_group(0);
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.args(["/C", command]);
    shell
}

/// Waits for the end of a command; `None` if it was killed for taking too long.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    const POLL: Duration = Duration::from_millis(10);
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() >= limit {
            kill(child)?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

#[cfg(unix)]
fn kill(child: &mut Child) -> std::io::Result<()> {
    use rustix::process::{Pid, Signal, kill_process_group};
    match i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        Some(group) => Ok(kill_process_group(group, Signal::KILL)?),
        None => child.kill(),
    }
}

#[cfg(not(unix))]
fn kill(child: &mut Child) -> std::io::Result<()> {
    child.kill()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_command_gets_its_input_and_says_how_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("input");
        let large = vec![b'x'; 1 << 20];
        run(&format!("cat > {}", file.display()), large.clone(), LONG).unwrap();
        assert_eq!(std::fs::read(file).unwrap(), large);
        run("true", large.clone(), LONG).unwrap();
        let error = run("exit 3", large, LONG).unwrap_err();
        assert!(error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("child");
        let command = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let error = run(&command, Vec::new(), Duration::from_millis(500)).unwrap_err();
        assert!(error.contains("was killed"), "{error}");
        let child: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        let child = rustix::process::Pid::from_raw(child).unwrap();
        while rustix::process::test_kill_process(child).is_ok() && !is_zombie(child) {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns whether a process has ended, and no parent has asked for it: containers may have none that does.
    fn is_zombie(child: rustix::process::Pid) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero()));
        stat.is_ok_and(|stat| stat.contains(") Z "))
    }
}
