//! Everything the engine can be told.

use serde::{Deserialize, Serialize};

use crate::connection::SocketCounts;
use crate::event::{CgroupId, Event, Tgid};
use crate::pod::{EndpointState, KubeletEvent, Pod};
use crate::remaining::Remaining;
use crate::time::Timestamp;

/// One thing that the engine is told. The journal records these, before anything is concluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The kernel side reported something.
    Event(Event),
    /// A cgroup was found by a scan of the tree: at start, or after records were lost.
    CgroupFound {
        /// Its id.
        cgroup: CgroupId,
        /// Its parent's id.
        parent: CgroupId,
        /// Its path below the root of the v2 hierarchy, starting with `/`.
        path: String,
    },
    /// A scan of the tree ended; a tracked cgroup that it did not find is gone.
    ScanFinished,
    /// The answer to [`crate::output::Effect::Track`]: from this time on everything in the container is told. What happened before
    /// was not seen, unless the kernel side tracked it from its birth.
    Tracked {
        /// The container.
        container: CgroupId,
        /// Since when.
        since: Timestamp,
    },
    /// The answer to [`crate::output::Effect::Track`] of a container whose cgroup is not there any more. If the kernel side
    /// tracked it from its birth, it has told of its end.
    Gone {
        /// The container.
        container: CgroupId,
    },
    /// The answer to [`crate::output::Effect::Track`] and [`crate::output::Effect::Inspect`]: the processes in
    /// the container's cgroups at this moment.
    Processes {
        /// The container.
        container: CgroupId,
        /// Its processes, in no particular order.
        processes: Vec<ProcessFound>,
    },
    /// The answer to [`crate::output::Effect::Count`]: signals that the kernel side counted, since only a few of them are told one
    /// by one.
    SignalCounts {
        /// The container.
        container: CgroupId,
        /// Sent from inside the container, to whichever process.
        inside: u64,
        /// Sent from outside to processes that are not watched.
        outside: u64,
        /// Those of them that would have been told one by one, had there not been so many.
        #[serde(default, skip_serializing_if = "Unrecorded::is_none")]
        unrecorded: Unrecorded,
    },
    /// The answer to [`crate::output::Effect::Count`], and told now and then without being asked for: connections and resets that the kernel side counted since the container is tracked. Only with
    /// [`crate::config::Config::reset_reasons`].
    Sockets {
        /// The container.
        container: CgroupId,
        /// What was counted.
        counts: Box<SocketCounts>,
    },
    /// The answer to [`crate::output::Effect::ReadProcessLimit`], if a limit of processes is set for the container.
    ProcessLimit {
        /// The container.
        container: CgroupId,
        /// The limit that is nearest to being reached, of the container's cgroup and those around it.
        limit: ProcessLimit,
    },
    /// The answer to [`crate::output::Effect::FindRemaining`].
    Remaining {
        /// The container.
        container: CgroupId,
        /// What is left of it.
        remaining: Remaining,
    },
    /// The endpoints of a pod changed, as the EndpointSlices show it.
    Endpoint {
        /// The pod's UID in the API.
        uid: String,
        /// How they stand: the best over all slices that name the pod.
        state: EndpointState,
        /// When this agent saw it.
        seen_at: Timestamp,
    },
    /// Records were lost since the last such input: whatever they may be about and is open now may lack facts.
    Lost {
        /// The outermost container that they are about, or a container in it; anything, if it is not told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outermost: Option<CgroupId>,
        /// How many, of all kinds.
        records: u64,
        /// When it was known last that none were lost, and when it was known that these are. Journals from before this was
        /// told lack it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        between: Option<(Timestamp, Timestamp)>,
    },
    /// A pod of this node, new or changed.
    Pod {
        /// As it stands.
        pod: Box<Pod>,
        /// When this agent saw it so.
        seen_at: Timestamp,
        /// Whether it came by a list (at the start, after a gap) and so may stand like this for long.
        listed: bool,
    },
    /// A pod's API object is gone. Its containers may live on.
    PodGone {
        /// Its UID in the API.
        uid: String,
        /// When this agent saw it so.
        seen_at: Timestamp,
        /// Whether that was noticed by a list, so that it may be gone for long.
        listed: bool,
    },
    /// The kubelet said something of a pod.
    Kubelet {
        /// What.
        event: KubeletEvent,
        /// When this agent saw it.
        seen_at: Timestamp,
    },
    /// The agent is about to stop: open terminations are given out as they stand.
    Shutdown,
}

/// Signals of a container that would have been [`crate::event::EventKind::Signal`] events, had there not been so many: of each
/// kind a few are told at once, and one a second on the long run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrecorded {
    /// SIGKILLs to processes that are not watched.
    pub kills: u64,
    /// Other signals from a process of the container to another one, watched or not.
    pub inside: u64,
    /// Other signals from outside: to processes that are not watched, or by a terminal.
    pub outside: u64,
}

impl Unrecorded {
    /// Whether every signal was told that should be.
    pub const fn is_none(&self) -> bool {
        self.kills == 0 && self.inside == 0 && self.outside == 0
    }
}

/// A limit of processes and threads (<https://docs.kernel.org/admin-guide/cgroup-v2.html>, PID).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessLimit {
    /// How many there are (`pids.current`).
    pub current: u64,
    /// How many there may be (`pids.max`).
    pub max: u64,
    /// How often one more was refused (`pids.events`).
    pub refused: u64,
}

/// A process that was found in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessFound {
    /// Thread group id in the initial pid namespace.
    pub tgid: Tgid,
    /// Thread group id in its own pid namespace.
    pub ns_tgid: u32,
    /// Nesting level of that namespace; 0 is the machine's own.
    pub ns_level: u32,
    /// Its parent.
    pub parent_tgid: Tgid,
    /// Whether the parent is in no cgroup of the same container.
    pub parent_outside: bool,
    /// When it was started, to a clock tick (10 ms as a rule).
    pub start: Timestamp,
    /// Its `comm`.
    pub comm: String,
    /// Its command line.
    pub argv: Vec<String>,
}
