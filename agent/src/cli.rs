//! The command line: what can be asked for, and help that teaches it.

use clap::{Parser, Subcommand};

use crate::{check, replay, run, telemetry, watch};

/// Measures, from the kernel, how containers and services are terminated: how long the preStop hook ran, how long from
/// the stop signal to the exit, whether SIGKILL was needed and why.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    telemetry: telemetry::Args,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  gracewatch check                        can this machine be measured? What is missing, and how to mend it
  gracewatch watch                        terminations of all services and containers, live in this terminal
  gracewatch watch --cgroup '/demo/*'     … and of the cgroups /demo/<any>, as the kernel's v2 tree names them
  gracewatch run                          the agent: metrics for Prometheus on http://127.0.0.1:8637/metrics
  gracewatch run --journal stop.jsonl     … and record what the kernel told, to replay it on any machine
  gracewatch replay stop.jsonl --metrics  the reports and the metrics of that recording, without root

`run` and `watch` need root, or CAP_BPF and CAP_PERFMON; where /proc is mounted with hidepid, CAP_SYS_PTRACE too.
Every option can be given in the environment, too: --log-level is GRACEWATCH_LOG_LEVEL.";

#[derive(Debug, Subcommand)]
enum Command {
    /// The agent: measures every termination on this machine and serves the metrics over HTTP.
    Run(Box<run::Args>),
    /// Shows terminations as they happen, in this terminal.
    Watch(watch::Args),
    /// Says whether this machine can be measured, and what to change if not.
    Check(check::Args),
    /// Prints the reports of a journal that `run --journal` recorded; needs no root and no probes.
    Replay(replay::Args),
    /// Generates reference pages.
    #[command(hide = true)]
    Docs {
        #[command(subcommand)]
        page: Page,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Page {
    /// docs/metrics.md: every metric, from the table that registers them.
    Metrics,
}

impl Cli {
    /// Runs the command to its end.
    ///
    /// # Errors
    /// One sentence; [`crate::failure::exit_code`] tells what to exit with.
    pub fn execute(self) -> anyhow::Result<()> {
        telemetry::init(self.telemetry)?;
        match self.command {
            Command::Run(args) => run::run(*args),
            Command::Watch(args) => watch::run(args),
            Command::Check(args) => check::run(&args),
            Command::Replay(args) => replay::run(args),
            Command::Docs {
                page: Page::Metrics,
            } => crate::metrics::print_reference(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
