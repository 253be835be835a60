//! Pipes that may be silent: a reader that waits for one can be told to stop.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
#[cfg(unix)]
use std::time::{Duration, Instant};

#[cfg(unix)]
use rustix::event::Timespec;

use crate::stop::StopHandle;

/// Reads a pipe, which ends when its writers close it, or when it is told to stop.
pub(crate) struct Interruptible<R> {
    input: R,
    stop: Option<StopHandle>,
    /// Limits the bytes that are read after it was told to stop: those that were on their way.
    left: usize,
}

/// Says how large the buffer of a pipe is at most, unless a privileged process has enlarged it.
const LARGEST_PIPE: usize = 1 << 20;

impl<R> Interruptible<R> {
    pub(crate) fn new(input: R, stop: Option<StopHandle>) -> Self {
        Self {
            input,
            stop,
            left: LARGEST_PIPE,
        }
    }
}

/// Opens standard input.
#[cfg(unix)]
pub(crate) fn stdin() -> io::Result<File> {
    use std::os::fd::AsFd as _;
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// Opens standard input.
#[cfg(not(unix))]
pub(crate) fn stdin() -> io::Result<io::Stdin> {
    Ok(io::stdin())
}

/// Opens a pipe or a device without waiting for the other end of a named pipe. A reader waits for that.
#[cfg(target_os = "linux")]
pub(crate) fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    File::options().read(true).custom_flags(flags).open(path)
}

/// Opens a pipe or a device.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Sets the time between two checks whether it is told to stop.
#[cfg(unix)]
const WHILE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
#[cfg(unix)]
const NOT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

#[cfg(unix)]
impl<R: Read + std::os::fd::AsFd> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let is_stopped = self.stop.as_ref().is_some_and(StopHandle::is_stopped);
            let has_input = has_input(&self.input, if is_stopped { &NOT } else { &WHILE })?;
            if is_stopped && (!has_input || self.left == 0) {
                return Ok(0);
            }
            if !has_input {
                continue;
            }
            let most = if is_stopped { self.left } else { buffer.len() };
            let length = buffer.len().min(most);
            match self.input.read(buffer.get_mut(..length).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(read) if is_stopped => {
                    self.left -= read.min(self.left);
                    return Ok(read);
                }
                Ok(read @ 1..) => return Ok(read + self.gather(buffer.get_mut(read..).unwrap_or_default())),
                read => return read,
            }
        }
    }
}

#[cfg(unix)]
impl<R: Read + std::os::fd::AsFd> Interruptible<R> {
    /// Reads what follows closely. A pipe holds little at a time, and few lines take almost as long to store as many.
    fn gather(&mut self, buffer: &mut [u8]) -> usize {
        /// Says when what comes next no longer follows closely.
        const QUIET: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 5_000_000,
        };
        /// Limits how long the first bytes wait for the last.
        const LONGEST: Duration = Duration::from_millis(50);
        let started = Instant::now();
        let mut gathered = 0;
        while let Some(rest @ [_, ..]) = buffer.get_mut(gathered..)
            && started.elapsed() < LONGEST
            && has_input(&self.input, &QUIET).is_ok_and(|has_input| has_input)
        {
            // The next call comes to the end, or to the error, again.
            let Ok(read @ 1..) = self.input.read(rest) else {
                break;
            };
            gathered += read;
        }
        gathered
    }
}

/// Waits for input for a while. The end of the input counts as input.
#[cfg(unix)]
fn has_input(input: &impl std::os::fd::AsFd, wait: &Timespec) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut inputs = [PollFd::new(input, PollFlags::IN)];
    match poll(&mut inputs, Some(wait)) {
        Err(rustix::io::Errno::INTR) => Ok(false),
        ready => Ok(ready? > 0),
    }
}

#[cfg(not(unix))]
impl<R: Read> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.stop {
            Some(stop) if stop.is_stopped() => Ok(0),
            _ => self.input.read(buffer),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::fd::{AsFd, BorrowedFd};

    use super::*;

    /// Gives a few bytes at a time, as a pipe does whose writer is at work.
    struct InPieces(File);

    impl Read for InPieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(7);
            self.0.read(&mut buffer[..length])
        }
    }

    impl AsFd for InPieces {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    #[test]
    fn what_follows_closely_is_read_together() {
        let text: Vec<u8> = (0..250).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &text).unwrap();
        let mut input = Interruptible::new(InPieces(file.reopen().unwrap()), None);
        let (mut all, mut buffer) = (Vec::new(), [0; 100]);
        let mut reads = 0;
        loop {
            let read = input.read(&mut buffer).unwrap();
            all.extend_from_slice(&buffer[..read]);
            if read == 0 {
                break;
            }
            reads += 1;
        }
        assert_eq!(all, text);
        // On a busy machine, not each is full.
        assert!(reads < text.len() / 7, "{reads}");
        assert_eq!(input.read(&mut buffer).unwrap(), 0);
    }
}
