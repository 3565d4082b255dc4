//! Random stops on the real kernel, run as root: programs and what is done to them come from a seed, real agents watch, and
//! an oracle that knows what was done says which reports are right. A report that is certain and wrong is a failure.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test runner reports on its terminal"
)]

mod agent;
mod attack;
mod case;
mod disposition;
mod generate;
mod judge;
mod oracle;
mod program;
mod random;
mod runner;
mod shrink;
mod stage;
mod stalls;
mod summary;
mod tell;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use gracewatch_tests::rig::toolbox;
use gracewatch_tests::test_program;

/// Stops random programs in random ways and judges what the agent says. Needs root.
#[derive(Debug, Parser)]
struct Args {
    /// How many stops.
    #[arg(long, default_value_t = 300)]
    stops: u64,
    /// From which seed they are made; the same seed always makes the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first one.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many at a time.
    #[arg(long, default_value_t = 32)]
    jobs: usize,
    /// Instead of random ones, this one, as a failure prints it.
    #[arg(long, value_name = "JSON")]
    case: Option<String>,
    /// How often `--case` is played.
    #[arg(long, default_value_t = 1, requires = "case")]
    times: u64,
    /// Leave failures as they are.
    #[arg(long)]
    no_shrink: bool,
    /// Speak the protocol of `cargo xtask vm`, and allow for a slow, emulated processor.
    #[arg(long)]
    guest: bool,
    /// Have the agents record into this folder.
    #[arg(long, value_name = "DIR")]
    journals: Option<PathBuf>,
}

fn main() -> ExitCode {
    let name = std::env::args_os().next();
    let name = name.as_deref().map(Path::new).and_then(Path::file_name);
    if name.is_some_and(|name| name == program::NAME) {
        return match program::program(std::env::args_os().collect()) {
            Ok(code) => code,
            Err(error) => {
                eprintln!("{}: {error:#}", program::NAME);
                ExitCode::from(125)
            }
        };
    }
    if let Some(code) = toolbox::run_part() {
        return code;
    }
    test_program::run(|| runner::run(&Args::parse()))
}
