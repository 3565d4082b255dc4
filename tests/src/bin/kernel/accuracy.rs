//! The error of every measured duration, as a table: how well the agent measures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::check::{Clock, Compared};

/// How far the median of all may be from the kernel's trace. A duration by user space's clock would be some hundred
/// microseconds off, one of another hook much more.
const MEDIAN_MAX: Duration = Duration::from_micros(100);

/// The row of all kinds of one clock.
const ALL: &str = "all";

/// One kind of duration: how often it was compared, and how far it was off.
#[derive(Debug)]
struct Row {
    clock: Clock,
    what: &'static str,
    count: usize,
    median: Duration,
    p99: Duration,
    max: Duration,
}

/// The table of all comparisons.
#[derive(Debug)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn from_compared(compared: &[Compared]) -> Self {
        let mut kinds: BTreeMap<(Clock, &'static str), Vec<Duration>> = BTreeMap::new();
        for one in compared {
            kinds
                .entry((one.clock, one.what))
                .or_default()
                .push(one.difference());
            kinds
                .entry((one.clock, ALL))
                .or_default()
                .push(one.difference());
        }
        Self(
            kinds
                .into_iter()
                .filter_map(|((clock, what), errors)| Row::from_errors(clock, what, errors))
                .collect(),
        )
    }

    /// What is wrong with the durations taken together, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let all = self
            .0
            .iter()
            .find(|row| row.clock == Clock::Trace && row.what == ALL)?;
        (all.median > MEDIAN_MAX).then(|| {
            format!(
                "half of the durations are further than {} from the kernel's trace; at the most {} are allowed",
                micros(all.median),
                micros(MEDIAN_MAX)
            )
        })
    }

    /// The table as lines for a terminal, or for Markdown.
    pub(crate) fn render(&self) -> String {
        let mut text = String::from(
            "| clock | duration | compared | median | p99 | max |\n| --- | --- | ---: | ---: | ---: | ---: |\n",
        );
        for row in &self.0 {
            let (median, p99, max) = (micros(row.median), micros(row.p99), micros(row.max));
            let clock = match row.clock {
                Clock::Trace => "tracefs",
                Clock::Processes => "processes",
            };
            writeln!(
                text,
                "| {clock} | {} | {} | {median} | {p99} | {max} |",
                row.what, row.count
            )
            .ok();
        }
        text
    }

    /// Writes docs/accuracy.md.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let release = rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned();
        let text = format!(
            "# Accuracy\n\n\
             How far the durations in the agent's reports are from the same durations by two clocks that it knows nothing of:\n\n\
             * **tracefs**: the kernel's own trace of the same hooks, on the boot clock. It stamps whole microseconds, and its\n  \
               handler runs some microseconds before or after the agent's.\n\
             * **processes**: the boot clock, read by the terminated process when its program begins and right before it exits,\n  \
               and by the sender of each signal right before and after the system call. This includes the way of those\n  \
               processes into the kernel and out of it: loading a program, ending a process.\n\n\
             Written by `cargo xtask test --only kernel --write-docs` from one run of the real-kernel tier on Linux {release},\n\
             with a dozen containers at once.\n\n{}",
            self.render()
        );
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Row {
    fn from_errors(clock: Clock, what: &'static str, mut errors: Vec<Duration>) -> Option<Self> {
        errors.sort();
        let count = errors.len();
        let rank = |percent: usize| {
            errors
                .get((count * percent).div_ceil(100).saturating_sub(1))
                .copied()
        };
        Some(Self {
            clock,
            what,
            count,
            median: rank(50)?,
            p99: rank(99)?,
            max: rank(100)?,
        })
    }
}

fn micros(duration: Duration) -> String {
    format!("{:.1} µs", duration.as_secs_f64() * 1e6)
}
