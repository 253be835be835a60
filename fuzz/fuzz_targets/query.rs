#![no_main]

#[allow(dead_code)]
#[path = "../../tests/suite/invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|input: &str| invariants::query(input));
