#![no_main]

#[allow(dead_code)]
#[path = "../../tests/suite/invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|input: &[u8]| invariants::formats(input));
