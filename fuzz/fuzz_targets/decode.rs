//! Any bytes as a record of the kernel side.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/src/fuzzed/checks.rs"]
mod checks;

fuzz_target!(|bytes: &[u8]| {
    if let Err(fault) = checks::decode(bytes) {
        panic!("{fault}");
    }
});
