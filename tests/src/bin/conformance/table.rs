//! What was found of each row.

use std::fmt;

use agent_core::report::Report;
use gracewatch_tests::harness::{Disagreements, Ending, Judged, Tried};

use crate::compare::{Worth, compare_report, json_name};
use crate::matrix::Matrices;
use crate::row::Row;

/// What was found of one row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) reports: Vec<Report>,
    /// What each expected report is worth, and where it differs.
    pub(crate) judged: Vec<(Worth, Vec<String>)>,
    expected: usize,
}

impl Found {
    /// Compares the reports with what the row expects.
    pub(crate) fn compare(&mut self, row: &Row) {
        let expected = row.expect.as_slice();
        self.expected = expected.len();
        let pairs = self.reports.iter().zip(expected);
        self.judged = pairs
            .map(|(report, expect)| compare_report(report, expect, &row.never))
            .collect();
        self.judged.extend(self.surplus(self.reports.len()));
        if row.or_counted && self.reports.is_empty() {
            let words = vec!["no report; it is counted".to_owned()];
            self.judged.push((Worth::Unsure, words));
        }
    }

    fn surplus(&self, count: usize) -> Option<(Worth, Vec<String>)> {
        let expected = self.expected;
        let last = self.reports.last().map(|report| json_name(&report.outcome));
        let last = last.unwrap_or_default();
        let words = format!("{count} reports, and there were {expected} stops; the last is {last}");
        (count > expected).then(|| (Worth::Wrong, vec![words]))
    }

    /// Counts the reports once more after all rows: a second one may come late.
    pub(crate) fn count_again(&mut self, reports: Vec<Report>, ending: &mut Ending) {
        let was_judged =
            matches!(ending, Ending::Passed | Ending::Wrong(_)) && !self.judged.is_empty();
        if !was_judged || reports.len() <= self.reports.len() {
            return;
        }
        self.reports = reports;
        if let Some(surplus) = self.surplus(self.reports.len()) {
            let mut wrong = ending.details().to_vec();
            wrong.extend(surplus.1.clone());
            *ending = Ending::Wrong(wrong);
            self.judged.push(surplus);
        }
    }

    /// The worst of what it is worth.
    pub(crate) fn worst_worth(&self) -> Option<Worth> {
        self.judged.iter().map(|(worth, _)| *worth).max()
    }

    /// One word for a try with this.
    pub(crate) fn outcome_name(&self, ending: &Ending) -> &'static str {
        match (ending, self.worst_worth()) {
            (Ending::StageFailed(_), _) => "no stage",
            (Ending::Wrong(_), None) => Worth::Wrong.as_str(),
            (Ending::Passed, None) => Worth::Right.as_str(),
            (Ending::Passed | Ending::Wrong(_), Some(worth)) => worth.as_str(),
        }
    }
}

impl Judged for Found {
    fn disagreements(&self) -> Disagreements {
        let failed = self.judged.iter().filter(|(worth, _)| !worth.passes());
        let words = failed.flat_map(|(worth, words)| {
            let word = worth.as_str();
            words.iter().map(move |words| format!("{word}: {words}"))
        });
        Disagreements {
            wrong: words.collect(),
            ..Disagreements::default()
        }
    }
}

/// Rows with what was found of them, in the order of the rows.
pub(crate) fn in_order<'a>(
    rows: &'a [Row],
    tried: &'a [Tried<Found>],
) -> Vec<(&'a Row, &'a Tried<Found>)> {
    let of = |row: &'a Row| Some((row, tried.iter().find(|tried| tried.name == row.name)?));
    rows.iter().filter_map(of).collect()
}

/// The matrices of rows that were judged.
pub(crate) fn matrices(found: &[(&Row, &Tried<Found>)]) -> Matrices {
    let mut matrices = Matrices::default();
    for (row, tried) in found {
        if matches!(tried.ending, Ending::StageFailed(_)) {
            continue;
        }
        for (number, expect) in row.expect.as_slice().iter().enumerate() {
            matrices.add(expect, tried.found.reports.get(number));
        }
    }
    matrices
}

/// How many rows are right, unsure and wrong.
#[derive(Debug, Default)]
pub(crate) struct Total {
    right: usize,
    unsure: usize,
    misjudged: usize,
    wrong: usize,
}

/// Counts.
pub(crate) fn count_outcomes<'a>(tried: impl IntoIterator<Item = &'a Tried<Found>>) -> Total {
    let mut total = Total::default();
    for one in tried {
        let count = match (&one.ending, one.found.worst_worth()) {
            (Ending::StageFailed(_), _) => continue,
            (Ending::Wrong(_), None) | (_, Some(Worth::Wrong)) => &mut total.wrong,
            (Ending::Passed, None) | (_, Some(Worth::Right)) => &mut total.right,
            (_, Some(Worth::Unsure)) => &mut total.unsure,
            (_, Some(Worth::Misjudged)) => &mut total.misjudged,
        };
        *count += 1;
    }
    total
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            right,
            unsure,
            misjudged,
            wrong,
        } = self;
        write!(
            f,
            "{right} right, {unsure} unsure where nobody can know, {misjudged} needlessly unsure, {wrong} wrong"
        )
    }
}
