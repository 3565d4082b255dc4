//! `cargo xtask demo`: builds the probes, the agent and the demo's program, and becomes that program.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{build_ebpf, cargo};

/// Show the agent at work: containers are stopped as a kubelet stops them, and measured. Needs root.
///
/// Builds what is needed, starts the agent, makes five containers (cgroups and pid namespaces of their
/// own, no Docker and no Kubernetes), stops them with preStop hook, SIGTERM, grace period and SIGKILL,
/// and shows the timelines, the metrics and how far the agent's durations are from the kernel's trace.
/// Takes about 35 seconds after building and leaves nothing behind.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Leave the agent running in the end, until Ctrl-C, so that its pages can be opened.
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut demo = build()?;
    if args.keep {
        demo.arg("--keep");
    }
    // Becoming it leaves Ctrl-C to the one that cleans up.
    let error = demo.exec();
    Err(error).context("cannot start the demo")
}

/// Builds the demo, and gives the command that runs it.
pub(crate) fn build() -> Result<Command> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the demo loads probes into the kernel and makes cgroups: run it as root, `sudo -E env PATH=\"$PATH\" cargo xtask demo`"
    );
    let object = build_ebpf::build()?;
    Ok(Command::new(cargo::build_with_agent(&object, "demo")?))
}
