//! docs/kubernetes.md: each scenario in one line, and how far durations and times were off.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::check::Row;
use crate::table::{Outcome, escape_cell, milliseconds};

const HEADER: &str = "\
# Kubernetes

Written by `cargo xtask test --only e2e --write-docs`, or `cargo xtask e2e --page-out`, from one run; do not edit. All facts,
with what the metrics said, are in what `--table-out` writes.

Pods of a real cluster are terminated, and what the agent's DaemonSet says of it over HTTP is compared with what the scenario
did, with the pod's status, with the Events on it, and with these clocks, which the agent knows nothing of:

* **the container**, **the hook**: the boot clock as the pod's own script read it when its trap or hook began and right before
  it ended. It has hundredths of a second, and shells need some milliseconds to read it.
* **kubelet**, **containerd**: the times in their logs, around the calls that they make; a hook's has the start of a process
  in the container in it, and an exit's the runtime's way of hearing of it.
* **the grace**, **the floor**: what the specification and the kubelet's two seconds allow.

The logs and scripts bound how exact this can be, on a machine with six scenarios at once; how exact the agent is, tells
[accuracy.md](accuracy.md).
";

/// What a report concludes, in this order.
const VERDICT: [&str; 7] = [
    "outcome",
    "trigger",
    "hook",
    "method",
    "how the hook went",
    "findings",
    "doubts",
];

/// Writes the page to `path`.
pub(crate) fn write(path: &Path, versions: &[String], outcomes: &[Outcome]) -> Result<()> {
    fs::write(path, render(versions, outcomes))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn render(versions: &[String], outcomes: &[Outcome]) -> String {
    let mut text = format!("{HEADER}\n## What ran\n\n");
    for version in versions {
        writeln!(text, "* {version}").ok();
    }
    text.push_str(
        "\n## Scenarios\n\n| scenario | the report must say | it said | facts compared | farthest off |\n\
         | --- | --- | --- | ---: | --- |\n",
    );
    for outcome in outcomes {
        let rows = &outcome.found.0;
        writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            outcome.name,
            escape_cell(&verdict(rows)),
            escape_cell(&describe_differences(rows)),
            rows.len(),
            escape_cell(&farthest(rows))
        )
        .ok();
    }
    text.push_str(
        "\n## Durations and times\n\n| what, and by whose clock | compared | median | max |\n\
         | --- | ---: | ---: | ---: |\n",
    );
    for (what, mut errors) in errors(outcomes.iter().flat_map(|outcome| &outcome.found.0)) {
        errors.sort();
        let of = |index: usize| errors.get(index).copied().unwrap_or_default();
        let (median, max) = (of((errors.len() - 1) / 2), of(errors.len() - 1));
        writeln!(
            text,
            "| {what} | {} | {} | {} |",
            errors.len(),
            milliseconds(median),
            milliseconds(max)
        )
        .ok();
    }
    text
}

/// What the reports of a scenario must conclude: each word once.
fn verdict(rows: &[Row]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for what in VERDICT {
        for row in rows.iter().filter(|row| row.what == what) {
            let word = without_wrapper(&row.expected);
            if !word.is_empty() && !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words.join(", ")
}

/// A value without what Rust puts around it; empty for what is not there.
fn without_wrapper(value: &str) -> &str {
    let value = value
        .strip_prefix("Some(")
        .and_then(|inner| inner.strip_suffix(')'))
        .unwrap_or(value);
    let value = value.trim_start_matches('[').trim_end_matches(']');
    if value == "None" { "" } else { value }
}

/// What was otherwise than expected, if anything.
fn describe_differences(rows: &[Row]) -> String {
    let wrong: Vec<_> = rows
        .iter()
        .filter(|row| !row.holds)
        .map(|row| format!("{}: {}", row.what, row.got))
        .collect();
    match (rows.is_empty(), wrong.is_empty()) {
        (true, _) => "nothing".to_owned(),
        (false, true) => "the same".to_owned(),
        (false, false) => format!("**wrong**: {}", wrong.join("; ")),
    }
}

/// The farthest of each kind of duration.
fn farthest(rows: &[Row]) -> String {
    let each: Vec<_> = errors(rows)
        .into_iter()
        .filter_map(|(what, errors)| {
            Some(format!(
                "{what} {}",
                milliseconds(errors.into_iter().max()?)
            ))
        })
        .collect();
    each.join(", ")
}

/// How far off each kind of duration was, each time.
fn errors<'a>(rows: impl IntoIterator<Item = &'a Row>) -> BTreeMap<&'a str, Vec<Duration>> {
    let mut errors: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for row in rows {
        if let Some(error) = row.error {
            errors.entry(&row.what).or_default().push(error);
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Check, Off};

    #[test]
    fn a_scenario_is_told_in_one_line() {
        let mut check = Check::default();
        check.require_equal("outcome", "Graceful", "Graceful");
        check.require_equal("trigger", Some(1), Some(1));
        check.require_equal::<Option<u8>>("hook", None, None);
        let second = Duration::from_secs(1);
        check.check_duration("hook", Some(second), second * 3, ("kubelet", Off::More));
        let rows = &check.0;
        assert_eq!(verdict(rows), "\"Graceful\", 1");
        assert_eq!(
            describe_differences(rows),
            "**wrong**: hook (by kubelet): 1.000 s"
        );
        assert_eq!(farthest(rows), "hook (by kubelet) 2000.0 ms");
    }
}
