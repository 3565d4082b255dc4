//! Inputs as lines of JSON, and back: a journal is a bug report, a fixture and a regression test in one.
//!
//! The first line is the [`Header`]; every other one is an [`Entry`]. Inputs stand in it as they were told to the
//! engine, before anything was concluded. The answers to the engine's effects are inputs themselves, so a replay needs
//! nobody who executes effects.

use serde::{Deserialize, Serialize};

use crate::config::{Config, ConfigError};
use crate::engine::Engine;
use crate::input::Input;
use crate::output::Output;
use crate::time::Timestamp;

/// The format that this version writes and reads.
pub const FORMAT: u32 = 1;

/// Bytes of the longest line that is read. The longest input is the processes of one container: 4096 with a mebibyte of command
/// lines at the most, of which each byte takes up to six in JSON.
pub const LINE_MAX: usize = 8 << 20;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`] of the version that wrote it.
    pub format: u32,
    /// What the engine was set up with.
    pub config: Config,
}

/// One input, and when the engine was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When the engine was told.
    pub at: Timestamp,
    /// What.
    pub input: Input,
}

/// A journal cannot be read from some line on.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is nothing.
    #[error("the journal is empty; record one with `gracewatch run --journal FILE`")]
    Empty,
    /// The first line is no header.
    #[error(
        "line 1 is not the header of a journal ({0}); give a file written by `gracewatch run --journal FILE`"
    )]
    Header(#[source] serde_json::Error),
    /// The format is another.
    #[error(
        "the journal has format {0} and this version reads {FORMAT}; use the version that wrote it"
    )]
    Format(u32),
    /// A line is no entry.
    #[error(
        "line {line} is not an input ({source}); all before it was used, remove the lines from there on to read it without this message"
    )]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A line is longer than any that is written.
    #[error(
        "line {line} is longer than {LINE_MAX} bytes, which no input is; all before it was used, remove it and what comes after it"
    )]
    Long {
        /// Its number, from 1.
        line: usize,
    },
    /// The last line stops in the middle: the writer was killed, or the disk was full.
    #[error(
        "line {line}, the last, is cut off in the middle; all before it was used and nothing else is missing"
    )]
    Truncated {
        /// Its number, from 1.
        line: usize,
    },
}

/// The first line of a journal, its line end included.
///
/// # Errors
/// None in practice; the serializer's own otherwise.
pub fn header_line(config: &Config) -> Result<String, serde_json::Error> {
    to_line(&Header {
        format: FORMAT,
        config: config.clone(),
    })
}

/// An input as a line of a journal, its line end included.
///
/// # Errors
/// None in practice; the serializer's own otherwise.
pub fn input_line(input: &Input, at: Timestamp) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Borrowed<'a> {
        at: Timestamp,
        input: &'a Input,
    }
    to_line(&Borrowed { at, input })
}

fn to_line(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    Ok(line)
}

/// Reads a journal line by line; bring the lines with their ends, as `BufRead::read_line` gives them, and of a longer one a byte
/// more than [`LINE_MAX`].
#[derive(Clone, Debug, Default)]
pub struct Reader {
    line: usize,
}

impl Reader {
    /// Before the first line.
    pub const fn new() -> Self {
        Self { line: 0 }
    }

    /// The first line.
    ///
    /// # Errors
    /// If it is no header, or of another format.
    pub fn header(&mut self, line: &str) -> Result<Header, JournalError> {
        self.count_line(line)?;
        if line.is_empty() {
            return Err(JournalError::Empty);
        }
        let header: Header = serde_json::from_str(line).map_err(JournalError::Header)?;
        if header.format != FORMAT {
            return Err(JournalError::Format(header.format));
        }
        Ok(header)
    }

    /// Any other line.
    ///
    /// # Errors
    /// If it is no entry; a line without its end that stops in the middle is [`JournalError::Truncated`].
    pub fn parse_entry(&mut self, line: &str) -> Result<Entry, JournalError> {
        self.count_line(line)?;
        serde_json::from_str(line).map_err(|source| {
            if source.is_eof() && !line.ends_with('\n') {
                JournalError::Truncated { line: self.line }
            } else {
                JournalError::Line {
                    line: self.line,
                    source,
                }
            }
        })
    }

    const fn count_line(&mut self, line: &str) -> Result<(), JournalError> {
        self.line += 1;
        if line.len() > LINE_MAX {
            return Err(JournalError::Long { line: self.line });
        }
        Ok(())
    }
}

/// An engine that is fed from a journal, with its timeouts called at the times they ask for.
#[derive(Debug)]
pub struct Replay {
    engine: Engine,
}

impl Replay {
    /// Before the first entry. The limits are the header's, but none goes beyond those of this version.
    ///
    /// # Errors
    /// If the header's configuration cannot be used.
    pub fn new(header: Header) -> Result<Self, ConfigError> {
        let config = Config {
            limits: header.config.limits.clamped(),
            ..header.config
        };
        Ok(Self {
            engine: Engine::new(config)?,
        })
    }

    /// Tells the engine one entry, after the timeouts that are due up to it.
    pub fn apply_entry(&mut self, entry: Entry) -> Vec<Output> {
        let mut outputs = self.run_until(entry.at);
        self.engine.handle(entry.input, entry.at);
        self.drain_outputs(&mut outputs);
        outputs
    }

    /// After the last entry: runs out the timeouts that are left.
    pub fn finish(mut self) -> Vec<Output> {
        self.run_until(Timestamp(u64::MAX))
    }

    fn run_until(&mut self, end: Timestamp) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= end) {
            self.engine.handle_timeout(due);
            self.drain_outputs(&mut outputs);
        }
        outputs
    }

    fn drain_outputs(&mut self, outputs: &mut Vec<Output>) {
        while let Some(output) = self.engine.poll_output() {
            outputs.push(output);
        }
    }
}

#[cfg(test)]
mod tests;
