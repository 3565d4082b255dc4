//! `cargo xtask bench`: builds the probes, the agent and the benchmark, and becomes that program.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{build_ebpf, cache, cargo};

/// Measure what the agent costs, as ratios against the same work without it. Needs root.
///
///   per event   each program against an empty one on the same hook, by the kernel's own accounting
///   storms      fork, exec and exit, and signals: with the agent and without it
///   footprint   the agent's CPU time and memory, idle, and when 500 containers end at once
///   losses      events lost at full speed, and a flood of resets
///
/// Takes some minutes, on a machine that does nothing else, and leaves nothing behind. While it runs, it switches the
/// kernel's accounting of eBPF programs on and off.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Fewer and shorter rounds: under a minute, with more noise.
    #[arg(long)]
    quick: bool,
    /// Write docs/overhead.md from this run.
    #[arg(long, conflicts_with = "quick")]
    write_docs: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the benchmark loads probes into the kernel and makes cgroups: run it as root, `sudo -E env PATH=\"$PATH\" cargo xtask bench`"
    );
    let objects = build_ebpf::build_all()?;
    let mut bench = Command::new(cargo::build_with_agent(&objects.probes, "bench")?);
    bench.arg("--empty").arg(objects.empty);
    if args.quick {
        bench.arg("--quick");
    }
    if args.write_docs {
        bench
            .arg("--page")
            .arg(cache::workspace().join("docs/overhead.md"));
    }
    // Becoming it leaves Ctrl-C to the one that cleans up.
    let error = bench.exec();
    Err(error).context("cannot start the benchmark")
}
