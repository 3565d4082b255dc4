//! The table in the end: scenario, what was expected, what came, and how far durations are off.

use std::fmt::Write as _;
use std::time::Duration;

use gracewatch_tests::harness::Tried;

use crate::check::Check;

/// How one scenario ended.
pub(crate) type Outcome = Tried<Check>;

/// All facts of all scenarios, as Markdown.
pub(crate) fn render(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| scenario | what | expected | got | error | |\n| --- | --- | --- | --- | ---: | --- |\n",
    );
    for outcome in outcomes {
        for row in &outcome.found.0 {
            let error = row.error.map(milliseconds).unwrap_or_default();
            let mark = if row.holds { "" } else { "wrong" };
            writeln!(
                text,
                "| {} | {} | {} | {} | {error} | {mark} |",
                outcome.name,
                escape_cell(&row.what),
                escape_cell(&row.expected),
                escape_cell(&row.got)
            )
            .ok();
        }
    }
    text
}

/// Text that cannot end its cell.
pub(crate) fn escape_cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

pub(crate) fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
