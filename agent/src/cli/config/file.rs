//! The file: read, parsed, and its keys found among the options.

use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Command;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key;
use crate::failure::UsageError;
use crate::named_file::{SETTINGS_MIB_MAX, read};

/// A configuration file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    text: String,
}

/// What the file says of one option.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) values: Vec<String>,
    line: usize,
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, UsageError> {
        let name = path.display();
        let wrong = |why: String| {
            UsageError::new(format!(
                "cannot read the configuration file {name}: {why}; name another one by --config or GRACEWATCH_CONFIG, or none by an empty name"
            ))
        };
        let text = read(path, SETTINGS_MIB_MAX).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            text,
        })
    }

    /// What it says of the command's options.
    pub(super) fn settings(&self, command: &Command) -> Result<Vec<Setting>, UsageError> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let at = error.span().unwrap_or_default();
            self.usage_error(&at, &error.message().replace('\n', ", "))
        })?;
        let mut settings: Vec<_> = table
            .get_ref()
            .iter()
            .map(|(key, value)| self.setting(command, key, value))
            .collect::<Result<_, _>>()?;
        settings.sort_by_key(|setting| setting.line);
        self.refuse_contradictions(command, &settings)?;
        Ok(settings)
    }

    fn setting(
        &self,
        command: &Command,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Setting, UsageError> {
        let name = key.get_ref();
        let option = key::options(command).find(|(_, option)| option.get_long() == Some(name));
        let Some((_, option)) = option else {
            return Err(self.usage_error(&key.span(), &unknown(command, name, value)));
        };
        let values = key::option_values(option, value).map_err(|reason| {
            self.usage_error(&value.span(), &self.invalid_value(name, value, &reason))
        })?;
        Ok(Setting {
            key: name.clone().into_owned(),
            values,
            line: self.line_number(&key.span()),
        })
    }

    /// ``the value of `listen`, "abc", cannot be used: invalid socket address syntax``
    fn invalid_value(&self, key: &str, value: &Spanned<DeValue<'_>>, reason: &str) -> String {
        let written = self.text.get(value.span()).unwrap_or_default();
        let written = written.lines().next().unwrap_or_default();
        format!("`{key} = {written}` cannot be used: {reason}")
    }

    fn refuse_contradictions(
        &self,
        command: &Command,
        settings: &[Setting],
    ) -> Result<(), UsageError> {
        let is_set = |option: &clap::Arg| {
            let set = |setting: &&Setting| {
                Some(setting.key.as_str()) == option.get_long()
                    && setting.values.iter().all(|value| value != "false")
            };
            settings.iter().find(set)
        };
        for subcommand in command.get_subcommands() {
            let mut set: Vec<_> = subcommand
                .get_arguments()
                .filter_map(|option| Some((option, is_set(option)?)))
                .collect();
            set.sort_by_key(|(_option, setting)| std::cmp::Reverse(setting.line));
            for (position, (option, other)) in set.iter().enumerate() {
                let mut earlier = set.iter().skip(position);
                let opposed = earlier.find(|(one, _)| key::conflict(subcommand, option, one));
                if let Some((_, one)) = opposed {
                    return Err(self.wrong_in(
                        other.line,
                        &format!(
                            "`{}` contradicts `{}` in line {}; leave one of them out",
                            other.key, one.key, one.line
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    fn usage_error(&self, at: &Range<usize>, why: &str) -> UsageError {
        self.wrong_in(self.line_number(at), why)
    }

    fn wrong_in(&self, line: usize, why: &str) -> UsageError {
        UsageError::new(format!(
            "configuration file {}, line {line}: {why}",
            self.path.display()
        ))
    }

    fn line_number(&self, at: &Range<usize>) -> usize {
        let before = self.text.get(..at.start).unwrap_or(&self.text);
        before.matches('\n').count() + 1
    }
}

fn unknown(command: &Command, key: &str, value: &Spanned<DeValue<'_>>) -> String {
    if value.get_ref().is_table() {
        return format!(
            "there are no tables such as `{key}`; every option stands alone, before any table"
        );
    }
    match key::nearest(command, key) {
        Some(nearest) => format!("there is no option `{key}`; did you mean `{nearest}`?"),
        None => format!("there is no option `{key}`; `gracewatch run --help` shows all of them"),
    }
}
