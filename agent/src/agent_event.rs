//! What the pipeline has to say of itself, beside what the engine says of the containers.

use std::time::Duration;

use crate::probes::{Counts, ProgramState, RunStats, TcpFeature};

/// One fact about the agent.
#[derive(Debug)]
pub enum AgentEvent<'a> {
    /// Measuring begins, at this wall time, in seconds since 1970.
    Started(f64),
    /// The probes are loaded; which of them are attached.
    Attached(&'a [ProgramState]),
    /// Which facts of connections this kernel lets the probes see: each of [`TcpFeature::ALL`] once.
    TcpFeatures(&'a [(TcpFeature, bool)]),
    /// A scan of the cgroup tree ended, and everything it found was told to the engine.
    Scanned {
        /// How long it took, with all that followed from it.
        took: Duration,
        /// How many cgroups it found.
        cgroups: usize,
    },
    /// The kernel side's own counters, since it was loaded.
    Counted(&'a Counts),
    /// Other tables are full than before: these. What comes from now on is not measured if there are any.
    Full(&'a [&'static str]),
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
    /// The watch of a resource of the Kubernetes API began to deliver, or broke.
    Watching {
        /// The resource's plural: `pods`, `events`, `endpointslices`.
        resource: &'static str,
        /// Whether it delivers.
        connected: bool,
    },
    /// A request to the Kubernetes API failed.
    ApiFailed {
        /// The resource's plural.
        resource: &'static str,
        /// Why, in one word of a fixed set: `forbidden`, `unauthorized`, `gone`, `unreachable`, …
        reason: &'static str,
    },
    /// So many pods are known.
    PodsKnown(usize),
    /// What became of a Kubernetes Event that was to be put on a pod.
    EventWritten(EventFate),
}

/// What became of a Kubernetes Event that was to be put on a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFate {
    /// The API took it.
    Sent,
    /// There were too many in a short time, or more waiting than the queue holds.
    Dropped,
    /// The API did not take it.
    Failed,
}

impl EventFate {
    /// Every fate.
    pub const ALL: [Self; 3] = [Self::Sent, Self::Dropped, Self::Failed];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

/// What the kernel side was to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// To look at a container.
    Track,
    /// To forget a container.
    Untrack,
    /// To expect containers in a cgroup.
    Parent,
    /// To look at a process.
    Watch,
    /// To look at connections to an address.
    AwaitConnect,
    /// Where a container is in its life.
    Phase,
    /// Which addresses are the node's own.
    NodeAddress,
}

impl Update {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Untrack => "untrack",
            Self::Parent => "parent",
            Self::Watch => "watch",
            Self::AwaitConnect => "await_connect",
            Self::Phase => "phase",
            Self::NodeAddress => "node_address",
        }
    }
}
