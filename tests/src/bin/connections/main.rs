//! The connection tier, run as root: real servers in containers, real clients at the other end of a veth pair, stopped as
//! a runtime does it. What the agent reports of their connections, and what it exports, is compared with a capture by
//! tcpdump, with the clients' own errors, and with what the case was made to do.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a test runner reports on its terminal")]

mod capture;
mod case;
mod cases;
mod clients;
mod expected;
mod pod;
mod row;
mod runner;
mod series;
mod table;
mod told;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gracewatch_tests::rig::toolbox;
use gracewatch_tests::test_program;

/// Compares what the agent says of connections with a capture and with the clients. Needs root.
#[derive(Debug, Parser)]
struct Args {
    /// Run only the cases whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    /// List the cases and end.
    #[arg(long)]
    list: bool,
    /// The folder with ip, tcpdump, nginx, gunicorn and wrk.
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    tools: Option<PathBuf>,
    /// Write the table of all cases to this file.
    #[arg(long, value_name = "FILE")]
    table_out: Option<PathBuf>,
    /// Copy captures, the agent's log and its journal to this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    if let Some(code) = toolbox::run_part() {
        return code;
    }
    test_program::run(|| runner::run(&Args::parse()))
}
