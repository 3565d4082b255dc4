//! `cargo xtask connections`: builds the probes, the agent and the connection tier, and becomes that program.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{build_ebpf, cargo, tools};

/// Compare what the agent says of connections with a capture and with the clients. Needs root.
///
/// Servers run in containers (cgroups, pid and network namespaces of their own, no Docker and no Kubernetes), clients at
/// the other end of a veth pair; the servers are stopped as a runtime does it. What the agent reports, what it exports,
/// what tcpdump captured and what the clients met must be the same. nginx, gunicorn, wrk, tcpdump and ip are Debian's,
/// fetched into the cache once; nothing is installed or left behind.
///
/// What follows `--` goes to the program `connections`: `cargo xtask connections -- --filter nginx`; `-- --help` lists all.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Options of the program itself.
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    // Becoming it leaves Ctrl-C to the one that cleans up.
    let error = build()?.args(&args.rest).exec();
    Err(error).context("cannot start the connection tier")
}

/// Builds everything, and gives the command that runs the tier.
pub(crate) fn build() -> Result<Command> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the connection tier loads probes and makes cgroups and network namespaces: run it as root, \
         `sudo -E env PATH=\"$PATH\" cargo xtask connections`"
    );
    let tools = tools::traffic()?;
    build_ebpf::build()?;
    eprintln!("building the agent and the connection tier");
    let mut command = Command::new(cargo::build_with_agent("connections")?);
    command.arg("--tools").arg(tools);
    Ok(command)
}
