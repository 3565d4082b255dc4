//! Terminations as text or JSON, one after the other: for pipes, files and terminals that cannot be drawn on.

use std::io::{self, Write};

use agent_core::report::Report;
use agent_core::time::Timestamp;
use serde::Serialize;

use super::sink::{Counts, Size, View};
use crate::terminal::Style;
use crate::terminal::text::visible;
use crate::timeline;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// As a timeline, followed by an empty line.
    Text(Style),
    /// As a line of JSON.
    Json {
        /// Also those in progress, each time something is learned of them.
        progress: bool,
    },
}

/// Reports go to one writer, remarks for people to another.
#[derive(Debug)]
pub(super) struct Lines<W, R> {
    reports: W,
    remarks: R,
    format: Format,
}

impl<W: Write, R: Write> Lines<W, R> {
    pub(super) const fn new(reports: W, remarks: R, format: Format) -> Self {
        Self {
            reports,
            remarks,
            format,
        }
    }

    fn write_json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.write(&line)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reports.write_all(bytes)?;
        self.reports.flush()
    }
}

impl<W: Write, R: Write> View for Lines<W, R> {
    fn remark(&mut self, text: &str) -> io::Result<()> {
        // Nobody may be there to read remarks.
        writeln!(self.remarks, "{}", visible(text)).ok();
        Ok(())
    }

    fn progress(&mut self, report: &Report) -> io::Result<()> {
        match self.format {
            Format::Json { progress: true } => self.write_json(report),
            Format::Json { progress: false } | Format::Text(_) => Ok(()),
        }
    }

    fn withdrawn(&mut self, id: u64) -> io::Result<()> {
        #[derive(Serialize)]
        struct Withdrawn {
            id: u64,
            withdrawn: bool,
        }
        match self.format {
            Format::Json { progress: true } => self.write_json(&Withdrawn {
                id,
                withdrawn: true,
            }),
            Format::Json { progress: false } | Format::Text(_) => Ok(()),
        }
    }

    fn finished(&mut self, report: &Report) -> io::Result<()> {
        match self.format {
            Format::Text(style) => {
                self.write(format!("{}\n", timeline::render(report, &style)).as_bytes())
            }
            Format::Json { .. } => self.write_json(report),
        }
    }

    fn refresh(&mut self, _size: Size, _counts: Counts, _now: Timestamp) -> io::Result<()> {
        Ok(())
    }
}
