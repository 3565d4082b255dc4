//! A row of the table as its file has it. tests/conformance/README.md explains every key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use agent_core::signal::Signal;
use anyhow::{Context as _, Result, ensure};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::expect::{Expect, Never};
use crate::step::Step;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    row: Vec<Row>,
}

/// One stop.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Which kind of stop it is, in words.
    pub(crate) kind: String,
    /// What a reader should know of it.
    #[serde(default)]
    pub(crate) what: String,
    /// The command line of PID 1.
    pub(crate) runs: Vec<String>,
    /// Files of the container, by their paths.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// When it is ready; see [`crate::ready`].
    #[serde(default)]
    pub(crate) ready: OneOrMany<String>,
    /// The grace period that the agent is told, in seconds.
    #[serde(default)]
    pub(crate) grace: Option<f64>,
    /// The stop signal that it is told.
    #[serde(default)]
    pub(crate) stop_signal: Option<String>,
    /// The preStop hook that it is told.
    #[serde(default)]
    pub(crate) hook: Vec<String>,
    #[serde(default)]
    pub(crate) place: Place,
    #[serde(default)]
    pub(crate) pids: Pids,
    /// The memory that it may have, in MiB.
    #[serde(default)]
    pub(crate) memory: Option<u32>,
    /// Whether the OOM killer takes all of it at once.
    #[serde(default)]
    pub(crate) oom_group: bool,
    /// How many processes it may have.
    #[serde(default)]
    pub(crate) processes: Option<u32>,
    #[serde(default)]
    pub(crate) agent: Agent,
    /// The size of the ring buffer of an agent of its own, in bytes.
    #[serde(default)]
    pub(crate) ring: Option<u32>,
    pub(crate) steps: Vec<String>,
    /// Whether there may be no report, if the agent counts the container as one that was gone before it could look.
    #[serde(default)]
    pub(crate) or_counted: bool,
    pub(crate) expect: OneOrMany<Expect>,
    #[serde(default)]
    pub(crate) never: Never,
    /// The file that it is in, without its ending.
    #[serde(skip)]
    pub(crate) file: String,
}

/// Where its cgroup lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// Where a glob names it.
    #[default]
    Glob,
    /// Where Docker with systemd makes it.
    Docker,
    /// Where systemd makes it for a service.
    Service,
}

/// Whose process ids it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pids {
    /// A namespace of its own, of which its program is PID 1.
    #[default]
    Own,
    /// The machine's.
    Machine,
}

/// Which agent watches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Agent {
    /// The one that watches all others.
    #[default]
    Shared,
    /// One of its own, which can be stopped.
    Own,
}

/// One value, or a list.
#[derive(Clone, Debug)]
pub(crate) enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

/// By hand, so that what is wrong with a value is said.
impl<'de, T: DeserializeOwned> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |value: toml::Value| value.try_into::<T>().map_err(D::Error::custom);
        match toml::Value::deserialize(deserializer)? {
            toml::Value::Array(all) => {
                let all = all.into_iter().map(read).collect::<Result<_, _>>()?;
                Ok(Self::Many(all))
            }
            one @ (toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Table(_)) => Ok(Self::One(read(one)?)),
        }
    }
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::Many(all) => all,
            Self::One(one) => std::slice::from_ref(one),
        }
    }
}

impl Row {
    /// Its steps, read.
    pub(crate) fn parse_steps(&self) -> Result<Vec<Step>> {
        let read = |text: &String| text.parse().with_context(|| format!("step `{text}`"));
        self.steps.iter().map(read).collect()
    }

    /// How long its steps take at least.
    pub(crate) fn duration(&self) -> Duration {
        let steps = self.parse_steps().unwrap_or_default();
        steps.iter().map(Step::duration).sum()
    }

    /// The configured stop signal.
    pub(crate) fn stop_signal(&self) -> Result<Option<Signal>> {
        let read = |text: &str| text.parse::<Signal>();
        Ok(self.stop_signal.as_deref().map(read).transpose()?)
    }

    fn validate(&self) -> Result<()> {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ensure!(
            !self.name.is_empty() && self.name.bytes().all(is_plain),
            "its name may have small letters, digits and hyphens"
        );
        ensure!(!self.runs.is_empty(), "`runs` is empty");
        self.parse_steps()?;
        self.stop_signal()?;
        for condition in self.ready.as_slice() {
            condition.parse::<crate::ready::Ready>()?;
        }
        self.expect.as_slice().iter().try_for_each(Expect::validate)
    }

    /// How its program is written in a table: the last words of a wrapper count as much as the first.
    pub(crate) fn command(&self) -> String {
        self.runs.join(" ")
    }
}

/// Reads all rows of a folder, file by file.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<Row>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths: Vec<_> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let mut rows = Vec::new();
    for path in paths {
        rows.extend(read(&path).with_context(|| format!("{} is wrong", path.display()))?);
    }
    let mut names = BTreeSet::new();
    for row in &rows {
        ensure!(
            names.insert(&row.name),
            "two rows are called `{}`",
            row.name
        );
    }
    Ok(rows)
}

fn read(path: &Path) -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(path)?;
    let mut rows = toml::from_str::<Rows>(&text)?.row;
    let file = path.file_stem().unwrap_or_default().to_string_lossy();
    for row in &mut rows {
        row.file = file.clone().into_owned();
        row.validate()
            .with_context(|| format!("row `{}`", row.name))?;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
        let rows = read_all(&folder).unwrap();
        assert!(rows.len() >= 200, "there are {} rows", rows.len());
    }

    #[test]
    fn a_row_that_is_wrong_says_where() {
        let row = |expect: &str| {
            let text = format!(
                "[[row]]\nname = \"x\"\nkind = \"x\"\nruns = [\"x\"]\nsteps = []\nexpect = {expect}\n"
            );
            toml::from_str::<Rows>(&text).map(|rows| rows.row.len())
        };
        assert_eq!(row("{ outcome = \"graceful\" }").unwrap(), 1);
        assert_eq!(
            row("[{ outcome = [\"graceful\", \"crashed\"] }]").unwrap(),
            1
        );
        let error = row("{ outcome = \"gracefull\" }").unwrap_err().to_string();
        assert!(
            error.contains("gracefull") && error.contains("line 6"),
            "{error}"
        );
        let error = row("{ outcom = \"graceful\" }").unwrap_err().to_string();
        assert!(error.contains("outcom"), "{error}");
    }
}
