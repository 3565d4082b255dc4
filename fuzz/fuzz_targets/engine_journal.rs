//! Any lines as a journal. Lines of JSON are changed as such: a byte here and there only makes lines that nobody can read.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

#[path = "../../tests/src/fuzzed/checks.rs"]
mod checks;
mod lines;

fuzz_target!(|bytes: &[u8]| {
    if let Err(fault) = checks::engine_journal(bytes) {
        panic!("{fault}");
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Some bytes are changed all the same, for what a change by lines never makes.
    if seed % 16 == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let before = data.get(..size).unwrap_or_default();
    let mut after = lines::change(before, seed);
    after.truncate(max_size.min(data.len()));
    data[..after.len()].copy_from_slice(&after);
    after.len()
});
