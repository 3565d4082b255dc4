//! The command line: what can be asked for, completed by the environment and the configuration file, and help that teaches.

mod command_help;
pub mod config;
mod man;
mod reference;

use clap::parser::ValueSource;
use clap::{
    ArgMatches, Args as _, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
};
use clap_complete::Shell;

use self::config::Source;
use crate::failure::UsageError;
use crate::kubernetes::KubernetesArgs;
use crate::subjects::SubjectArgs;
use crate::{check, explain, replay, run, telemetry, terminal, watch};

/// The option of another agent's address.
const AGENT: &str = "agent";

/// Measures, from the kernel, how containers and services are terminated: how long the preStop hook ran, how long from
/// the stop signal to the exit, whether SIGKILL was needed and why.
#[derive(Debug, Parser)]
#[command(version, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    telemetry: telemetry::Args,
    #[command(flatten)]
    config: config::Args,
    #[command(subcommand)]
    command: Subcommands,
    /// What the configuration file said, if there is one.
    #[arg(skip)]
    source: Option<Source>,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// The agent: measures every termination on this machine and serves the metrics over HTTP
    Run(Box<run::Args>),
    /// Shows terminations as they happen, in this terminal: of this machine, or of a running agent
    Watch(Box<watch::Args>),
    /// Says whether this machine can be measured, and what to change if not
    Check(check::Args),
    /// Explains one termination: all facts in order, and what follows from which
    Explain(explain::Args),
    /// Prints the reports of a journal that `run --journal` recorded; needs no root and no probes
    Replay(replay::Args),
    /// Prints a script with which a shell completes commands and options
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Writes the manual pages
    Man(man::Args),
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
    /// docs/cli.md: every command, from the command line itself.
    Cli,
}

/// The whole command line, with what its help teaches.
fn command() -> Command {
    Cli::command()
        .after_help(
            command_help::find_command_help("")
                .map(command_help::CommandHelp::short_text)
                .unwrap_or_default(),
        )
        .after_long_help(
            command_help::find_command_help("")
                .map(command_help::CommandHelp::long_text)
                .unwrap_or_default(),
        )
        .mut_subcommands(|subcommand| {
            match command_help::find_command_help(subcommand.get_name()) {
                Some(help) => subcommand
                    .after_help(help.short_text())
                    .after_long_help(help.long_text()),
                None => subcommand,
            }
        })
}

impl Cli {
    /// What this process was asked for. Prints the help and ends the process where that was asked for, or where the command
    /// line is wrong.
    ///
    /// # Errors
    /// A [`UsageError`] that names what is wrong with the configuration file, or two options that contradict each other.
    pub fn of_process() -> Result<Self, UsageError> {
        let given = command().get_matches();
        refuse_local_flag(&given)?;
        let (command, source) = if reads_config(&given) {
            // A flag goes before the file, also where it only contradicts it.
            let opposed = local_flag(&given).map(|_flag| AGENT);
            config::complete(command(), &given, opposed)?
        } else {
            (command(), None)
        };
        let matches = command.get_matches();
        let cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        Ok(Self { source, ..cli })
    }

    /// Runs the command to its end.
    ///
    /// # Errors
    /// One sentence; [`crate::failure::exit_code`] tells what to exit with.
    pub fn execute(self) -> anyhow::Result<()> {
        telemetry::init(self.telemetry)?;
        match self.command {
            Subcommands::Run(args) => run::run(*args),
            Subcommands::Watch(args) => watch::run(*args),
            Subcommands::Check(args) => check::run(&args, self.source.as_ref()),
            Subcommands::Explain(args) => explain::run(args),
            Subcommands::Replay(args) => replay::run(args),
            Subcommands::Completions { shell } => completions(shell),
            Subcommands::Man(args) => man::run(&args, command()),
            Subcommands::Docs {
                page: Page::Metrics,
            } => crate::metrics::print_reference(),
            Subcommands::Docs { page: Page::Cli } => {
                terminal::print(reference::reference(command())?.as_bytes())
            }
        }
    }
}

/// A broken file must not keep anybody from the manual.
fn reads_config(given: &ArgMatches) -> bool {
    !matches!(
        given.subcommand_name(),
        Some("completions" | "man" | "docs")
    )
}

/// The first flag of `watch` that says what to measure on this machine.
fn local_flag(given: &ArgMatches) -> Option<String> {
    let (_watch, given) = given.subcommand().filter(|(name, _)| *name == "watch")?;
    let local = KubernetesArgs::augment_args(SubjectArgs::augment_args(Command::new("local")));
    local
        .get_arguments()
        .filter(|option| {
            given.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
        })
        .find_map(|option| option.get_long().map(str::to_owned))
}

/// What another agent measures was decided where it runs.
fn refuse_local_flag(given: &ArgMatches) -> Result<(), UsageError> {
    let is_remote = |(_watch, given)| config::is_given(given, AGENT);
    match local_flag(given).filter(|_| given.subcommand().is_some_and(is_remote)) {
        Some(long) => Err(UsageError::new(format!(
            "--{long} is for what is measured here, and --agent (GRACEWATCH_AGENT) shows what another process measures; leave one of them out"
        ))),
        None => Ok(()),
    }
}

fn completions(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "gracewatch", &mut script);
    terminal::print(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_is_taught_and_nothing_else() {
        let command = command();
        let shown: Vec<_> = command
            .get_subcommands()
            .filter(|subcommand| !subcommand.is_hide_set())
            .map(Command::get_name)
            .collect();
        let taught: Vec<_> = command_help::COMMAND_HELPS
            .iter()
            .map(|help| help.command)
            .filter(|name| !name.is_empty())
            .collect();
        for name in &shown {
            assert!(taught.contains(name), "{name} has no help");
        }
        assert_eq!(shown.len(), taught.len(), "{shown:?} {taught:?}");
    }

    #[test]
    fn every_example_is_a_command_line_that_is_understood() {
        for help in command_help::COMMAND_HELPS {
            for (line, _why) in help.examples {
                let words = line.trim_start_matches("source <(").trim_end_matches(')');
                let words = words.split(['|', '>']).next().unwrap_or_default();
                let words = words.replace('\'', "");
                command()
                    .try_get_matches_from(words.split_whitespace())
                    .unwrap_or_else(|error| panic!("{line}: {error}"));
            }
        }
    }

    #[test]
    fn a_remote_agent_is_told_nothing_by_local_options() {
        let refusal = |line: &str| {
            let given = command().try_get_matches_from(line.split(' ')).unwrap();
            refuse_local_flag(&given).map_err(|error| error.to_string())
        };
        let sentence = refusal("gracewatch watch --agent node:1 --no-systemd").unwrap_err();
        assert!(sentence.contains("--no-systemd") && sentence.contains("--agent"));
        let sentence = refusal("gracewatch watch --agent node:1 --kubernetes off").unwrap_err();
        assert!(sentence.contains("--kubernetes"));
        assert_eq!(refusal("gracewatch watch --agent node:1 --json"), Ok(()));
        assert_eq!(refusal("gracewatch watch --no-systemd"), Ok(()));
    }
}
