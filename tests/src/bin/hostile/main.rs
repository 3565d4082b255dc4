//! What one container can do to others: each attack runs in a container of its own, as long as it takes to stop three ordinary
//! neighbours in the three usual ways. Their reports must be right, and certain.
//!
//! * [`neighbours`]: who is stopped meanwhile, and what their reports must say.
//! * [`runner`]: one attack after the other, each with an agent of its own.
//! * [`endurance`]: all attacks on one agent, for long.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    reason = "a test program reports on its terminal"
)]

mod endurance;
mod neighbours;
mod runner;

use std::process::ExitCode;

use clap::Parser;
use gracewatch_tests::rig::toolbox;
use gracewatch_tests::test_program;

/// Attacks the agent from inside of a container, and judges its reports about the container's neighbours. Needs root.
#[derive(Debug, Parser)]
struct Args {
    /// Only attacks with this in their name.
    #[arg(long, default_value = "")]
    only: String,
    /// How often the neighbours are stopped during each attack.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Make all attacks on one agent, one after the other, for so long, and see whether its memory grows.
    #[arg(long, conflicts_with = "rounds")]
    minutes: Option<u64>,
}

fn main() -> ExitCode {
    if let Some(code) = toolbox::play() {
        return code;
    }
    test_program::run(|| runner::run(&Args::parse()))
}
