//! What the page has to do, each in a case.

mod hostile;
mod keyboard;
mod list;
mod live;
mod looks;
mod one;

use std::path::PathBuf;

use anyhow::Result;
use gracewatch_tests::rig::toolbox::Toolbox;

use crate::browser::Browser;
use crate::journal;
use crate::served::Served;
use crate::tab::Tab;

/// What all cases share.
pub(crate) struct Stage {
    pub(crate) browser: Browser,
    /// The source of axe-core.
    pub(crate) axe: String,
    pub(crate) recordings: PathBuf,
    pub(crate) toolbox: Toolbox,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Stage) -> Result<()>,
}

const fn new_case(name: &'static str, run: fn(&Stage) -> Result<()>) -> Case {
    Case { name, run }
}

pub(crate) fn all_cases() -> impl Iterator<Item = &'static Case> {
    [
        list::ALL,
        one::ALL,
        hostile::ALL,
        keyboard::ALL,
        looks::ALL,
        live::ALL,
    ]
    .into_iter()
    .flatten()
}

/// Terminations of many kinds, the oldest first.
const RECORDINGS: [&str; 7] = [
    "k8s_rolling_update",
    "k8s_sidecars",
    "k8s_hook_overruns",
    "k8s_liveness",
    "connections_reset",
    "k8s_ignored",
    "two_at_once",
];

impl Stage {
    /// Serves the recordings.
    fn serve_recordings(&self) -> Result<Served> {
        Served::start(&journal::recording_paths(&self.recordings, &RECORDINGS))
    }

    fn open_tab(&self, served: &Served) -> Result<Tab> {
        Tab::open_tab(&self.browser, &served.origin)
    }
}

/// The address of the newest termination of this outcome, as the list links to it.
fn newest(tab: &mut Tab, outcome: &str) -> Result<String> {
    tab.load_page(&format!("/?outcome={outcome}"))?;
    tab.eval_text("new URL(document.querySelector('#terminations h2 a').href).pathname")
}
