//! The configuration file: options of the command line by their long names, as TOML. There is no list of keys: an option
//! that can be given in the environment can be given here, and its value is read by the option's own reader.

mod file;
mod key;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use self::file::{File, Setting};
use crate::failure::UsageError;

/// Where the file is, unless it is named: read only if it is there.
pub const DEFAULT_PATH: &str = "/etc/gracewatch/config.toml";

/// The id and the variable of the option that names the file.
const OPTION: &str = "config";

/// Which configuration file to read.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Configuration")]
#[group(skip)]
pub struct Args {
    /// Read options from this file [default: /etc/gracewatch/config.toml, if it is there]
    ///
    /// TOML, a line for each option that can be given in the environment, by its long name: `listen = "0.0.0.0:8637"`,
    /// `no-systemd = true`, `cgroup = ["/demo/*"]`. A flag goes before the environment, that before the file, the file
    /// before the default. An empty name reads no file.
    #[arg(long, global = true, value_name = "FILE", env = "GRACEWATCH_CONFIG", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    config: Option<PathBuf>,
}

/// Which file was read, and what it sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The keys that it has.
    pub keys: Vec<String>,
}

/// The command with what the file says as its defaults, and the file if there is one. `given`: what the command line and the
/// environment say, by which the file is chosen, and which the file must not contradict. `opposed`: an option that they
/// contradict in a way that clap does not know.
///
/// # Errors
/// A [`UsageError`] that names the file, the line and the key.
pub fn complete(
    command: Command,
    given: &ArgMatches,
    opposed: Option<&str>,
) -> Result<(Command, Option<Source>), UsageError> {
    let Some(file) = read(given)? else {
        return Ok((command, None));
    };
    let settings = file.settings(&command)?;
    let source = Source {
        path: file.path,
        keys: settings.iter().map(|setting| setting.key.clone()).collect(),
    };
    let mut contradicted = contradicted(&command, given);
    contradicted.extend(opposed.map(str::to_owned));
    Ok((
        set_defaults(command, &settings, &contradicted),
        Some(source),
    ))
}

fn read(given: &ArgMatches) -> Result<Option<File>, UsageError> {
    match given.get_one::<PathBuf>(OPTION) {
        Some(path) if path.as_os_str().is_empty() => Ok(None),
        Some(path) => File::read(path).map(Some),
        None if Path::new(DEFAULT_PATH).exists() => File::read(Path::new(DEFAULT_PATH)).map(Some),
        None => Ok(None),
    }
}

/// What the file sets as the options' defaults. What contradicts an option that was given is left out: a flag goes before
/// the file, also where it says the opposite by another name.
fn set_defaults(command: Command, settings: &[Setting], contradicted: &[String]) -> Command {
    let complete = |argument: clap::Arg| {
        let long = argument.get_long().unwrap_or_default();
        let setting = settings.iter().find(|setting| setting.key == long);
        match setting.filter(|setting| !contradicted.contains(&setting.key)) {
            Some(setting) if key::is_key(&argument) => {
                argument.default_values(setting.values.clone())
            }
            Some(_) | None => argument,
        }
    };
    command
        .mut_args(complete)
        .mut_subcommands(|subcommand| subcommand.mut_args(complete))
}

/// The long names of the options that contradict one that was given.
fn contradicted(command: &Command, given: &ArgMatches) -> Vec<String> {
    let Some((name, given)) = given.subcommand() else {
        return Vec::new();
    };
    let Some(subcommand) = command.find_subcommand(name) else {
        return Vec::new();
    };
    subcommand
        .get_arguments()
        .filter(|argument| {
            subcommand.get_arguments().any(|other| {
                is_given(given, other.get_id().as_str())
                    && key::conflict(subcommand, argument, other)
            })
        })
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect()
}

/// Whether an option was given by a flag or in the environment.
pub fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches!(
        matches.value_source(id),
        Some(ValueSource::CommandLine | ValueSource::EnvVariable)
    )
}
