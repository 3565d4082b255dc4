//! A server and its clients, small enough for a pod of the tests: the server ends well or badly, the clients write down
//! what became of each connection and when, by the clock that reports have (`CLOCK_BOOTTIME`). A request is a line, and so
//! is its answer.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a pod prints is its log"
)]

mod connect;
mod fate;
mod hold;
mod serve;

use std::process::ExitCode;

use clap::Parser;

/// A server, or a client.
#[derive(Debug, Parser)]
enum Args {
    /// Answers every request of a connection, until it is told to stop.
    Serve(serve::Args),
    /// Connects again and again, with one request each, until a moment.
    Connect(connect::Args),
    /// Keeps connections open, each after one request, and waits for their end.
    Hold(hold::Args),
}

fn main() -> ExitCode {
    let ran = match Args::parse() {
        Args::Serve(args) => serve::run(&args),
        Args::Connect(args) => connect::run(&args),
        Args::Hold(args) => hold::run(&args),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
