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
mod chart;
mod conformance;
mod connections;
mod cri;
mod demo;
mod docs;
mod e2e;
mod fuzz;
mod guest_cri;
mod hostile;
mod image;
mod mixin;
mod page;
mod process;
mod test;
mod tools;
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
    /// Test everything: format, lints, probes, unit tests, this kernel, real runtimes, other kernels, a real Kubernetes, pages.
    Test(test::Args),
    /// Write docs/metrics.md, docs/cli.md and docs/timeline.svg anew, or check them and every link.
    Docs(docs::Args),
    /// Render alerts, recording rules and dashboards, check them, and test the rules with series of recorded runs.
    Mixin(mixin::Args),
    /// Measure what the agent costs (needs root).
    Bench(bench::Args),
    /// Stop random programs in random ways, and judge what the agent says (needs root).
    Fuzz(fuzz::Args),
    /// Attack the agent from inside of a container, and judge its reports about the others (needs root).
    Hostile(hostile::Args),
    /// Compare what the agent says of connections with a capture and with the clients (needs root).
    Connections(connections::Args),
    /// Stop programs that we did not write, and compare each report with the conformance table (needs root).
    Conformance(conformance::Args),
    /// Stop containers of real runtimes by the calls that a kubelet makes, and check what the agent says (needs root).
    Cri(cri::Args),
    /// Bring up a real Kubernetes on this machine, terminate pods on it, and check what the agent says (needs root).
    E2e(e2e::Args),
    /// Build the programs of a real cluster into the cache.
    Tools(tools::Args),
    /// Test the agent's page in a real browser (needs root), and write its pictures for the docs.
    Page(page::Args),
    /// Build the agent's container image as a file, without a container runtime.
    Image(image::Args),
    /// Write what in the Helm chart comes from elsewhere, and check the chart.
    Chart(chart::Args),
    /// Boot Debian kernels in QEMU and run the real-kernel scenarios on each.
    Vm(vm::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::BuildEbpf(args) => build_ebpf::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Docs(args) => docs::run(&args),
        Command::Mixin(args) => mixin::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Hostile(args) => hostile::run(&args),
        Command::Connections(args) => connections::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Cri(args) => cri::run(&args),
        Command::E2e(args) => e2e::run(&args),
        Command::Tools(args) => tools::run(&args),
        Command::Image(args) => image::run(&args),
        Command::Page(args) => page::run(&args),
        Command::Chart(args) => chart::run(&args),
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
