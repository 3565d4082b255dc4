//! The binary `gracewatch`.
#![forbid(unsafe_code)]

fn main() {}
