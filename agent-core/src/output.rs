//! Everything the engine says.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::connection::{Phase, ResetCount};
use crate::event::{CgroupId, Tgid};
use crate::report::{PodRef, Report, Subject};
use crate::signal::Signal;
use crate::time::Timestamp;

/// One thing that the engine says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Something for the shell to do.
    Effect(Effect),
    /// A termination began, or something was learned of it: how it stands.
    Progress(Box<Report>),
    /// What [`Self::Progress`] told of under this number was no termination after all (a probe that is
    /// written like the hook, a daemon that left its first process): forget it. There will be no report.
    Withdrawn {
        /// The report's number; it is not used again.
        id: u64,
        /// The container.
        container: CgroupId,
    },
    /// A termination is finished. Exactly one for each.
    Finished(Box<Report>),
    /// Something was thrown away because a limit was reached, or could not be attributed.
    Dropped {
        /// Why.
        reason: DropReason,
        /// When.
        at: Timestamp,
    },
    /// A container is gone, and there was no report of it: its main process was not seen.
    Unreported {
        /// The container.
        subject: Subject,
        /// Why.
        reason: UnreportedReason,
    },
    /// Connections were reset since the last such output, in whatever phase. The sum of all is the counter.
    Resets {
        /// The container.
        subject: Subject,
        /// Which pod's container it is, if that is known.
        pod: Option<PodRef>,
        /// How many more, by class.
        resets: Vec<ResetCount>,
    },
    /// How many containers are tracked now.
    Tracked {
        /// The container that came or went.
        subject: Subject,
        /// Whether it came.
        added: bool,
    },
}

/// What the engine wants done, and asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A container appeared: have the kernel side track its cgroup and those below it, then look
    /// which processes it holds and answer with [`crate::input::Input::Tracked`] and
    /// [`crate::input::Input::Processes`]; or with [`crate::input::Input::Gone`].
    Track {
        /// The container.
        container: CgroupId,
        /// Path of its topmost cgroup below the root of the v2 hierarchy.
        path: String,
        /// Signals worth a record: whatever may be meant to stop it, and SIGKILL.
        signals: Vec<Signal>,
        /// Of these, the ones that are likely to be the stop signal: each is remembered as the last one from outside, even where it
        /// only tells of something (SIGWINCH).
        begins: Vec<Signal>,
        /// The outermost container that it is in; its own if it is in none. What it causes is taken from the share of that.
        outermost: CgroupId,
    },
    /// Containers are likely to be made in this cgroup: have the kernel side track each from its birth, as
    /// [`crate::event::EventKind::CgroupMade`] of itself.
    Expect {
        /// The cgroup.
        cgroup: CgroupId,
        /// Its path below the root of the v2 hierarchy.
        path: String,
        /// How the containers in it are called.
        names: Vec<Names>,
        /// Signals worth a record, as for [`Self::Track`].
        signals: Vec<Signal>,
        /// Of these, the ones that are likely to be the stop signal.
        begins: Vec<Signal>,
        /// The outermost container that the cgroup lies in, if any.
        outermost: Option<CgroupId>,
    },
    /// Have the kernel side watch this process: its signals and its exit are to be recorded.
    Watch {
        /// The container it is in.
        container: CgroupId,
        /// The process.
        tgid: Tgid,
    },
    /// Have the kernel side tell of TCP connections to this address and port, as
    /// [`crate::event::EventKind::Connect`] of this container, until it is untracked or the same is asked for
    /// another container.
    AwaitConnect {
        /// The container.
        container: CgroupId,
        /// Its address.
        address: IpAddr,
        /// Its port.
        port: u16,
    },
    /// Tell the kernel side where the container is in its life, and which its main process is.
    Phase {
        /// The container.
        container: CgroupId,
        /// Its main process, if it is known.
        main: Option<Tgid>,
        /// The phase as far as the engine knows. The kernel side goes on by itself at signals from outside for the main process,
        /// and at its exit.
        phase: Phase,
        /// Signals of which the first is the stop signal as far as anybody knows: the one that is configured, else SIGTERM,
        /// and SIGKILL.
        stops: Vec<Signal>,
        /// Signals that may turn out to be the stop signal in hindsight, and those that came again.
        candidates: Vec<Signal>,
        /// Signals and exits up to this time stopped nothing, or are of a termination that is over: what the kernel side
        /// began at them does not count any more.
        void_until: Timestamp,
    },
    /// Look again which processes the container holds, and answer with [`crate::input::Input::Processes`].
    Inspect {
        /// The container.
        container: CgroupId,
    },
    /// The container's main process exited, it holds no process any more, or its report is due: read what the kernel side
    /// counted in it so far, and answer with [`crate::input::Input::SignalCounts`] if there are any, and with
    /// [`crate::input::Input::Sockets`]. Its cgroup may live on for long.
    Count {
        /// The container.
        container: CgroupId,
    },
    /// A process that may have been the hook failed: read how near the container is to its limit of processes, and answer with
    /// [`crate::input::Input::ProcessLimit`] if there is one.
    ReadProcessLimit {
        /// The container.
        container: CgroupId,
    },
    /// The main process has exited and its report is due, or it should have exited long ago: find out what is left, and answer
    /// with [`crate::input::Input::Remaining`].
    FindRemaining {
        /// The container.
        container: CgroupId,
        /// Its main process.
        main: Tgid,
        /// When that was started.
        start: Timestamp,
    },
    /// A container is gone and its report, if there is one, is out, or a cgroup that the kernel side tracks is none: have the
    /// kernel side forget it.
    Untrack {
        /// The container.
        container: CgroupId,
    },
    /// Records were lost, or there is room again for containers that there was none for: scan the cgroup tree again.
    Rescan {
        /// Whether at once. Otherwise what one container does is behind it, which may go on: now and then will do.
        at_once: bool,
    },
}

/// How the cgroups of containers are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// With an id of 64 digits, as every runtime gives.
    Containers,
    /// As systemd calls services and scopes.
    Units,
    /// Otherwise.
    Any,
}

impl Names {
    /// The kind of names that this one is of.
    pub fn from_name(name: &str) -> Self {
        const ID_DIGITS: usize = 64;
        if name.len() >= ID_DIGITS {
            Self::Containers
        } else if matches!(name.rsplit_once('.'), Some((_, "service" | "scope"))) {
            Self::Units
        } else {
            Self::Any
        }
    }
}

/// Why there is no report of a container that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreportedReason {
    /// It was gone before the agent knew of it.
    Gone,
    /// As long as it was tracked, no process was in it.
    Empty,
    /// Processes were in it, or records were lost that may have told of some, and none is known that could be the main process.
    MainUnseen,
}

impl UnreportedReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Gone, Self::Empty, Self::MainUnseen];
}

/// Why the engine threw something away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// More containers than the limit: this one is not tracked.
    ContainersFull,
    /// More containers in one outermost container, or in one place, than its share of the limit: this one is not tracked.
    ContainersShare,
    /// An event of a container that is not tracked any more, or not yet.
    ContainerUnknown,
    /// More processes from outside in one container than the limit: this one is not remembered.
    ProcessesFull,
    /// More pods than the limit: this one, or one without containers, is forgotten.
    PodsFull,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::ContainersFull,
        Self::ContainersShare,
        Self::ContainerUnknown,
        Self::ProcessesFull,
        Self::PodsFull,
    ];
}
