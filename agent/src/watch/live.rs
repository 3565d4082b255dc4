//! Terminations on a terminal: finished ones scroll by as in any log, the open ones are drawn again and again in a few
//! lines below them. So the terminal's own scrollback holds everything.

use std::collections::BTreeMap;
use std::io::{self, Write};

use agent_core::report::Report;
use agent_core::time::Timestamp;

use super::sink::{Counts, Size, View};
use crate::terminal::text::Line;
use crate::terminal::{DIM, ODD, Style, style_of_stdout};
use crate::timeline;

/// Lines of the terminal that open terminations leave to the rest.
const ROWS_LEFT: usize = 4;
/// <https://gist.github.com/christianparpart/d8a62cc1ab659194337d73e399004036>: terminals that know it show what
/// stands between these at once, others pass over them.
const AT_ONCE: (&str, &str) = ("\u{1b}[?2026h", "\u{1b}[?2026l");

/// The terminal.
#[derive(Debug)]
pub(super) struct Live<W> {
    out: W,
    open: BTreeMap<u64, Report>,
    /// Lines that are to be drawn over.
    drawn: usize,
    /// What to write above the open terminations at the next refresh.
    above: String,
    counts: Option<Counts>,
    style: Style,
}

impl<W: Write> Live<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            open: BTreeMap::new(),
            drawn: 0,
            above: String::new(),
            counts: None,
            style: style_of_stdout(),
        }
    }

    /// The lines about what is open, and one about everything.
    fn status_lines(&self, size: Size, counts: Counts, now: Timestamp) -> Vec<String> {
        let style = &size.style;
        let room = size
            .rows
            .unwrap_or(usize::MAX)
            .saturating_sub(ROWS_LEFT)
            .max(1);
        let mut lines: Vec<_> = self
            .open
            .values()
            .take(room)
            .map(|report| timeline::render_open(report, now, style))
            .collect();
        let more = self.open.len().saturating_sub(room);
        let mut line = Line::new(style);
        if let Some(followed) = counts.followed {
            line.painted(DIM, &format!("{followed} followed · "));
        }
        line.painted(DIM, &format!("{} terminating", self.open.len()));
        if more > 0 {
            line.painted(DIM, &format!(" ({more} not shown)"));
        }
        line.painted(DIM, &format!(" · {} finished", counts.finished));
        if counts.lost > 0 {
            line.painted(ODD, &format!(" · {} records lost", counts.lost));
        }
        let has_marks = |report: &Report| {
            let connections = report.connections.as_ref();
            connections.is_some_and(|one| !one.marks.is_empty())
        };
        if self.open.values().take(room).any(has_marks) {
            line.painted(DIM, &format!(" · {}", timeline::LEGEND));
        }
        lines.push(line.finish());
        lines
    }
}

impl<W: Write> View for Live<W> {
    fn remark(&mut self, text: &str) -> io::Result<()> {
        let line = Line::new(&self.style);
        self.above.push_str(&line.paragraph(text));
        self.above.push('\n');
        Ok(())
    }

    fn progress(&mut self, report: &Report) -> io::Result<()> {
        self.open.insert(report.id, report.clone());
        Ok(())
    }

    fn withdrawn(&mut self, id: u64) -> io::Result<()> {
        self.open.remove(&id);
        self.counts = None;
        Ok(())
    }

    fn finished(&mut self, report: &Report) -> io::Result<()> {
        self.open.remove(&report.id);
        self.above.push_str(&timeline::render(report, &self.style));
        self.above.push('\n');
        Ok(())
    }

    fn refresh(&mut self, size: Size, counts: Counts, now: Timestamp) -> io::Result<()> {
        self.style = size.style;
        let still = self.open.is_empty() && self.above.is_empty() && self.counts == Some(counts);
        if still {
            return Ok(());
        }
        self.counts = Some(counts);
        let block = self.status_lines(size, counts, now);
        let up = match self.drawn {
            0 => String::new(),
            lines => format!("\r\u{1b}[{lines}A"),
        };
        let clear = "\u{1b}[J";
        let above = std::mem::take(&mut self.above);
        let text = format!(
            "{}{up}{clear}{above}{}\n{}",
            AT_ONCE.0,
            block.join("\n"),
            AT_ONCE.1
        );
        self.drawn = block.len();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}
