//! The conformance table, run as root: programs that we did not write are stopped in every way, and each report is compared with
//! what must be said and what must not. The rows are files: tests/conformance/*.toml.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a test runner reports on its terminal")]

mod compare;
mod container;
mod expect;
mod matrix;
mod page;
mod ready;
mod row;
mod runner;
mod step;
mod table;
mod watcher;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gracewatch_tests::rig::toolbox;
use gracewatch_tests::test_program;

/// Stops programs that we did not write, and compares each report with the conformance table. Needs root.
#[derive(Debug, Parser)]
struct Args {
    /// Only rows whose file, kind or name contains this; several are separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "TEXT")]
    only: Vec<String>,
    /// List the rows and end.
    #[arg(long)]
    list: bool,
    /// The folder with the rows.
    #[arg(long, value_name = "DIR")]
    rows: PathBuf,
    /// The tree that is the root of the containers.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["list", "check_page"])]
    programs: Option<PathBuf>,
    /// Rows at a time: most of them only wait.
    #[arg(long, default_value_t = 16)]
    at_once: usize,
    /// Write the page to this file.
    #[arg(long, value_name = "FILE")]
    docs_out: Option<PathBuf>,
    /// Run nothing; fail if this page does not have the rows that there are.
    #[arg(long, value_name = "FILE")]
    check_page: Option<PathBuf>,
    /// Write what is wrong to this file.
    #[arg(long, value_name = "FILE")]
    wrong_out: Option<PathBuf>,
    /// Record what the agent that the rows share is told to this file.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Print every report as JSON.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    if let Some(code) = toolbox::run_part() {
        return code;
    }
    test_program::run(|| runner::run(&Args::parse()))
}
