//! One command per wish. This file only says which commands there are; each lives in its own file.
#![expect(clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod build_ebpf;
mod cache;
mod process;
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
    /// Boot Debian kernels in QEMU and run the real-kernel scenarios on each.
    Vm(vm::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::BuildEbpf(args) => build_ebpf::run(&args),
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
