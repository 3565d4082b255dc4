//! `gracewatch replay`: what the agent would say of journals. Needs no root and no probes.

mod serve;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use agent_core::journal::{JournalError, LINE_MAX, Reader, Replay};
use agent_core::output::Output;
use agent_core::time::Timestamp;
use anyhow::Context as _;

use crate::failure::UsageError;
use crate::metrics::exposition::Format;
use crate::metrics::{Metrics, Retention};
use crate::named_file;
use crate::terminal::{self, style_of_stdout};
use crate::timeline;

/// Prints the reports of journals that `run --journal` recorded, or serves their page; needs no root and no probes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The journals, the oldest first
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print the metrics as they would be scraped in the end, too
    #[arg(long)]
    metrics: bool,
    /// Print each report as one line of JSON
    #[arg(long)]
    json: bool,
    /// Print nothing: serve the page, /metrics and /api/v1/terminations of the recordings at this address, until Ctrl-C
    ///
    /// Port 0 takes any free port. Whoever reaches the address can read what the journals hold: names and command lines.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["metrics", "json"])]
    serve: Option<SocketAddr>,
}

/// Replays journals to standard output, or serves them.
///
/// # Errors
/// One sentence if a journal cannot be read to its end; what stands before that is printed.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.serve {
        Some(address) => serve::serve_recordings(&args.files, address),
        None => print(&args),
    }
}

fn print(args: &Args) -> anyhow::Result<()> {
    let metrics = Metrics::new(Retention::default());
    let style = style_of_stdout();
    let mut out = io::stdout().lock();
    let mut print_all = || {
        for file in &args.files {
            let read = replay(open_journal(file)?, |output, now| {
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
            read.with_context(|| format!("journal {}", file.display()))?;
        }
        Ok(())
    };
    let read = print_all();
    drop(out);
    if read.as_ref().is_err_and(has_no_reader) {
        return Ok(());
    }
    if args.metrics {
        terminal::print(&metrics.encode(Format::Text)?)?;
    }
    read
}

/// Opens a journal.
pub(crate) fn open_journal(file: &Path) -> anyhow::Result<BufReader<File>> {
    let opened = named_file::open(file).map_err(|error| {
        UsageError::new(format!(
            "cannot read the journal {}: {error}",
            file.display()
        ))
    })?;
    Ok(BufReader::new(opened))
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
        match reader.parse_entry(&line) {
            Ok(entry) => {
                last = entry.at;
                for output in replay.apply_entry(entry) {
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
    let bound = LINE_MAX as u64 + 1;
    let read = io::Read::take(journal, bound).read_line(line).context(
        "it cannot be read as text; give a file written by `gracewatch run --journal FILE`",
    )?;
    Ok(read > 0)
}

#[cfg(test)]
pub(crate) mod tests;
