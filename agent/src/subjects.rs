//! What is to be watched: the options that `run` and `watch` share, and the file of `--subjects`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_core::config::{Config, Limits, Selector};
use agent_core::signal::Signal;
use serde::Deserialize;

use crate::failure::UsageError;
use crate::named_file::{SETTINGS_MIB_MAX, read};

/// A hundred years.
const GRACE_SECONDS_MAX: f64 = 3_155_760_000.0;

const FILE_HELP: &str = "\
Read globs, and the grace, stop signal and preStop hook of what they name, from this file

TOML (name it *.toml), one table for each:

  [[subject]]
  cgroup = \"/demo/*\"
  grace_seconds = 30
  stop_signal = \"SIGQUIT\"
  pre_stop = [\"sh\", \"-c\", \"sleep 5\"]

or the same as JSON (*.json): [{\"cgroup\": \"/demo/*\", \"grace_seconds\": 30}]

At most 1 MiB, and 1000 globs with those of --cgroup. A signal has any name that `kill -l` knows, or a number.";

/// What is to be watched, and where.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Subjects")]
pub struct SubjectArgs {
    /// Watch the cgroups that this glob names, too; can be given several times
    ///
    /// The glob is over paths of the cgroup v2 tree, as /proc/PID/cgroup shows them after `0::`. `*` stays inside one
    /// part of the path, `**` does not: '/kubepods.slice/**/cri-containerd-*.scope'.
    #[arg(long, value_name = "GLOB", env = "GRACEWATCH_CGROUP")]
    pub cgroup: Vec<String>,
    /// Leave systemd's services and scopes out; with Kubernetes they are, unless --systemd is given
    #[arg(long, env = "GRACEWATCH_NO_SYSTEMD")]
    pub no_systemd: bool,
    /// Watch systemd's services and scopes with Kubernetes, too
    #[arg(long, env = "GRACEWATCH_SYSTEMD", conflicts_with = "no_systemd")]
    pub systemd: bool,
    /// Leave the containers of Docker, podman, containerd and CRI-O out
    #[arg(long, env = "GRACEWATCH_NO_CONTAINERS")]
    pub no_containers: bool,
    /// Read globs, and the grace, stop signal and preStop hook of what they name, from this file
    ///
    /// Its format, TOML or JSON, is shown by `--help`.
    #[arg(long, value_name = "FILE", env = "GRACEWATCH_SUBJECTS", long_help = FILE_HELP)]
    pub subjects: Option<PathBuf>,
    /// Where the cgroup v2 tree is mounted [default: where /proc/self/mountinfo says]
    #[arg(long, value_name = "PATH", env = "GRACEWATCH_CGROUP_ROOT")]
    pub cgroup_root: Option<PathBuf>,
    /// Size of the ring buffer between kernel and agent: a power of two, at least 4096
    #[arg(long, value_name = "BYTES", default_value_t = agent_common::map::EVENTS_BYTES, env = "GRACEWATCH_RING_BYTES", value_parser = ring_bytes)]
    pub ring_bytes: u32,
}

impl SubjectArgs {
    /// The engine's configuration: the file's selectors first, so that they can say more of what a glob names. `pods`
    /// tells whether there is Kubernetes, on whose nodes the services are somebody else's.
    ///
    /// # Errors
    /// A [`UsageError`] that names the file, the entry and the field, or that nothing is left to watch.
    pub fn config(&self, pods: bool) -> Result<Config, UsageError> {
        let mut selectors = match &self.subjects {
            Some(path) => read_file(path)?,
            None => Vec::new(),
        };
        selectors.extend(self.cgroup.iter().map(|cgroup| Selector {
            cgroup: cgroup.clone(),
            grace: None,
            stop_signal: None,
            pre_stop: None,
        }));
        if self.no_systemd && self.no_containers && selectors.is_empty() {
            return Err(UsageError::new(
                "nothing is left to watch: name cgroups by --cgroup GLOB, or drop --no-systemd or --no-containers",
            ));
        }
        Ok(Config {
            systemd: !self.no_systemd && (self.systemd || !pods),
            containers: !self.no_containers,
            selectors,
            pods,
            // The probes tell, once they are loaded.
            reset_reasons: None,
            remaining: false,
            limits: Limits::default(),
        })
    }
}

fn ring_bytes(text: &str) -> Result<u32, String> {
    let bytes: u32 = text
        .parse()
        .map_err(|error| format!("{error}; give a number of bytes such as 1048576"))?;
    if bytes.is_power_of_two() && bytes >= 4096 {
        Ok(bytes)
    } else {
        Err("the kernel takes a power of two, at least 4096".to_owned())
    }
}

/// One entry of the file, in units that people write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    cgroup: String,
    grace_seconds: Option<f64>,
    stop_signal: Option<String>,
    pre_stop: Option<Vec<String>>,
}

fn read_file(path: &Path) -> Result<Vec<Selector>, UsageError> {
    let name = path.display();
    let text = read(path, SETTINGS_MIB_MAX).map_err(|error| {
        UsageError::new(format!("cannot read the subjects file {name}: {error}"))
    })?;
    let wrong = |error: String| UsageError::new(format!("the subjects file {name} is not {error}"));
    let document: serde_json::Value = match path.extension().and_then(|end| end.to_str()) {
        Some("toml") => toml::from_str(&text)
            .map(to_json)
            .map_err(|error| wrong(format!("TOML: {}", one_line(&error.to_string()))))?,
        Some("json") => {
            serde_json::from_str(&text).map_err(|error| wrong(format!("JSON: {error}")))?
        }
        Some(_) | None => return Err(wrong("named *.toml or *.json".to_owned())),
    };
    let Some(entries) = entries(document) else {
        return Err(wrong(
            "a list of subjects: write each as a table `[[subject]]`".to_owned(),
        ));
    };
    entries
        .into_iter()
        .zip(1..)
        .map(|(entry, number)| {
            selector(entry)
                .map_err(|error| UsageError::new(format!("subject {number} of {name}: {error}")))
        })
        .collect()
}

/// The same as JSON, which has no `nan` and `inf`: they are words there, and no numbers to any reader.
fn to_json(value: toml::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .map_or_else(|| number.to_string().into(), Value::Number),
        toml::Value::Boolean(on) => on.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(to_json).collect(),
        toml::Value::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| (key, to_json(value)));
            Value::Object(entries.collect())
        }
    }
}

/// The list itself, or what stands under `subject` and nothing else.
fn entries(document: serde_json::Value) -> Option<Vec<serde_json::Value>> {
    if let serde_json::Value::Object(mut table) = document {
        let list = table.remove("subject")?;
        return if table.is_empty() {
            entries(list)
        } else {
            None
        };
    }
    document.as_array().cloned()
}

fn selector(entry: serde_json::Value) -> Result<Selector, String> {
    let entry: Entry = serde_path_to_error::deserialize(entry).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if path == "." {
            cause.to_string()
        } else {
            format!("field `{path}`: {cause}")
        }
    })?;
    let grace = entry.grace_seconds.map(parse_grace).transpose()?;
    let stop_signal = entry
        .stop_signal
        .map(|signal| {
            signal
                .parse::<Signal>()
                .map_err(|error| format!("field `stop_signal`: {error}"))
        })
        .transpose()?;
    if entry.pre_stop.as_ref().is_some_and(Vec::is_empty) {
        return Err(
            "field `pre_stop`: it is empty; give the command line, or leave it out".to_owned(),
        );
    }
    Ok(Selector {
        cgroup: entry.cgroup,
        grace,
        stop_signal,
        pre_stop: entry.pre_stop,
    })
}

fn parse_grace(seconds: f64) -> Result<Duration, String> {
    if seconds <= GRACE_SECONDS_MAX {
        // What is left to refuse is negative.
        Duration::try_from_secs_f64(seconds).map_err(|error| {
            format!("field `grace_seconds`: {error}; give the seconds as a number")
        })
    } else {
        Err(format!(
            "field `grace_seconds`: {seconds} is longer than any grace period; give at most {GRACE_SECONDS_MAX}"
        ))
    }
}

/// A parser's message that spans lines, as one sentence.
fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests;
