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
/// Containers of a large node: a kubelet takes 110 pods unless it is told otherwise.
const NODE: usize = 500;

/// An aim: what it is, what was found, and whether that is it.
#[derive(Debug)]
struct Verdict {
    aim: String,
    found: String,
    reached: bool,
}

/// The table, in Markdown, and what is to be said of what was missed.
pub(crate) fn aims_table(page: &Page) -> String {
    let verdicts = [
        untracked(page),
        storm_verdict(page),
        memory(page),
        losses(page),
        resets(page),
    ];
    let rows = verdicts.map(|verdict| {
        let reached = if verdict.reached { "yes" } else { "**no**" };
        vec![verdict.aim, verdict.found, reached.to_owned()]
    });
    let table = table::render_table(&["aim", "found", "reached"], &rows);
    let mut missed: Vec<String> = missed(page).map(|row| reason(page, row)).collect();
    missed.dedup();
    if missed.is_empty() {
        table
    } else {
        format!("{table}\nWhat was missed, and why:\n\n{}", missed.concat())
    }
}

/// Untracked events that cost more than was aimed at, those that are recorded last.
fn missed(page: &Page) -> impl Iterator<Item = &Row> {
    let of = |is_recorded: bool| {
        page.cost.rows.iter().filter(move |row| {
            let is_missed = !row.tracked && row.ratio.median > UNTRACKED;
            is_missed && (row.treatment == Treatment::Recorded) == is_recorded
        })
    };
    of(false).chain(of(true))
}

/// Why an untracked event costs more, and what it would take.
fn reason(page: &Page, row: &Row) -> String {
    match row.treatment {
        Treatment::Recorded => "* A new cgroup is recorded although nobody tracks it yet, because only the agent can tell from its path whether it\n  \
            is a container. Most of that time goes into waking the agent. A filter of paths in the kernel would spare it; it\n  \
            would have to know every pattern of every runtime.\n"
            .to_owned(),
        Treatment::LookedUp => "* A refused connection has no socket, and so no cgroup to filter by: its port and its network namespace are read from\n  \
            the packet and looked up. On a machine that refuses none it costs nothing.\n"
            .to_owned(),
        Treatment::PassedOver | Treatment::Counted => filter(page),
    }
}

fn filter(page: &Page) -> String {
    let mut rows = page.cost.rows.iter();
    let hot = rows.find(|row| !row.tracked && row.event == "SIGTERM");
    format!(
        "* The filter is the same everywhere, and where it runs again and again, at SIGTERM, it costs {:.2} times the empty\n  \
         program. Right after an exec, in the middle of an exit or of a change of cgroups the caches are cold, and the way to\n  \
         the cgroup's id is some loads that wait for each other. It would take an id in the task itself, which the kernel\n  \
         does not have. Of the time of a storm it is little: see the last line of *Per event*.\n",
        hot.map_or(f64::NAN, |row| row.ratio.median)
    )
}

fn untracked(page: &Page) -> Verdict {
    let words: Vec<String> = missed(page)
        .map(|row| format!("{:.2} ({})", row.ratio.median, row.event))
        .collect();
    let others = page.cost.rows.iter().filter(|row| !row.tracked);
    let most = others
        .map(|row| row.ratio.median)
        .filter(|ratio| *ratio <= UNTRACKED)
        .fold(0.0, f64::max);
    let found = if words.is_empty() {
        format!("at most {most:.2}")
    } else {
        format!("{}; signals and others at most {most:.2}", words.join(", "))
    };
    Verdict {
        aim: format!("an untracked event: at most {UNTRACKED} × an empty program"),
        found,
        reached: words.is_empty(),
    }
}

fn storm_verdict(page: &Page) -> Verdict {
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
            percent(STORM)
        ),
        found: format!(
            "{:+.2} %; without it {:+.2} % (half of the rounds from {:+.2} to {:+.2} %)",
            percent(agent.median),
            percent(noise.median),
            percent(noise.low),
            percent(noise.high)
        ),
        reached: agent.median < STORM,
    }
}

/// How much more than 1 a ratio is.
fn percent(ratio: f64) -> f64 {
    (ratio - 1.0) * 100.0
}

fn memory(page: &Page) -> Verdict {
    let found: Vec<String> = page
        .footprint
        .iter()
        .map(|of| {
            let peak = mebibytes(of.ended.memory.peak);
            format!("{peak} at the peak with {} containers", of.containers)
        })
        .collect();
    let of_a_node = page.footprint.iter().filter(|of| of.containers <= NODE);
    let peak = of_a_node.map(|of| of.ended.memory.peak).max();
    Verdict {
        aim: format!(
            "resident memory with up to {NODE} containers: less than {}",
            mebibytes(MEMORY)
        ),
        found: found.join(", "),
        reached: peak.is_some_and(|peak| peak < MEMORY),
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

fn resets(page: &Page) -> Verdict {
    let resets = &page.resets;
    Verdict {
        aim: "a flood of resets: counted exactly, nothing lost".to_owned(),
        found: format!(
            "{} sent and {} received of {}; {} records lost",
            resets.sent, resets.received, resets.connections, resets.lost
        ),
        reached: resets.is_exact() && resets.lost < 0.5,
    }
}
