//! The cases, by what they are about.

mod ends;
mod hooks;
mod places;
mod signals;
mod upsets;

use crate::case::Case;

/// Programs of the containers, and signals, that several cases use.
mod programs {
    /// Exits 1.2 s after SIGTERM, and leaves no child behind.
    pub(super) const HANDLER: &[&str] = &[
        "sh",
        "-c",
        "trap 'kill $!; sleep 1.2; exit 0' TERM; sleep 1000 & wait",
    ];
    /// Handles SIGTERM and takes a minute.
    pub(super) const SLOW: &[&str] = &[
        "sh",
        "-c",
        "trap 'sleep 60; exit 0' TERM; sleep 1000 & wait",
    ];
    /// Has no handlers.
    pub(super) const SLEEP: &[&str] = &["sleep", "1000"];
    /// SIGTERM.
    pub(super) const TERM: u32 = 15;
}

/// All of them.
pub(crate) fn all_cases() -> Vec<Case> {
    [
        signals::ALL,
        hooks::ALL,
        ends::ALL,
        places::ALL,
        upsets::ALL,
    ]
    .concat()
}
