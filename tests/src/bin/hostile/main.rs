//! What one container can do to others: each attack runs in a container of its own, as long as it takes to stop three ordinary
//! neighbours in the three usual ways. Their reports must be right, and certain. And what clients, files, signals and journals can
//! do to the agent: each case is played against its whole program.
//!
//! * [`neighbours`]: who is stopped meanwhile, and what their reports must say.
//! * [`runner`]: one attack after the other, each with an agent of its own.
//! * [`endurance`]: all attacks on one agent, for long.
//! * [`cases`]: the table of the cases, and who plays them. [`asked`]: the program, asked for something that it is to refuse.
//! * [`clients`], [`files`], [`ends`], [`numbers`], [`replays`]: the cases.
//! * [`told`]: what came of each.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    reason = "a test program reports on its terminal"
)]

mod asked;
mod cases;
mod clients;
mod ends;
mod endurance;
mod files;
mod neighbours;
mod numbers;
mod replays;
mod runner;
mod told;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use gracewatch_tests::rig::toolbox::{self, Toolbox};
use gracewatch_tests::test_program;

/// Attacks the agent from inside of a container, as a client and by files, and judges what it says and does. Needs root.
#[derive(Debug, Parser)]
struct Args {
    /// Only attacks and cases with this in their name.
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
    if let Some(code) = toolbox::run_part() {
        return code;
    }
    test_program::run(|| run(&Args::parse()))
}

/// Whether nothing was wrong.
fn run(args: &Args) -> Result<bool> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "attacks load probes and make cgroups: run this as root"
    );
    let toolbox = Toolbox::new()?;
    let attacks = runner::find_attacks(&args.only);
    if let Some(minutes) = args.minutes {
        return endurance::run(&toolbox, &attacks, Duration::from_mins(minutes));
    }
    let passed = runner::run(&toolbox, &attacks, args.rounds);
    Ok(cases::run(&toolbox, &args.only) && passed)
}
