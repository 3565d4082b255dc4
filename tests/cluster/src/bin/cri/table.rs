//! The table of the results: case, runtime, what is expected, what the agent said, how far its durations are off.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::Args;
use crate::check::Row;
use crate::runner::Results;
use crate::setup::Setup;

/// Prints the table and the failures; whether there are none.
pub(crate) fn show(args: &Args, all: &[(Setup, Results)], took: Duration) -> Result<bool> {
    let text = render(all);
    println!("\n{text}");
    if let Some(path) = &args.table_out {
        std::fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut failed = 0;
    let mut passed = 0;
    for (setup, results) in all {
        for outcome in &results.outcomes {
            if outcome.wrong.is_empty() {
                passed += 1;
                continue;
            }
            failed += 1;
            println!("{} ({}):", outcome.name, setup.says());
            for wrong in &outcome.wrong {
                println!("    {wrong}");
            }
        }
    }
    println!(
        "{passed} passed, {failed} failed in {:.1} s; driver {:?}",
        took.as_secs_f32(),
        args.driver
    );
    Ok(failed == 0)
}

fn render(all: &[(Setup, Results)]) -> String {
    let mut text = String::from(
        "| case | runtime | expected | got | error of durations |\n| --- | --- | --- | --- | --- |\n",
    );
    for (setup, results) in all {
        for outcome in &results.outcomes {
            for row in &outcome.rows {
                let name = if row.container == "app" {
                    outcome.name.clone()
                } else {
                    format!("{} ({})", outcome.name, row.container)
                };
                let got = match (row.got == row.expected, outcome.wrong.is_empty()) {
                    (true, true) => "the same",
                    (true, false) => "the same, but see below",
                    (false, _) => row.got.as_str(),
                };
                // Writing to memory cannot fail.
                writeln!(
                    text,
                    "| {name} | {} | {} | {got} | {} |",
                    setup.says(),
                    row.expected,
                    errors(row)
                )
                .ok();
            }
            if outcome.rows.is_empty() {
                writeln!(
                    text,
                    "| {} | {} | | no report compared | |",
                    outcome.name,
                    setup.says()
                )
                .ok();
            }
        }
    }
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    for (setup, results) in all {
        let (says, versions) = (setup.says(), &results.versions);
        writeln!(text, "\n{says}: {versions}, Linux {release}").ok();
    }
    text
}

fn errors(row: &Row) -> String {
    let each: Vec<_> = row
        .errors
        .iter()
        .map(|(what, error)| format!("{what} {:.0} µs", error.as_secs_f64() * 1e6))
        .collect();
    each.join(", ")
}
