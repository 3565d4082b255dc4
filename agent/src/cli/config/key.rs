//! Which options are keys of the file, and what their values may be.

use clap::builder::PossibleValue;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::DeValue;

/// Whether an option can be set in the file: whatever can be in the environment, but the file's own name.
pub(super) fn is_key(argument: &Arg) -> bool {
    argument.get_long().is_some()
        && argument.get_env().is_some()
        && argument.get_id() != super::OPTION
}

/// The options that can be set, each with the command that has it; what several commands have comes once for each.
pub(super) fn options(command: &Command) -> impl Iterator<Item = (&Command, &Arg)> {
    std::iter::once(command)
        .chain(command.get_subcommands())
        .flat_map(|one| one.get_arguments().map(move |argument| (one, argument)))
        .filter(|(_command, argument)| is_key(argument))
}

/// Whether a command takes only one of two options.
pub(super) fn conflict(command: &Command, one: &Arg, other: &Arg) -> bool {
    let excludes = |one: &Arg, other: &Arg| {
        command
            .get_arg_conflicts_with(one)
            .iter()
            .any(|excluded| excluded.get_id() == other.get_id())
    };
    excludes(one, other) || excludes(other, one)
}

/// The key that was most likely meant, as clap finds it for a flag.
pub(super) fn nearest(command: &Command, key: &str) -> Option<String> {
    let flags = options(command).filter_map(|(_command, option)| option.get_long());
    let mut known: Vec<&str> = flags.collect();
    known.sort_unstable();
    known.dedup();
    let flags = known
        .into_iter()
        .map(|long| Arg::new(long.to_owned()).long(long.to_owned()));
    let error = Command::new("keys")
        .no_binary_name(true)
        .disable_help_flag(true)
        .args(flags)
        .try_get_matches_from([format!("--{}", key.replace('_', "-"))])
        .err()?;
    if error.kind() != ErrorKind::UnknownArgument {
        // It is one, but for the underscores.
        return Some(key.replace('_', "-"));
    }
    match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(flag)) => Some(flag.trim_start_matches('-').to_owned()),
        _ => None,
    }
}

/// A value of the file as the words that the option takes, each read by the option's own reader.
pub(super) fn option_values(
    option: &Arg,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<String>, String> {
    let words = match (option.get_action(), value.get_ref()) {
        (ArgAction::SetTrue, DeValue::Boolean(on)) => return Ok(vec![on.to_string()]),
        (ArgAction::SetTrue, _) => {
            return Err("it is a switch; write true or false, without quotes".to_owned());
        }
        (ArgAction::Append, DeValue::Array(values)) => values
            .iter()
            .map(|value| option_value(value.get_ref()))
            .collect::<Result<Vec<_>, _>>()?,
        (_, DeValue::Array(_)) => return Err("it takes one value, and this is a list".to_owned()),
        (_, value) => vec![option_value(value)?],
    };
    for word in &words {
        read(option, word)?;
    }
    Ok(words)
}

fn option_value(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().replace('_', "")),
        DeValue::Float(number) => Ok(number.as_str().replace('_', "")),
        DeValue::Boolean(_) => Err("it is no switch; write its value, a word in quotes".to_owned()),
        DeValue::Integer(_) => Err("write the number in decimal digits".to_owned()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err("write a number, or a word in quotes".to_owned())
        }
    }
}

/// Has the option's reader read a value. What is wrong with it, in few words.
fn read(option: &Arg, word: &str) -> Result<(), String> {
    let long = option.get_long().unwrap_or_default().to_owned();
    // Alone: what the option needs or excludes stands in another command.
    let alone = Arg::new(option.get_id().clone())
        .long(long.clone())
        .action(option.get_action().clone())
        .value_parser(option.get_value_parser().clone());
    let error = Command::new("value")
        .no_binary_name(true)
        .arg(alone)
        .try_get_matches_from([format!("--{long}={word}")])
        .err();
    error.map_or(Ok(()), |error| Err(reason(option, &error)))
}

fn reason(option: &Arg, error: &clap::Error) -> String {
    let values = option.get_possible_values();
    if !values.is_empty() {
        let names: Vec<_> = values.iter().map(PossibleValue::get_name).collect();
        return format!("it is one of {}", names.join(", "));
    }
    std::error::Error::source(error).map_or_else(|| error.kind().to_string(), ToString::to_string)
}
