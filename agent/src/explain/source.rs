//! Who knows terminations: a running agent, or a journal.

use std::collections::VecDeque;
use std::path::Path;

use agent_core::output::Output;
use agent_core::report::Report;
use anyhow::Context as _;

use crate::client::{Address, Client};
use crate::replay::{open_journal, replay};
use crate::terminal;

/// Terminations of a journal that are remembered, the last ones: some kilobytes each, and more than a journal has that stopped at
/// the size that `run` gives it.
const REPORTS_MAX: usize = 50_000;

/// Terminations that somebody remembers, the newest first; open ones come after the finished ones.
#[derive(Debug)]
pub(super) struct Remembered {
    /// `The agent at http://…`
    pub(super) whose: String,
    pub(super) reports: Vec<Report>,
    /// Nanoseconds since 1970 at the zero of the reports' clock. A journal does not tell.
    pub(super) wall_at_boot: Option<u64>,
}

pub(super) fn fetch_from_agent(address: Address) -> anyhow::Result<Remembered> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make the runtime for the agent's answer")?;
    let client = Client::new(address);
    let answer = runtime.block_on(client.terminations(0))?;
    if let Some(sentence) = answer.unread_sentence(client.address()) {
        terminal::remark(&sentence);
    }
    Ok(Remembered {
        whose: format!("The agent at {}", client.address()),
        reports: answer.finished.into_iter().chain(answer.open).collect(),
        wall_at_boot: Some(answer.wall_at_boot),
    })
}

pub(super) fn journal(path: &Path) -> anyhow::Result<Remembered> {
    let name = path.display();
    let mut reports = VecDeque::new();
    let read = replay(open_journal(path)?, |output, _now| {
        if let Output::Finished(report) = output {
            if reports.len() == REPORTS_MAX {
                reports.pop_back();
            }
            reports.push_front(Report::clone(report));
        }
        Ok(())
    });
    if let Err(error) = read {
        let error = error.context(format!("journal {name}"));
        if reports.is_empty() {
            return Err(error);
        }
        terminal::remark(&format!("{error:#}."));
    }
    Ok(Remembered {
        whose: format!("The journal {name}"),
        reports: reports.into(),
        wall_at_boot: None,
    })
}
