//! What the agent says of a recorded journal: the texts that are committed beside each recording as `*.reports.jsonl`,
//! `*.metrics.txt` and `*.timeline.txt`, and compared byte for byte.

use std::io::BufRead;

use agent_core::output::Output;
use agent_core::report::Report;
use anyhow::Result;
use gracewatch::metrics::exposition::Format;
use gracewatch::metrics::{Metrics, Retention};
use gracewatch::terminal::Style;
use gracewatch::timeline;

/// Everything that is made of a journal, each with the ending of its file's name.
pub fn render_journal(journal: impl BufRead) -> Result<[(&'static str, String); 3]> {
    let metrics = Metrics::new(Retention::default());
    let (mut reports, mut timelines) = (String::new(), String::new());
    gracewatch::replay::replay(journal, |output, now| {
        metrics.record(output, now);
        if let Output::Finished(report) = output {
            reports.push_str(&serde_json::to_string(report)?);
            reports.push('\n');
            timelines.push_str(&timeline::render(report, &Style::PLAIN));
            timelines.push('\n');
        }
        Ok(())
    })?;
    let metrics = String::from_utf8(metrics.encode(Format::Text)?)?;
    Ok([
        ("reports.jsonl", reports),
        ("metrics.txt", in_order(&metrics)),
        ("timeline.txt", timelines),
    ])
}

/// All reports of a journal. Of those that are finished an agent itself remembers the last ones only.
pub fn reports(journal: impl BufRead) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    gracewatch::replay::replay(journal, |output, _now| {
        if let Output::Finished(report) = output {
            reports.push(report.as_ref().clone());
        }
        Ok(())
    })?;
    Ok(reports)
}

/// The series of each family in the order of their labels; the registry hands them out in any. Buckets stay as they are.
fn in_order(exposition: &str) -> String {
    let lines: Vec<_> = exposition.split_inclusive('\n').collect();
    let families = lines.chunk_by(|one, next| one.starts_with('#') == next.starts_with('#'));
    let sorted = families.flat_map(|family| {
        let mut family = family.to_vec();
        if family.first().is_some_and(|line| !line.starts_with('#')) {
            family.sort_by_key(|line| {
                line.split_once(",le=\"")
                    .map_or(*line, |(series, _)| series)
            });
        }
        family
    });
    sorted.collect()
}

#[cfg(test)]
mod tests;
