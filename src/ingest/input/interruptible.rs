//! Pipes that may be silent: a reader that waits for one can be told to stop.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

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

#[cfg(unix)]
impl<R: Read + std::os::fd::AsFd> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let is_stopped = self.stop.as_ref().is_some_and(StopHandle::is_stopped);
            let has_input = has_input(&self.input, is_stopped)?;
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
                read => return read,
            }
        }
    }
}

/// Waits for input for a while, or not at all. The end of the input counts as input.
#[cfg(unix)]
fn has_input(input: &impl std::os::fd::AsFd, is_stopped: bool) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    /// Sets the time between two checks whether it is told to stop.
    const WHILE: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    const NOT: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut inputs = [PollFd::new(input, PollFlags::IN)];
    match poll(&mut inputs, Some(if is_stopped { &NOT } else { &WHILE })) {
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
