//! What the pipeline has to say of itself, beside what the engine says of the containers.

use std::time::Duration;

use crate::probes::{Counts, ProgramState, RunStats};

/// One fact about the agent.
#[derive(Debug)]
pub enum Vital<'a> {
    /// The probes are loaded; which of them are attached.
    Attached(&'a [ProgramState]),
    /// A scan of the cgroup tree ended, and everything it found was told to the engine.
    Scanned {
        /// How long it took, with all that followed from it.
        took: Duration,
        /// How many cgroups it found.
        cgroups: usize,
    },
    /// The kernel side's own counters, since it was loaded.
    Counted(&'a Counts),
    /// The kernel's accounting of the programs.
    ProgramsRan(&'a [RunStats]),
    /// A record could not be decoded, for this reason.
    Undecodable(&'static str),
    /// The kernel side could not be told something.
    UpdateFailed(Update),
    /// How much was recorded in the journal, and whether that stopped.
    Journal {
        /// Its size in bytes.
        bytes: u64,
        /// Whether it is full or cannot be written.
        stopped: bool,
    },
}

/// What the kernel side was to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// To look at a container.
    Track,
    /// To forget a container.
    Untrack,
    /// To look at a process.
    Watch,
}

impl Update {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Untrack => "untrack",
            Self::Watch => "watch",
        }
    }
}
