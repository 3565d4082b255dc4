//! What was aimed at, and what was reached.

use crate::cost::{Row, Treatment};
use crate::footprint::mebibytes;
use crate::page::Page;
use crate::slowdown::Load;
use crate::table;

/// An untracked event against the empty program.
const UNTRACKED: f64 = 1.15;
/// A storm of fork, exec and exit against the same without the agent.
const STORM: f64 = 1.01;
/// Resident memory in bytes.
const MEMORY: u64 = 25 << 20;

/// An aim: what it is, what was found, and whether that is it.
#[derive(Debug)]
struct Verdict {
    aim: String,
    found: String,
    reached: bool,
}

/// The table, in Markdown.
pub(crate) fn table(page: &Page) -> String {
    let verdicts = [untracked(page), storm(page), memory(page), losses(page)];
    let rows = verdicts.map(|verdict| {
        let reached = if verdict.reached { "yes" } else { "**no**" };
        vec![verdict.aim, verdict.found, reached.to_owned()]
    });
    table::table(&["aim", "found", "reached"], &rows)
}

fn untracked(page: &Page) -> Verdict {
    let rows = || page.cost.rows.iter().filter(|row| !row.tracked);
    let missed: Vec<&Row> = rows().filter(|row| row.ratio.median > UNTRACKED).collect();
    let words: Vec<String> = missed
        .iter()
        .map(|row| {
            format!(
                "`{}` at {} {:.2}{}",
                row.program,
                row.event,
                row.ratio.median,
                if row.treatment == Treatment::Recorded {
                    " (a record, see below)"
                } else {
                    ""
                }
            )
        })
        .collect();
    let most = rows()
        .filter(|row| row.ratio.median <= UNTRACKED)
        .map(|row| row.ratio.median)
        .fold(0.0, f64::max);
    let others = format!("at most {most:.2} otherwise");
    Verdict {
        aim: format!("an untracked event: at most {UNTRACKED} × an empty program"),
        found: if missed.is_empty() {
            format!("at most {most:.2}")
        } else {
            format!("{}; {others}", words.join(", "))
        },
        reached: missed.is_empty(),
    }
}

fn storm(page: &Page) -> Verdict {
    let of = |load| page.slowdown.of_aim(load).map(|row| row.wall);
    let (Some(agent), Some(noise)) = (of(Load::Agent), of(Load::NothingAgain)) else {
        return Verdict {
            aim: "a storm of fork, exec and exit".to_owned(),
            found: "nothing measured".to_owned(),
            reached: false,
        };
    };
    Verdict {
        aim: format!(
            "a storm of fork, exec and exit: slowed by less than {:.0} %",
            (STORM - 1.0) * 100.0
        ),
        found: format!(
            "{:+.2} %, where two runs without it differ by {:+.2} %",
            (agent.median - 1.0) * 100.0,
            (noise.median - 1.0) * 100.0
        ),
        reached: agent.median < STORM,
    }
}

fn memory(page: &Page) -> Verdict {
    let peaks = page.footprint.iter().map(|of| of.ended.memory.peak);
    let most = peaks.max().unwrap_or(u64::MAX);
    Verdict {
        aim: format!("resident memory: less than {}", mebibytes(MEMORY)),
        found: format!("{} at its peak", mebibytes(most)),
        reached: most < MEMORY,
    }
}

fn losses(page: &Page) -> Verdict {
    let flood = &page.flood;
    Verdict {
        aim: "10 000 exits a second: nothing lost".to_owned(),
        found: format!(
            "{:.0} exits a second; {} of {} records lost",
            flood.per_second(),
            flood.lost,
            flood.records
        ),
        reached: flood.lost < 0.5 && flood.per_second() >= 10_000.0,
    }
}
