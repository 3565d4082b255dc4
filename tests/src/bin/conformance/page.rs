//! docs/conformance.md: what was expected and reported of each row, and the matrices.

use std::fmt::Write as _;
use std::path::Path;

use agent_core::report::Report;
use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::harness::Tried;

use crate::compare::{finding_kinds, json_name, json_names};
use crate::expect::Expect;
use crate::row::{OneOrMany, Row};
use crate::table::{self, Found};

const HEADER: &str = "\
# Conformance

Written by `cargo xtask conformance --write-docs`; do not edit. The rows are in
[tests/conformance](../tests/conformance/README.md), where you can add one.

Each row is a container with a program that we did not write. A process called `runc` sends it signals from outside, and the
report is compared with what was done. No container has a stop signal configured, unless its row says so. *unsure* means that
the report names a doubt, and that the row allows it: the fact cannot be known. A report that is certain and wrong fails the
run, and so does a doubt that need not be.
";

/// Characters of a command that a cell shows.
const COMMAND_MAX: usize = 70;

/// The page.
pub(crate) fn render(found: &[(&Row, &Tried<Found>)]) -> String {
    let mut text = HEADER.to_owned();
    let total = table::count_outcomes(found.iter().map(|(_, tried)| *tried));
    writeln!(text, "\n{} rows: {total}.", found.len()).ok();
    text.push_str("\n## Confusion matrix\n\n");
    text.push_str(&table::matrices(found).markdown());
    let mut file = "";
    for (row, tried) in found {
        if row.file != file {
            file = &row.file;
            write!(text, "\n## {}\n\n", file.replace('-', " ")).ok();
            text.push_str("| row | runs | steps | expected | reported | |\n| --- | --- | --- | --- | --- | --- |\n");
        }
        let reported: Vec<_> = tried.found.reports.iter().map(reported).collect();
        let result = tried.found.outcome_name(&tried.ending);
        writeln!(
            text,
            "{} {} | {result} |",
            known_part(row),
            escape_cell(&reported.join(" · "))
        )
        .ok();
    }
    text
}

/// The part of a line that the row's file tells.
fn known_part(row: &Row) -> String {
    let what = if row.what.is_empty() {
        String::new()
    } else {
        format!(". {}", row.what)
    };
    let expected = match &row.expect {
        OneOrMany::One(one) => expected(one),
        OneOrMany::Many(all) if all.is_empty() => "no report".to_owned(),
        OneOrMany::Many(all) => all.iter().map(expected).collect::<Vec<_>>().join(" · "),
    };
    format!(
        "| `{}`: {}{} | {} | {} | {} |",
        row.name,
        escape_cell(&row.kind),
        escape_cell(&what),
        code_span(&shorten(&row.command())),
        escape_cell(&row.steps.join(", ")),
        escape_cell(&expected)
    )
}

fn expected(expect: &Expect) -> String {
    if expect.unsure {
        return format!("unsure: {}", json_names(&expect.doubts));
    }
    let mut text = json_names(expect.outcome.as_slice());
    let causes = expect.kill_causes();
    if !causes.is_empty() {
        write!(text, ", SIGKILL: {}", json_names(&causes)).ok();
    }
    for kind in expect.findings(None) {
        write!(text, ", !{}", json_name(&kind)).ok();
    }
    for doubt in &expect.doubts {
        write!(text, ", may doubt {}", json_name(doubt)).ok();
    }
    text
}

fn reported(report: &Report) -> String {
    let mut text = json_name(&report.outcome);
    if let Some(kill) = &report.kill {
        write!(text, ", SIGKILL: {}", json_name(&kill.cause)).ok();
    }
    for kind in finding_kinds(report) {
        write!(text, ", !{}", json_name(&kind)).ok();
    }
    for doubt in &report.doubts {
        write!(text, ", ?{}", json_name(doubt)).ok();
    }
    text
}

fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= COMMAND_MAX {
        return line;
    }
    let start: String = line.chars().take(COMMAND_MAX).collect();
    format!("{start}…")
}

fn code_span(text: &str) -> String {
    format!("`{}`", escape_cell(&text.replace('`', "'")))
}

fn escape_cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Fails if the page has not the rows that there are.
pub(crate) fn check_page(path: &Path, rows: &[Row]) -> Result<()> {
    let page =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut lines: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    for row in rows {
        let known = known_part(row);
        let before = lines.len();
        lines.retain(|line| !line.starts_with(&known));
        ensure!(
            lines.len() + 1 == before,
            "the page has another row `{}` than its file; write it anew with `cargo xtask conformance --write-docs`",
            row.name
        );
    }
    ensure!(
        lines.is_empty(),
        "the page has a row that no file has: {}",
        lines.concat()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gracewatch_tests::harness::Ending;

    use super::*;

    fn test_row(what: &str) -> Row {
        let text = format!(
            "name = 'one'\nkind = 'a kind'\nwhat = '{what}'\nruns = ['sh', '-c', 'a | b']\nsteps = ['wait ready']\n\
             expect = {{ outcome = 'graceful', findings = ['killed_with_main'] }}\n"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn a_page_has_the_rows_that_it_was_written_from_and_no_others() {
        let tried = Tried {
            name: "one".to_owned(),
            found: Found::default(),
            ending: Ending::Passed,
            took: Duration::ZERO,
            log: String::new(),
        };
        let (one, changed) = (test_row("Before"), test_row("After"));
        let page = render(&[(&one, &tried)]);
        assert!(page.contains("`sh -c a \\| b`"), "{page}");
        let path = std::env::temp_dir().join(format!("conformance-{}.md", std::process::id()));
        std::fs::write(&path, page).unwrap();
        let same = check_page(&path, &[one]);
        let other = check_page(&path, &[changed]);
        let none = check_page(&path, &[]);
        std::fs::remove_file(&path).unwrap();
        same.unwrap();
        assert!(other.unwrap_err().to_string().contains("another row `one`"));
        assert!(none.is_err());
    }
}
