//! The real-kernel tier, run as root: loads the probes, makes real containers, terminates them, and compares every
//! report with what was really done and with clocks that the agent knows nothing of.
//!
//! As PID 1 (in a virtual machine) it prepares the machine, runs everything, and powers off.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a test runner reports on its terminal")]

mod accuracy;
mod agent;
mod check;
mod guest;
mod programs;
mod record;
mod runner;
mod scenario;
mod scenarios;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gracewatch_tests::rig::toolbox;
use gracewatch_tests::test_program;

/// Tests the agent against the running kernel. Needs root.
#[derive(Debug, Parser)]
struct Args {
    /// Run only the scenarios whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    /// List the scenarios and end.
    #[arg(long)]
    list: bool,
    /// Write the table of measured errors to this file.
    #[arg(long, value_name = "FILE")]
    accuracy_out: Option<PathBuf>,
    /// Instead of testing, record the journals of the scenarios that serve as fixtures into this folder.
    #[arg(long, value_name = "DIR")]
    record_dir: Option<PathBuf>,
    /// How many containers the scenarios `short_*` make
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    crowd: usize,
    /// Speak the protocol of `cargo xtask vm`, and allow for a slow, emulated processor.
    #[arg(long)]
    guest: bool,
}

fn main() -> ExitCode {
    if let Some(code) = toolbox::run_part() {
        return code;
    }
    if std::process::id() == 1 {
        return guest::run_guest();
    }
    test_program::run(|| runner::run(&Args::parse()))
}
