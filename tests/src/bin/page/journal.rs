//! Recordings made into what a case needs: shortened, or with other names in them.

use std::fs;
use std::path::{Path, PathBuf};

use agent_core::report::Report;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The recordings of these names.
pub(crate) fn recording_paths(recordings: &Path, names: &[&str]) -> Vec<PathBuf> {
    names
        .iter()
        .map(|name| recordings.join(format!("{name}.jsonl")))
        .collect()
}

/// The reports that a recording must give.
pub(crate) fn reports(recordings: &Path, name: &str) -> Result<Vec<Report>> {
    let path = recordings.join(format!("{name}.reports.jsonl"));
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let reports = text
        .lines()
        .map(|line| serde_json::from_str(line).map_err(Into::into));
    reports.collect()
}

/// A copy of a recording without whatever names the container of its last termination: in those of a cluster, the agent's own.
pub(crate) fn without_last(recordings: &Path, name: &str, folder: &Path) -> Result<PathBuf> {
    let last = reports(recordings, name)?.pop();
    let subject = last
        .with_context(|| format!("{name} has no report"))?
        .subject;
    let number = subject.cgroup.0;
    let mut names = vec![format!(":{number},"), format!(":{number}}}")];
    names.extend(
        [subject.container_id, subject.pod_uid]
            .into_iter()
            .flatten(),
    );
    let text = read(recordings, name)?;
    let is_kept = |line: &&str| !names.iter().any(|name| line.contains(name));
    let kept: String = text.split_inclusive('\n').filter(is_kept).collect();
    write(folder, name, &kept)
}

/// A copy of a recording in which names are others. Each must be in it.
pub(crate) fn renamed(
    recordings: &Path,
    name: &str,
    names: &[(&str, &str)],
    folder: &Path,
) -> Result<PathBuf> {
    let mut text = read(recordings, name)?;
    for (from, to) in names {
        let from = Value::from(*from).to_string();
        ensure!(text.contains(&from), "{name} has no {from}");
        text = text.replace(&from, &Value::from(*to).to_string());
    }
    write(folder, &format!("{name}-renamed"), &text)
}

fn read(recordings: &Path, name: &str) -> Result<String> {
    let path = recordings.join(format!("{name}.jsonl"));
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(format!("{name}.jsonl"));
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
