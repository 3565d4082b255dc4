//! The table of the results: case, runtime, what is expected, what the agent said, how far its durations are off.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gracewatch_tests::harness::{Played, Tried};

use crate::Args;
use crate::check::Row;
use crate::runner::Found;
use crate::setup::Setup;

/// Prints the table and the failures; whether all passed.
pub(crate) fn print_table(
    args: &Args,
    played: &Played<Found>,
    versions: &[(Setup, String)],
    took: Duration,
) -> Result<bool> {
    let text = render(&played.tried, versions);
    println!("\n{text}");
    if let Some(path) = &args.table_out {
        std::fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let stages = played.summary();
    print!("{stages}");
    if let Some(path) = &args.stages_out {
        std::fs::write(path, stages).with_context(|| format!("cannot write {}", path.display()))?;
    }
    for tried in played.tried.iter().filter(|tried| !tried.ending.passed()) {
        println!("{} ({}):", tried.name, tried.found.setup.description());
        for wrong in tried.ending.details() {
            println!("    {wrong}");
        }
    }
    println!(
        "{} passed, {} failed in {:.1} s; driver {:?}",
        played.tried.len() - played.failed(),
        played.failed(),
        took.as_secs_f32(),
        args.driver
    );
    Ok(played.passed())
}

fn render(tried: &[Tried<Found>], versions: &[(Setup, String)]) -> String {
    let mut text = String::from(
        "| case | runtime | expected | got | error of durations |\n| --- | --- | --- | --- | --- |\n",
    );
    for one in tried {
        let says = one.found.setup.description();
        for row in &one.found.check.rows {
            let name = if row.container == "app" {
                one.name.clone()
            } else {
                format!("{} ({})", one.name, row.container)
            };
            let got = match (row.got == row.expected, one.ending.passed()) {
                (true, true) => "the same",
                (true, false) => "the same, but see below",
                (false, _) => row.got.as_str(),
            };
            // Writing to memory cannot fail.
            writeln!(
                text,
                "| {name} | {says} | {} | {got} | {} |",
                row.expected,
                errors(row)
            )
            .ok();
        }
        if one.found.check.rows.is_empty() {
            writeln!(text, "| {} | {says} | | no report compared | |", one.name).ok();
        }
    }
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    for (setup, versions) in versions {
        let says = setup.description();
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
