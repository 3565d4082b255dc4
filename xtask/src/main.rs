//! One command per wish. This file only says which commands there are; each lives in its own file.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stderr,
    reason = "a command line tool talks to its terminal"
)]

mod bench;
mod build_ebpf;
mod cache;
mod cargo;
mod demo;
mod docs;
mod process;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Gracewatch's own tasks: build, show, test, measure.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the eBPF probes (installs a toolchain into the cache where none is found).
    BuildEbpf(build_ebpf::Args),
    /// Show the agent at work: containers are stopped as a kubelet stops them, and measured (needs root).
    Demo(demo::Args),
    /// Test everything: format, lints, probes, unit tests, reference pages, this kernel, other kernels.
    Test(test::Args),
    /// Write docs/metrics.md and docs/timeline.svg anew, or check them and every link.
    Docs(docs::Args),
    /// Measure what the agent costs (needs root).
    Bench(bench::Args),
    /// Boot Debian kernels in QEMU and run the real-kernel scenarios on each.
    Vm(vm::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::BuildEbpf(args) => build_ebpf::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Docs(args) => docs::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Vm(args) => vm::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
