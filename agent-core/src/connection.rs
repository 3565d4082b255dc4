//! TCP connections of a container: what the kernel side counted, and what a report says of them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Where in its life a container is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before its termination began.
    #[default]
    Running,
    /// From T0 to the stop signal.
    Hook,
    /// From the stop signal (from SIGKILL, if there was none) to the exit.
    Stopping,
    /// After the exit: a process's sockets are closed after that.
    Closing,
}

impl Phase {
    /// Every phase, in their order.
    pub const ALL: [Self; 4] = [Self::Running, Self::Hook, Self::Stopping, Self::Closing];
}

/// Who reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The container's side.
    Sent,
    /// The peer.
    Received,
}

/// What made the container's side reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The program, or its death, ended the connection.
    Active,
    /// It answered a packet.
    Passive,
    /// The peer reset.
    Unknown,
}

/// By what a reset was attributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The socket's cgroup, or the port that the container listened on before: it is the container's own.
    Container,
    /// There was no socket, and only the network namespace is known: it is the pod's, of one of its containers.
    Pod,
}

/// Whose wish a connection was.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It is not known: of what is the pod's, and of what was counted by agents that did not tell.
    #[default]
    Unknown,
    /// The peer's: a client's.
    Accepted,
    /// The container's own: it is the client.
    Initiated,
}

impl Side {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

/// What a reset was. `reason` is the number of the kernel that it was seen on; the names are in
/// [`crate::config::Config::reset_reasons`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResetClass<Reason> {
    /// In which phase.
    pub phase: Phase,
    /// Who reset.
    pub direction: Direction,
    /// What made it.
    pub mode: Mode,
    /// By what it was attributed.
    pub scope: Scope,
    /// Whose wish the connection was.
    #[serde(default, skip_serializing_if = "Side::is_unknown")]
    pub side: Side,
    /// Whether data came for a connection that the container had closed first, when nothing was under way: most likely the
    /// client's next request.
    #[serde(default, skip_serializing_if = "is_false")]
    pub idle_closed: bool,
    /// The kernel's reason; none if it tells none.
    pub reason: Option<Reason>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What the kernel side counted of a container's connections, from when it was tracked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketCounts {
    /// By phase, in the order of [`Phase::ALL`].
    pub phases: [PhaseCounts; 4],
    /// When a connection was accepted last that was not from an address of the node.
    pub accepted_at: Option<Timestamp>,
    /// When a connection attempt was refused last that was not from an address of the node.
    pub refused_at: Option<Timestamp>,
    /// When a connection from an address of the node was accepted or refused last.
    pub from_node_at: Option<Timestamp>,
    /// When its last listener was closed.
    pub last_listener_closed_at: Option<Timestamp>,
    /// The resets, each class once.
    pub resets: Vec<(ResetClass<u32>, u64)>,
    /// What was counted after signals that may or may not have been the stop signal, by their places. Only hindsight tells to
    /// which phase it belongs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_signals: Vec<AfterSignal>,
    /// When the signal came with which the kernel side began [`Phase::Stopping`] by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping_since: Option<Timestamp>,
    /// When a signal came last for which there was no place, so that what followed it is counted with what was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unplaced_at: Option<Timestamp>,
    /// Those who connected, or tried to, as far as they are remembered. Only told when it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
}

/// What was counted from a signal on, up to the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AfterSignal {
    /// When the signal came that has this place now; none if there was none yet.
    pub since: Option<Timestamp>,
    /// What was counted in this place, after this signal and those that had it before.
    pub counts: PhaseCounts,
    /// The resets, likewise, each class once. Their phase says nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resets: Vec<(ResetClass<u32>, u64)>,
}

/// One who connected to a port of a container, or tried to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The port on the container's side.
    pub port: u16,
    /// Whether it is an address of the node.
    #[serde(default, skip_serializing_if = "is_false")]
    pub from_node: bool,
    /// When it came the last times, by time.
    pub arrivals: Vec<Timestamp>,
    /// How often it came by phase, in the order of [`Phase::ALL`], and after signals, by their places.
    pub counts: Vec<PeerCounts>,
}

/// How often a peer came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCounts {
    /// It was accepted.
    pub accepted: u64,
    /// It was refused.
    pub refused: u64,
}

/// What happened to connections in one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseCounts {
    /// Established by the peer's wish, whether or not the program took it.
    pub accepted: u64,
    /// Established by the container's wish.
    pub connected: u64,
    /// Were established and were ended by the FIN of either side.
    pub finished: u64,
    /// Were established and were cut, by a reset or a time-out.
    pub cut: u64,
    /// Attempts that were answered with a reset, at a port that the container listened on before.
    pub refused: u64,
    /// The same at another port of its pod.
    pub refused_in_pod: u64,
    /// Of those accepted, the ones from an address of the node: the kubelet's probes, and whoever else connects from it.
    pub accepted_from_node: u64,
    /// Of those refused, likewise.
    pub refused_from_node: u64,
    /// The same by direction, where the kernel side tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_side: Option<BySide>,
}

/// Whose connections ended, and by whose doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BySide {
    /// Of those finished, the container's own.
    pub finished_initiated: u64,
    /// Of those cut, the container's own.
    pub cut_initiated: u64,
    /// Accepted ones that the container's side cut, those included that the peer had half closed before.
    pub aborted: u64,
    /// Of those aborted, the ones that the peer had half closed.
    pub aborted_half_closed: u64,
    /// The container's own that its side cut.
    pub aborted_initiated: u64,
}

/// A reset record: one of the first of a termination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResetSeen {
    /// What it was.
    pub class: ResetClass<u32>,
    /// Whether it answered a connection attempt.
    pub refused: bool,
    /// The port on the container's side.
    pub local_port: u16,
    /// The other side; none if it could not be read.
    pub peer: Option<SocketAddr>,
    /// Whether it came after a signal that may or may not have been the stop signal. Then its time tells the phase.
    #[serde(default, skip_serializing_if = "is_false")]
    pub after_signal: bool,
}

/// What a report says of the connections of a container. In one in progress the numbers are those of the last look, and
/// `at_stop_signal` and `at_exit` are only known at the end, when all connections have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// Established when the stop signal came; without one at SIGKILL, else at the exit.
    pub at_stop_signal: u64,
    /// Established at the exit of the main process.
    pub at_exit: u64,
    /// Ended by a FIN between the two.
    pub finished: u64,
    /// Accepted in the hook: while the pod was terminating, before the stop signal.
    pub accepted_in_hook: u64,
    /// Accepted after the stop signal.
    pub accepted_after: u64,
    /// When a connection came last, since T0, accepted or refused, that was none of [`Self::pollers`]; none if none did.
    pub last_arrival_at: Option<Timestamp>,
    /// Whether that one may have been a health check's or a scraper's: its peer came too seldom to tell.
    #[serde(default, skip_serializing_if = "is_false")]
    pub last_arrival_unclear: bool,
    /// When its last listener was closed, since T0.
    pub last_listener_closed_at: Option<Timestamp>,
    /// Attempts refused since T0 at a port that the container had listened on.
    pub refused: u64,
    /// Attempts refused since T0 at another port of its pod, which belong to no container for sure.
    pub refused_in_pod: u64,
    /// Accepted since T0 from an address of the node, and left out of the arrivals above: the pod has probes, which go on while
    /// it terminates, and these are most likely theirs. 0 for a pod without.
    #[serde(default)]
    pub accepted_from_node: u64,
    /// Refused since T0, likewise.
    #[serde(default)]
    pub refused_from_node: u64,
    /// Of those established when the stop signal came, the container's own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub initiated_at_stop_signal: u64,
    /// Of those established at the exit, the container's own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub initiated_at_exit: u64,
    /// Those who connected at a regular interval, as a scraper or a health check does, and came since T0. What they did is
    /// in the numbers above, but for the time of the last arrival.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pollers: Vec<Poller>,
    /// Resets by class; in the phases of this termination, and while it ran since it is tracked.
    pub resets: Vec<ResetCount>,
    /// The first resets since T0, each with its time.
    pub marks: Vec<ResetMark>,
}

impl Connections {
    /// Arrivals since T0 that are left out as those of probes.
    pub const fn from_node(&self) -> u64 {
        self.accepted_from_node
            .saturating_add(self.refused_from_node)
    }

    /// Resets of the container's own connections since T0: without those that answered an attempt, which was refused and
    /// never became a connection.
    pub fn connections_reset(&self, direction: Direction) -> u64 {
        let all = self.resets_in_shutdown(direction);
        match direction {
            Direction::Sent => all
                .saturating_sub(self.refused)
                .saturating_sub(self.refused_from_node),
            Direction::Received => all,
        }
    }

    /// Resets of the container itself since T0.
    pub fn resets_in_shutdown(&self, direction: Direction) -> u64 {
        let counts = self.resets.iter().filter(|one| {
            one.class.phase != Phase::Running
                && one.class.direction == direction
                && one.class.scope == Scope::Container
        });
        counts.map(|one| one.count).sum()
    }
}

/// One who connects at a regular interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poller {
    /// Its address.
    pub address: IpAddr,
    /// The port that it connects to.
    pub port: u16,
    /// The interval.
    pub every: Duration,
    /// How often it was accepted since T0.
    pub accepted: u64,
    /// How often it was refused since T0.
    pub refused: u64,
}

/// Resets of one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetCount {
    /// What they were. The reason is the kernel's name for it in lower case, without its prefix: `tcp_abort_on_close`.
    #[serde(flatten)]
    pub class: ResetClass<String>,
    /// How many.
    pub count: u64,
}

/// One reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetMark {
    /// When.
    pub at: Timestamp,
    /// What it was.
    #[serde(flatten)]
    pub class: ResetClass<String>,
    /// Whether it answered a connection attempt.
    pub refused: bool,
    /// The port on the container's side.
    pub local_port: u16,
    /// The other side, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
}

/// What the workload's terminations so far tell about its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Terminations that it stands on.
    pub terminations: u64,
    /// The preStop sleep that would have covered the last arrival of 99 % of them, and where any came the withdrawal of the
    /// endpoints, in whole seconds. Connections are seen to arrive for as long as the pod has its network, so where they
    /// came to the very end it is the least that helps.
    pub pre_stop_sleep: Duration,
    /// The grace period that would have sufficed: the 99th percentile of what a termination with that sleep takes up to
    /// the exit, and a margin, in whole seconds. None if so many were killed before they exited that it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Duration>,
}
