//! `cargo xtask hostile`: builds the probes, the agent and the attacks, and becomes that program.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::FailedStages;
use crate::{build_ebpf, cargo, process};

/// Attack the agent from inside of a container, as a client and by files, and judge what it says. Needs root.
///
/// Each attack runs in a container of its own: floods of signals that the kernel throws away, of cgroups, of moves and execs in
/// cgroups that look like containers, of connections; tables that are filled. Meanwhile three ordinary containers are stopped in
/// the three usual ways, and once more when it is over. Their reports must be right and certain, the agent must be ready, and its
/// memory must not grow.
///
/// Then clients hold connections, options name what is no file, signals end it at every moment, and journals are what nobody
/// recorded: health checks must be answered, each refusal must be a sentence at once, and memory must stay flat. Takes some minutes.
///
///   cargo xtask hostile
///   cargo xtask hostile --only churn --rounds 20
///   cargo xtask hostile --minutes 60
///   cargo xtask hostile --only replay
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only attacks and cases with this in their name.
    #[arg(long, default_value = "")]
    only: String,
    /// How often the neighbours are stopped during each attack.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Make all attacks on one agent, one after the other, for so long, and see whether its memory grows.
    #[arg(long, conflicts_with = "rounds")]
    minutes: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut hostile = build()?;
    hostile.args(["--only", &args.only]);
    match args.minutes {
        Some(minutes) => hostile.args(["--minutes", &minutes.to_string()]),
        None => hostile.args(["--rounds", &args.rounds.to_string()]),
    };
    // Becoming it leaves Ctrl-C to the one that cleans up.
    let error = hostile.exec();
    Err(error).context("cannot start the attacks")
}

/// All attacks, once.
pub(crate) fn test() -> Result<FailedStages> {
    process::run_tests(&mut build()?)
}

/// Builds everything, and gives the command that attacks.
fn build() -> Result<Command> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "attacks load probes and make cgroups: run this as root, \
         `sudo -E env PATH=\"$PATH\" cargo xtask hostile`"
    );
    let object = build_ebpf::build()?;
    Ok(Command::new(cargo::build_with_agent(&object, "hostile")?))
}
