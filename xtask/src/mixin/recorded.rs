//! The tests of the alerts: series cut from what the agent showed in recorded runs, and whether the alert must fire.
//!
//! promtool's time begins with 1970. The agent is scraped each minute from 0:00 on; a workload's counters begin at 0:10 with
//! the value of the recording, as they did when the run came to that; a value that is changed changes at 0:30. What fires must
//! do so at 0:40.

mod cases;
mod page;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};

use super::Made;
use super::render::FOLDER;
use crate::cache;
use cases::{ALL, Case, Expected};
use page::{Labels, Sample};

/// Labels that the scrape adds to everything of an agent.
const TARGET: [&str; 3] = ["job", "instance", "node"];

/// The file with all tests.
pub(super) fn make_tests() -> Result<Vec<Made>> {
    let mut text = String::from(
        "# Cut from tests/recordings by `cargo xtask mixin`; do not edit.\n\
         rule_files: [../rules/alerts.yaml, ../rules/rules.yaml]\n\
         evaluation_interval: 1m\n\
         tests:\n",
    );
    for case in ALL {
        let name = case.name();
        write_case(case, &mut text).with_context(|| format!("the test `{name}`"))?;
    }
    Ok(vec![Made {
        path: format!("{FOLDER}/tests/alerts.yaml"),
        text,
    }])
}

/// The alerts for which there is no run in which they fire, or none in which they do not: a sentence each.
pub(super) fn untested<'a>(alerts: impl Iterator<Item = &'a str>) -> Vec<String> {
    alerts
        .filter(|alert| {
            let of = |quiet: bool| {
                ALL.iter()
                    .any(|case| case.alert == *alert && (case.expected == Expected::Quiet) == quiet)
            };
            !of(true) || !of(false)
        })
        .map(|alert| format!("the alert {alert} needs a run in which it fires, and one in which it does not: xtask/src/mixin/recorded/cases.rs"))
        .collect()
}

fn write_case(case: &Case, text: &mut String) -> Result<()> {
    let path = cache::workspace()
        .join("tests/recordings")
        .join(case.recording)
        .with_extension("metrics.txt");
    let page = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let cut: Vec<Sample> = page::samples(&page)
        .filter(|sample| case.cut.contains(&sample.name.as_str()))
        .collect();
    ensure!(
        cut.len() >= case.cut.len(),
        "the recording {} has none of {:?}",
        case.recording,
        case.cut
    );
    let (mut series, mut expected) = (BTreeMap::new(), Vec::new());
    for node in 1..=case.nodes {
        let target = target(node);
        series.insert(
            Sample::written("up", &target),
            format!("{}x90", u8::from(!case.down)),
        );
        let started = Sample::written("gracewatch_start_time_seconds", &target);
        series.insert(started, format!("{}x90", case.started));
        for sample in &cut {
            let (sample, values) = values(case, sample);
            let mut labels = sample.labels.clone();
            labels.extend(target.clone());
            if case.is_expected(&sample) {
                expected.push(case.alert_labels(&labels));
            }
            series.insert(Sample::written(&sample.name, &labels), values);
        }
    }
    for (beside, values) in case.beside {
        series.insert((*beside).to_owned(), (*values).to_owned());
    }
    ensure!(
        case.expected == Expected::Quiet || !expected.is_empty() || case.whole.is_some(),
        "nothing in the recording {} is what the alert is about",
        case.recording
    );
    expected.extend(case.whole.map(case_labels));
    expected.sort();
    expected.dedup();
    write(case, &series, &expected, text);
    Ok(())
}

fn case_labels(whole: &[(&str, &str)]) -> Labels {
    whole
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// What is scraped of a sample: as it was recorded, from when on, and what was changed.
fn values(case: &Case, recorded: &Sample) -> (Sample, String) {
    let mut sample = recorded.clone();
    let changed = case
        .changed
        .iter()
        .find(|change| change.applies_to(recorded));
    if let Some((label, value)) = changed.and_then(|change| change.label) {
        sample.labels.insert(label.to_owned(), value.to_owned());
    }
    let value = &sample.value;
    let values = match changed.and_then(|change| change.value) {
        // Of an agent: it stood at what was recorded until then.
        Some(now) => format!("{value}x29 {now}x60"),
        None if sample.name.starts_with("workload_") => format!("_x10 {value}x80"),
        None => format!("{value}x90"),
    };
    (sample, values)
}

fn target(node: u32) -> Labels {
    let values = [
        "gracewatch".to_owned(),
        format!("10.0.0.{node}:8637"),
        format!("node-{node}"),
    ];
    TARGET.map(str::to_owned).into_iter().zip(values).collect()
}

fn write(case: &Case, series: &BTreeMap<String, String>, expected: &[Labels], text: &mut String) {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    writeln!(
        text,
        "- name: {}\n  interval: 1m\n  input_series:",
        quoted(&case.name())
    )
    .ok();
    for (series, values) in series {
        writeln!(
            text,
            "  - series: {}\n    values: {}",
            quoted(series),
            quoted(values)
        )
        .ok();
    }
    let alert = case.alert;
    let query = quoted(&format!(
        "ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}"
    ));
    writeln!(
        text,
        "  promql_expr_test:\n  - expr: {query}\n    eval_time: {}m\n    exp_samples:{}",
        case.at_minute,
        if case.expected == Expected::Quiet {
            " []"
        } else {
            ""
        }
    )
    .ok();
    if case.expected == Expected::Quiet {
        return;
    }
    for labels in expected {
        let mut labels = labels.clone();
        labels.insert("alertname".to_owned(), alert.to_owned());
        labels.insert("alertstate".to_owned(), "firing".to_owned());
        labels.insert("severity".to_owned(), case.severity.to_owned());
        let labels = quoted(&Sample::written("ALERTS", &labels));
        writeln!(text, "    - labels: {labels}\n      value: 1").ok();
    }
}
