//! The error of every measured duration, as a table: how well the agent measures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::check::Compared;

/// One kind of duration: how often it was compared, and how far it was off.
#[derive(Debug)]
struct Row {
    what: &'static str,
    count: usize,
    median: Duration,
    p99: Duration,
    max: Duration,
}

/// The table of all comparisons; the last row is over all of them.
#[derive(Debug)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn of(compared: &[Compared]) -> Self {
        let mut kinds: BTreeMap<&'static str, Vec<Duration>> = BTreeMap::new();
        for one in compared {
            kinds.entry(one.what).or_default().push(one.error());
        }
        let mut rows: Vec<_> = kinds.into_iter().filter_map(|(what, errors)| Row::of(what, errors)).collect();
        rows.extend(Row::of("all", compared.iter().map(Compared::error).collect()));
        Self(rows)
    }

    /// The table as lines for a terminal, or for Markdown.
    pub(crate) fn render(&self) -> String {
        let mut text = String::from("| duration | compared | median | p99 | max |\n| --- | ---: | ---: | ---: | ---: |\n");
        for row in &self.0 {
            let (median, p99, max) = (micros(row.median), micros(row.p99), micros(row.max));
            writeln!(text, "| {} | {} | {median} | {p99} | {max} |", row.what, row.count).ok();
        }
        text
    }

    /// Writes docs/accuracy.md.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let text = format!(
            "# Accuracy\n\n\
             How far the durations in the agent's reports are from the same durations by other clocks: those of the\n\
             terminated process itself (it reads the boot clock when its program begins and right before it exits) and\n\
             of whoever sent the signals (it reads the clock right before and after the system call). The difference\n\
             includes the way of those processes into the kernel and out of it, so the agent's own error is smaller.\n\n\
             Written by `cargo xtask test --only kernel --write-docs`, from one run of the real-kernel tier on Linux\n\
             {release}, many containers at once on a busy machine.\n\n{}",
            self.render()
        );
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Row {
    fn of(what: &'static str, mut errors: Vec<Duration>) -> Option<Self> {
        errors.sort();
        let count = errors.len();
        let rank = |percent: usize| errors.get((count * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Self { what, count, median: rank(50)?, p99: rank(99)?, max: rank(100)? })
    }
}

fn micros(duration: Duration) -> String {
    format!("{:.1} µs", duration.as_secs_f64() * 1e6)
}
