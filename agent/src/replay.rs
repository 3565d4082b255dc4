//! `gracewatch replay`: what the agent would say of a journal. Needs no root and no probes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;

use agent_core::journal::{JournalError, Reader, Replay};
use agent_core::output::Output;
use agent_core::time::Timestamp;
use anyhow::Context as _;

use crate::failure::UsageError;
use crate::metrics::exposition::Format;
use crate::metrics::{Metrics, Retention};
use crate::terminal::{self, style_of_stdout};
use crate::timeline;

/// Longest line that is read: an input holds some thousand processes at the most.
const LINE_MAX: u64 = 64 << 20;

/// Prints the reports of a journal that `run --journal` recorded; needs no root and no probes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The journal
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the metrics as they would be scraped in the end, too
    #[arg(long)]
    metrics: bool,
    /// Print each report as one line of JSON
    #[arg(long)]
    json: bool,
}

/// Replays a journal to standard output.
///
/// # Errors
/// One sentence if the journal cannot be read to its end; what stands before that is printed.
pub fn run(args: Args) -> anyhow::Result<()> {
    let name = args.file.display();
    let file = File::open(&args.file)
        .map_err(|error| UsageError::new(format!("cannot read the journal {name}: {error}")))?;
    let metrics = Metrics::new(Retention::default());
    let style = style_of_stdout();
    let mut out = io::stdout().lock();
    let read = replay(BufReader::new(file), |output, now| {
        metrics.record(output, now);
        if let Output::Finished(report) = output {
            let text = if args.json {
                serde_json::to_string(report)?
            } else {
                timeline::render(report, &style)
            };
            writeln!(out, "{text}")?;
        }
        Ok(())
    });
    drop(out);
    if read.as_ref().is_err_and(has_no_reader) {
        return Ok(());
    }
    if args.metrics {
        terminal::print(&metrics.encode(Format::Text)?)?;
    }
    read.with_context(|| format!("journal {name}"))
}

/// Whether whoever read standard output has seen enough.
fn has_no_reader(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Feeds a journal to a fresh engine and hands out everything that it says.
///
/// # Errors
/// If the journal cannot be read from some line on (all before it was used), or `each` fails.
pub fn replay(
    mut journal: impl BufRead,
    mut each: impl FnMut(&Output, Timestamp) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = Reader::new();
    let mut line = String::new();
    next_line(&mut journal, &mut line)?;
    let mut replay = Replay::new(reader.header(&line)?)?;
    let mut last = Timestamp::default();
    let ended = loop {
        if !next_line(&mut journal, &mut line)? {
            break Ok(());
        }
        match reader.entry(&line) {
            Ok(entry) => {
                last = entry.at;
                for output in replay.feed(entry) {
                    each(&output, last)?;
                }
            }
            Err(error) => break Err(error),
        }
    };
    for output in replay.finish() {
        each(&output, last)?;
    }
    ended.map_err(|error: JournalError| error.into())
}

/// Whether there was another line.
fn next_line(journal: &mut impl BufRead, line: &mut String) -> anyhow::Result<bool> {
    line.clear();
    let read = io::Read::take(journal, LINE_MAX).read_line(line).context(
        "it cannot be read as text; give a file written by `gracewatch run --journal FILE`",
    )?;
    Ok(read > 0)
}

#[cfg(test)]
pub(crate) mod tests;
