//! x
use super::*;
#[derive(Debug)]
pub struct Fetcher;
#[derive(Debug)]
pub struct Batch;
#[derive(Debug)]
pub struct Start;
#[derive(Debug)]
pub struct StopHandle;
