//! A line for each question: our time, the yardstick's, and their ratio.

use std::time::{Duration, Instant};

use crate::Scale;

pub(crate) struct Report {
    runs: usize,
    lines: usize,
}

impl Report {
    pub(crate) fn new(scale: &Scale) -> Self {
        println!(
            "{} rows, {} in the large store, medians of {} runs\n",
            scale.rows, scale.large, scale.runs
        );
        println!("| work | yardstick | logstore | yardstick | ratio | mark |\n|---|---|---|---|---|---|");
        Self {
            runs: scale.runs,
            lines: 0,
        }
    }

    /// How many questions were answered.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Runs both in turn. What they return must be equal.
    pub(crate) fn compare<T: PartialEq + std::fmt::Debug>(
        &mut self,
        work: &str,
        yardstick: &str,
        mark: f64,
        mut ours: impl FnMut() -> (Duration, T),
        mut theirs: impl FnMut() -> (Duration, T),
    ) {
        let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            let (our_time, ours) = ours();
            let (their_time, theirs) = theirs();
            assert_eq!(ours, theirs, "{work}: both must do the same");
            our_times.push(our_time);
            their_times.push(their_time);
        }
        let (ours, theirs) = (median(our_times), median(their_times));
        self.line(
            work,
            yardstick,
            mark,
            &format!("{ours:.2?}"),
            &format!("{theirs:.2?}"),
            ratio(ours, theirs),
        );
    }

    /// A question that has no mark.
    pub(crate) fn unmarked(&mut self, work: &str, yardstick: &str, ours: &str, theirs: &str, ratio: f64) {
        self.lines += 1;
        println!("| {work} | {yardstick} | {ours} | {theirs} | {ratio:.2} | |");
    }

    pub(crate) fn line(
        &mut self,
        work: &str,
        yardstick: &str,
        mark: f64,
        ours: &str,
        theirs: &str,
        ratio: f64,
    ) {
        self.lines += 1;
        println!("| {work} | {yardstick} | {ours} | {theirs} | {ratio:.2} | {mark} |");
    }
}

pub(crate) fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let value = work();
    (started.elapsed(), value)
}

/// The time of one of many equal pieces of work.
pub(crate) fn timed_each<T>(times: u32, mut work: impl FnMut() -> T) -> (Duration, T) {
    let started = Instant::now();
    let mut value = work();
    for _ in 1..times {
        value = work();
    }
    (started.elapsed() / times, value)
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
