//! Suites of others as workloads: what containerd logged of each container that they ended, and what the reports say of it.

pub mod compare;
pub mod log;

/// How many specs a suite of Ginkgo ran, passed and failed, by its own last words.
pub fn last_words(said: &str) -> String {
    let wanted = |line: &&str| line.starts_with("Ran ") || line.contains(" Passed |");
    let lines: Vec<_> = said.lines().filter(wanted).map(str::trim).collect();
    lines.join("; ")
}
