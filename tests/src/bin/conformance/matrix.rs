//! The confusion matrix: what was expected against what was reported, with a column of its own for reports that have doubts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use agent_core::report::{FindingKind, Report};

use crate::compare::{finding_kinds, json_name, json_names};
use crate::expect::Expect;

/// What stands for a report that is not certain, and for one that is missing.
const UNSURE: &str = "unsure";
const NO_REPORT: &str = "no report";

/// Pairs of what was expected and what was reported, counted.
#[derive(Debug, Default)]
pub(crate) struct Matrix {
    counts: BTreeMap<(String, String), usize>,
}

impl Matrix {
    fn add(&mut self, expected: String, reported: String) {
        *self.counts.entry((expected, reported)).or_default() += 1;
    }

    fn markdown(&self, title: &str) -> String {
        let expected: BTreeSet<_> = self.counts.keys().map(|(expected, _)| expected).collect();
        let is_value = |name: &&String| name.as_str() != UNSURE && name.as_str() != NO_REPORT;
        let reported: BTreeSet<_> = self
            .counts
            .keys()
            .map(|(_, reported)| reported)
            .filter(is_value)
            .collect();
        let (unsure, missing) = (UNSURE.to_owned(), NO_REPORT.to_owned());
        let columns: Vec<_> = reported.into_iter().chain([&unsure, &missing]).collect();
        let mut text = format!("| {title}: expected ↓ reported → |");
        for column in &columns {
            write!(text, " {column} |").ok();
        }
        text.push_str("\n| --- |");
        text.push_str(&" ---: |".repeat(columns.len()));
        text.push('\n');
        for row in expected {
            write!(text, "| {row} |").ok();
            for column in &columns {
                let count = self.counts.get(&(row.clone(), (*column).clone()));
                let count = count.copied().unwrap_or_default();
                let mark = match count {
                    0 => String::new(),
                    _ if row == *column => format!("**{count}**"),
                    _ => count.to_string(),
                };
                write!(text, " {mark} |").ok();
            }
            text.push('\n');
        }
        text
    }
}

/// How often one finding was and was not where it had to be.
#[derive(Debug, Default)]
struct Found {
    expected: usize,
    right: usize,
    missing: usize,
    needless: usize,
    unsure: usize,
}

/// All matrices.
#[derive(Debug, Default)]
pub(crate) struct Matrices {
    outcomes: Matrix,
    triggers: Matrix,
    causes: Matrix,
    findings: BTreeMap<FindingKind, Found>,
}

impl Matrices {
    /// Adds a report, or that there is none, and what was expected.
    pub(crate) fn add(&mut self, expect: &Expect, report: Option<&Report>) {
        let is_unsure = report.is_some_and(|report| !report.doubts.is_empty());
        let told = |value: String| {
            if is_unsure { UNSURE.to_owned() } else { value }
        };
        let none = || NO_REPORT.to_owned();
        // Where several are right, the one that was reported stands for them.
        let outcome = expect.outcome_of(report.map(|report| report.outcome));
        let expected = outcome.map_or_else(
            || "cannot be known".to_owned(),
            |outcome| json_name(&outcome),
        );
        let reported = report.map_or_else(none, |report| told(json_name(&report.outcome)));
        self.outcomes.add(expected, reported);
        if let Some(trigger) = expect.trigger() {
            let reported = report.map_or_else(none, |report| told(json_name(&report.trigger)));
            self.triggers.add(json_name(&trigger), reported);
        }
        if !expect.unsure {
            let causes = expect.kill_causes();
            let cause = report
                .and_then(|report| report.kill.as_ref())
                .map(|kill| kill.cause);
            let expected = match cause.filter(|cause| causes.contains(cause)) {
                Some(cause) => json_name(&cause),
                None => json_names(&causes),
            };
            let reported = report.map_or_else(none, |_| {
                told(cause.map_or("none".to_owned(), |cause| json_name(&cause)))
            });
            self.causes.add(expected, reported);
            self.add_findings(expect, report, is_unsure);
        }
    }

    fn add_findings(&mut self, expect: &Expect, report: Option<&Report>, is_unsure: bool) {
        let reported = report.map(finding_kinds).unwrap_or_default();
        let expected = expect.findings(report.map(|report| report.outcome));
        for kind in FindingKind::ALL {
            let (is_expected, is_reported) = (expected.contains(&kind), reported.contains(&kind));
            if !is_expected && (!is_reported || expect.may.contains(&kind)) {
                continue;
            }
            let found = self.findings.entry(kind).or_default();
            found.expected += usize::from(is_expected);
            match (is_expected, is_reported) {
                _ if is_unsure => found.unsure += 1,
                (true, true) => found.right += 1,
                (true, false) => found.missing += 1,
                (false, _) => found.needless += 1,
            }
        }
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = [
            self.outcomes.markdown("outcome"),
            self.triggers.markdown("trigger"),
            self.causes.markdown("cause of SIGKILL"),
        ]
        .join("\n");
        text.push_str(
            "\n| finding | expected | reported | missing | reported without cause | unsure |\n",
        );
        text.push_str("| --- | ---: | ---: | ---: | ---: | ---: |\n");
        for (kind, found) in &self.findings {
            let Found {
                expected,
                right,
                missing,
                needless,
                unsure,
            } = found;
            let kind = json_name(kind);
            writeln!(
                text,
                "| {kind} | {expected} | {right} | {missing} | {needless} | {unsure} |"
            )
            .ok();
        }
        text
    }
}
