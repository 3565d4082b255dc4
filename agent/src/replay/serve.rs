//! `gracewatch replay --serve`: the agent's page, API and metrics, of recordings.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent_core::journal::JournalError;
use agent_core::output::Output;
use agent_core::time::Timestamp;
use anyhow::Context as _;

use super::{open_journal, replay};
use crate::agent_health::AgentHealth;
use crate::http::{AppState, Origin, Server};
use crate::metrics::{Metrics, Retention};
use crate::readiness::Readiness;
use crate::recent::Recent;
use crate::stop;

/// Reads all journals, then serves what they say until SIGTERM, SIGINT or SIGHUP.
pub(super) fn serve_recordings(files: &[PathBuf], address: SocketAddr) -> anyhow::Result<()> {
    let stopped = stop::caught()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make a runtime for signals")?;
    let mut recording = Recording::default();
    for file in files {
        recording.read(file)?;
    }
    let terminations = match recording.terminations {
        1 => "1 termination".to_owned(),
        several => format!("{several} terminations"),
    };
    runtime.block_on(async {
        let server = Server::start(address, Arc::new(recording.into_app_state(files)))?;
        let mut out = io::stdout();
        writeln!(
            out,
            "http://{}/ shows {terminations}; Ctrl-C ends",
            server.address()
        )?;
        out.flush()?;
        stopped.await;
        server.stop();
        Ok(())
    })
}

/// What was read so far.
struct Recording {
    metrics: Metrics,
    recent: Recent,
    agent_health: AgentHealth,
    terminations: usize,
    /// The highest number of a termination.
    last_id: u64,
    /// The last time.
    end: Timestamp,
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            metrics: Metrics::new(Retention::default()),
            recent: Recent::default(),
            agent_health: AgentHealth::default(),
            terminations: 0,
            last_id: 0,
            end: Timestamp::default(),
        }
    }
}

impl Recording {
    /// Adds a journal. Of one that is damaged, what stands before the damage.
    fn read(&mut self, file: &Path) -> anyhow::Result<()> {
        let before = self.last_id;
        let read = replay(open_journal(file)?, |output, now| {
            self.record(&renumbered(output, before), now);
            Ok(())
        });
        let Err(error) = read else {
            return Ok(());
        };
        let name = file.display();
        match error.downcast_ref::<JournalError>() {
            Some(
                damage @ (JournalError::Line { .. }
                | JournalError::Long { .. }
                | JournalError::Truncated { .. }),
            ) => {
                let sentence = format!("The journal {name} is not whole: {damage}.");
                tracing::warn!("{sentence}");
                self.agent_health.remark(sentence);
                Ok(())
            }
            Some(JournalError::Empty | JournalError::Header(_) | JournalError::Format(_))
            | None => Err(error).with_context(|| format!("journal {name}")),
        }
    }

    fn record(&mut self, output: &Output, now: Timestamp) {
        self.metrics.record(output, now);
        self.recent.record(output);
        self.end = self.end.max(now);
        if let Output::Finished(report) = output {
            self.terminations += 1;
            self.last_id = self.last_id.max(report.id);
        }
    }

    fn into_app_state(self, files: &[PathBuf]) -> AppState {
        let names = files.iter().map(|file| file.display().to_string());
        AppState {
            metrics: self.metrics,
            recent: self.recent,
            readiness: Readiness::reached(),
            agent_health: self.agent_health,
            origin: Origin::Recording {
                files: names.collect(),
                end: self.end,
            },
        }
    }
}

/// Each journal counts its terminations from 1; here they go on after those of the journals before.
fn renumbered(output: &Output, before: u64) -> Output {
    let mut output = output.clone();
    match &mut output {
        Output::Progress(report) | Output::Finished(report) => report.id += before,
        Output::Withdrawn { id, .. } => *id += before,
        Output::Effect(_)
        | Output::Resets { .. }
        | Output::Dropped { .. }
        | Output::Unreported { .. }
        | Output::Tracked { .. } => {}
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recordings(names: &[&str]) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/recordings");
        names.iter().map(|name| folder.join(name)).collect()
    }

    #[test]
    fn terminations_of_several_journals_are_counted_on() {
        let files = recordings(&["two_at_once.jsonl", "handler.jsonl"]);
        let mut recording = Recording::default();
        for file in &files {
            recording.read(file).unwrap();
        }
        let shown = recording.into_app_state(&files);
        let kept = shown.recent.snapshot(&crate::recent::Filter::default(), 10);
        let ids: Vec<_> = kept.finished.iter().map(|report| report.id).collect();
        // Of the two in the first, the second one ended first.
        assert_eq!(ids, [3, 1, 2]);
        assert!(kept.open.is_empty());
        assert_eq!(shown.readiness.awaited(), None);
    }

    #[test]
    fn a_journal_that_is_cut_off_is_shown_and_told() {
        let whole = std::fs::read_to_string(&recordings(&["handler.jsonl"])[0]).unwrap();
        let path = std::env::temp_dir().join(format!("gracewatch-cut-{}", std::process::id()));
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let mut recording = Recording::default();
        let read = recording.read(&path);
        std::fs::write(&path, "no journal\n").unwrap();
        let refused = Recording::default().read(&path);
        std::fs::remove_file(&path).unwrap();
        read.unwrap();
        assert_eq!(recording.terminations, 1);
        let [sentence] = recording.agent_health.sentences().try_into().unwrap();
        assert!(sentence.contains("cut off"), "{sentence}");
        assert!(format!("{:#}", refused.unwrap_err()).contains("header"));
    }
}
