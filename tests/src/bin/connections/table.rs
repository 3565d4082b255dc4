//! The numbers as tables: one of each case for the terminal, and one of all for the page.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use gracewatch_tests::harness::Tried;

use crate::case::Case;
use crate::expected::describe_class;
use crate::row::Row;
use crate::verdict::Verdict;

/// What one case says, for the terminal.
pub(crate) fn of_case(verdict: &Verdict) -> String {
    let mut text = String::new();
    if !verdict.rows.is_empty() {
        push_line(
            &mut text,
            ["", "expected", "report", "metrics", "capture", "clients"],
        );
    }
    for row in &verdict.rows {
        let mark = if row.agrees() { "" } else { "  ◀ differs" };
        let cells = [
            row.what.to_owned(),
            or_dash(row.expected),
            row.report.to_string(),
            or_dash(row.metrics),
            or_dash(row.capture),
            or_dash(row.clients),
        ];
        push_line(&mut text, cells.each_ref().map(String::as_str));
        if !mark.is_empty() {
            text.truncate(text.trim_end().len());
            text.push_str(mark);
            text.push('\n');
        }
    }
    for (class, count) in &verdict.classes {
        writeln!(text, "    {count} × {}", describe_class(class)).ok();
    }
    if let Some(error) = verdict.arrival_error {
        writeln!(
            text,
            "    last arrival: {} from the capture's",
            millis(error)
        )
        .ok();
    }
    for note in &verdict.notes {
        writeln!(text, "    {note}").ok();
    }
    text
}

fn push_line(text: &mut String, cells: [&str; 6]) {
    let [first, rest @ ..] = cells;
    write!(text, "    {first:<28}").ok();
    for cell in rest {
        write!(text, "{cell:>12}").ok();
    }
    text.push('\n');
}

fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

/// All cases in one table, for the page.
pub(crate) fn of_all(tried: &[Tried<Verdict>], cases: &[Case]) -> String {
    let mut text = String::from("| case |");
    let names = tried
        .iter()
        .map(|tried| &tried.found.rows)
        .find(|rows| !rows.is_empty());
    let shown = |row: &&Row| row.capture.is_some();
    let names: Vec<_> = names
        .into_iter()
        .flatten()
        .filter(shown)
        .map(|row| row.what)
        .collect();
    for name in &names {
        write!(text, " {name} |").ok();
    }
    text.push_str(" resets | last arrival |\n| --- |");
    text.push_str(&" ---: |".repeat(names.len()));
    text.push_str(" --- | ---: |\n");
    for one in tried {
        let (name, verdict) = (&one.name, &one.found);
        let case = cases.iter().find(|case| case.name == name);
        let what = case.map(|case| case.what).unwrap_or_default();
        write!(text, "| `{name}`: {what} |").ok();
        for row in verdict.rows.iter().filter(shown) {
            write!(
                text,
                " {} · {} · {} |",
                row.report,
                or_dash(row.capture),
                or_dash(row.clients)
            )
            .ok();
        }
        let classes: Vec<_> = verdict
            .classes
            .iter()
            .map(|(class, count)| format!("{count} {}", describe_class(class)))
            .collect();
        let error = verdict.arrival_error.map(millis);
        writeln!(text, " {} | {} |", classes.join("<br>"), or_dash(error)).ok();
    }
    text
}

fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}
