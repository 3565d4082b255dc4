//! What clients, files, signals and journals can do to the whole agent: a table of cases, each bounded in time.

use anyhow::Result;
use gracewatch_tests::rig::toolbox::Toolbox;

use crate::told::{Told, run_and_print};
use crate::{clients, ends, files, numbers, replays};

/// A case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) play: fn(&Toolbox) -> Result<Told>,
}

/// All of them.
const TABLES: [&[Case]; 5] = [
    &clients::ALL,
    &files::ALL,
    &ends::ALL,
    &numbers::ALL,
    &replays::ALL,
];

/// Plays those with this in their name; whether nothing was wrong.
pub(crate) fn run(toolbox: &Toolbox, only: &str) -> bool {
    let mut passed = true;
    for case in TABLES.into_iter().flatten() {
        if case.name.to_lowercase().contains(&only.to_lowercase()) {
            passed &= run_and_print(&format!("case {}", case.name), || (case.play)(toolbox));
        }
    }
    passed
}
