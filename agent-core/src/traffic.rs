//! From the counts of one termination to what its report says of connections. Pure.

use std::time::Duration;

use crate::connection::{
    Connections, Direction, Peer, Phase, PhaseCounts, ResetCount, ResetMark, ResetSeen,
    SocketCounts,
};
use crate::sockets::{Edges, Reasons, Sockets, Stop, StopKind};
use crate::termination::{SKEW, Termination};
use crate::time::Timestamp;

mod arrivals;

pub(crate) use arrivals::Arrivals;

/// Resets that a report has one by one.
pub(crate) const MARKS_MAX: usize = 32;
const _: () = assert!(agent_common::socket::MARKS_MAX == 32);

/// How long after its interval began a signal's record may be stamped.
const STAMP_MAX: Duration = Duration::from_millis(10);

/// The connections of one termination.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    /// What was counted, by phase.
    pub(crate) counts: SocketCounts,
    /// What the report says.
    pub(crate) connections: Connections,
    /// Who came.
    pub(crate) arrivals: Arrivals,
}

/// The times that part the phases of a termination.
pub(crate) fn phase_edges(termination: &Termination<'_>) -> Edges {
    let started_at = termination.started_at();
    let request = termination.request;
    let earliest = request.map(|request| request.earliest.before(SKEW));
    // As the kernel side begins an interval: for what a process outside sent, and for any SIGKILL from there.
    let kind = |from_outside, other| {
        if from_outside {
            StopKind::FromOutside
        } else {
            other
        }
    };
    let stop = termination.stop.map(|stop| Stop {
        at: stop.at,
        kind: kind(
            stop.sender.outside && !stop.sender.kernel,
            StopKind::FromInside,
        ),
    });
    let kill = termination.kill.map(|(kill, _)| Stop {
        at: kill.at,
        kind: kind(kill.sender.outside, StopKind::KillFromInside),
    });
    let stop = stop.or(kill);
    Edges {
        began_at: earliest.map_or(started_at, |at| at.min(started_at)),
        stop,
    }
}

impl Traffic {
    /// None if nothing was told of them, or if it cannot be told which of them are the termination's.
    pub(crate) fn derive(
        termination: &Termination<'_>,
        sockets: &Sockets,
        reasons: &Reasons,
    ) -> Option<Self> {
        let started_at = termination.started_at();
        let edges = phase_edges(termination);
        let counts = sockets.of_termination(&edges);
        let nothing = counts.is_none() && sockets.reset_marks().is_empty();
        if nothing || sockets.is_unsure(&edges) {
            return None;
        }
        let counts = counts.unwrap_or_default();
        let origin = Origin::from_termination(termination);
        let arrivals = Arrivals::from_counts(&counts, origin, started_at);
        let since = |at: Option<Timestamp>| at.filter(|at| *at >= started_at);
        let closing = counts_of_phase(&counts, Phase::Closing);
        let (shutdown, after_stop) = (in_shutdown(&counts), after_stop(&counts));
        let last_arrival_at = since(arrivals.last_at);
        let connections = Connections {
            at_stop_signal: established(&after_stop),
            at_exit: established(&[closing]),
            finished: counts_of_phase(&counts, Phase::Stopping).finished,
            accepted_in_hook: origin.accepted(&[counts_of_phase(&counts, Phase::Hook)]),
            accepted_after: origin.accepted(&after_stop),
            last_arrival_at,
            last_arrival_unclear: last_arrival_at.is_some()
                && last_arrival_at != since(arrivals.last_of_clients_at),
            last_listener_closed_at: since(counts.last_listener_closed_at),
            refused: origin.refused(&shutdown),
            refused_in_pod: sum_phases(&shutdown, |one| one.refused_in_pod),
            accepted_from_node: origin.left_out(&shutdown, |one| one.accepted_from_node),
            refused_from_node: origin.left_out(&shutdown, |one| one.refused_from_node),
            initiated_at_stop_signal: initiated(&after_stop),
            initiated_at_exit: initiated(&[closing]),
            pollers: arrivals.pollers.clone(),
            resets: resets(&counts, reasons),
            marks: reset_marks(sockets, started_at, &edges, reasons),
        };
        Some(Self {
            counts,
            connections,
            arrivals,
        })
    }

    /// Accepted connections that the container's side cut since T0, half closed ones included.
    pub(crate) fn aborted(&self) -> u64 {
        let shutdown = in_shutdown(&self.counts);
        let told = shutdown.iter().any(|one| one.by_side.is_some());
        if told {
            return sum_phases(&shutdown, |one| {
                one.by_side.map_or(0, |sides| sides.aborted)
            });
        }
        // Who resets cuts what is established; what the peer cut is not counted.
        let received = self.connections.resets_in_shutdown(Direction::Received);
        sum_phases(&shutdown, |one| one.cut).saturating_sub(received)
    }

    /// Of these, the ones that the peer had half closed.
    pub(crate) fn aborted_half_closed(&self) -> u64 {
        sum_phases(&in_shutdown(&self.counts), |one| {
            one.by_side.map_or(0, |sides| sides.aborted_half_closed)
        })
    }

    /// The container's own connections that its side cut since T0.
    pub(crate) fn aborted_initiated(&self) -> u64 {
        sum_phases(&in_shutdown(&self.counts), |one| {
            one.by_side.map_or(0, |sides| sides.aborted_initiated)
        })
    }

    /// Connections that were accepted since T0 of those who ask whoever is there: probes, scrapers and health checks.
    pub(crate) fn polled(&self) -> u64 {
        let pollers = self.connections.pollers.iter();
        let accepted = pollers.map(|poller| poller.accepted);
        accepted.fold(self.connections.accepted_from_node, u64::saturating_add)
    }

    /// Attempts that were refused while it ran, at ports that it had listened on.
    pub(crate) fn refused_running(&self) -> u64 {
        counts_of_phase(&self.counts, Phase::Running).refused
    }
}

/// Whose connections count as arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Everybody's.
    Anywhere,
    /// Those from an address of the node do not: the pod has probes, and while it terminates the kubelet ends those of
    /// liveness and startup only (`StopLivenessAndStartup`).
    /// <https://github.com/kubernetes/kubernetes/blob/v1.36.2/pkg/kubelet/prober/prober_manager.go>
    NotTheNode,
}

impl Origin {
    fn from_termination(termination: &Termination<'_>) -> Self {
        let pod = termination.container.pod.as_ref();
        if pod.is_some_and(|pod| pod.has_network_probes()) {
            Self::NotTheNode
        } else {
            Self::Anywhere
        }
    }

    fn accepted(self, phases: &[PhaseCounts]) -> u64 {
        let all = sum_phases(phases, |one| one.accepted);
        match self {
            Self::Anywhere => all,
            Self::NotTheNode => {
                all.saturating_sub(sum_phases(phases, |one| one.accepted_from_node))
            }
        }
    }

    fn refused(self, phases: &[PhaseCounts]) -> u64 {
        let all = sum_phases(phases, |one| one.refused);
        match self {
            Self::Anywhere => all,
            Self::NotTheNode => all.saturating_sub(sum_phases(phases, |one| one.refused_from_node)),
        }
    }

    fn left_out(self, phases: &[PhaseCounts], number: impl Fn(&PhaseCounts) -> u64) -> u64 {
        match self {
            Self::Anywhere => 0,
            Self::NotTheNode => sum_phases(phases, number),
        }
    }

    /// Whether a peer's connections do.
    const fn counts(self, peer: &Peer) -> bool {
        match self {
            Self::Anywhere => true,
            Self::NotTheNode => !peer.from_node,
        }
    }

    fn last_arrival_at(self, counts: &SocketCounts) -> Option<Timestamp> {
        let others = counts.accepted_at.max(counts.refused_at);
        match self {
            Self::Anywhere => others.max(counts.from_node_at),
            Self::NotTheNode => others,
        }
    }
}

fn counts_of_phase(counts: &SocketCounts, phase: Phase) -> PhaseCounts {
    let all = Phase::ALL.into_iter().zip(&counts.phases);
    let mut its = all.filter(|(other, _)| *other == phase);
    its.next()
        .map_or_else(PhaseCounts::default, |(_, counts)| *counts)
}

fn in_shutdown(counts: &SocketCounts) -> [PhaseCounts; 3] {
    [Phase::Hook, Phase::Stopping, Phase::Closing].map(|one| counts_of_phase(counts, one))
}

fn after_stop(counts: &SocketCounts) -> [PhaseCounts; 2] {
    [Phase::Stopping, Phase::Closing].map(|one| counts_of_phase(counts, one))
}

/// How many were established before these phases: as many as ended in them, but for those that began in them. In the end
/// all have ended.
fn established(later: &[PhaseCounts]) -> u64 {
    let ended = sum_phases(later, |one| one.finished.saturating_add(one.cut));
    let begun = sum_phases(later, |one| one.accepted.saturating_add(one.connected));
    ended.saturating_sub(begun)
}

/// The same of the container's own connections, as far as it is told.
fn initiated(later: &[PhaseCounts]) -> u64 {
    let ended = sum_phases(later, |one| {
        one.by_side.map_or(0, |sides| {
            sides.finished_initiated.saturating_add(sides.cut_initiated)
        })
    });
    let begun = sum_phases(later, |one| one.by_side.map_or(0, |_| one.connected));
    ended.saturating_sub(begun)
}

fn sum_phases(phases: &[PhaseCounts], number: impl Fn(&PhaseCounts) -> u64) -> u64 {
    phases.iter().map(number).fold(0, u64::saturating_add)
}

fn resets(counts: &SocketCounts, reasons: &Reasons) -> Vec<ResetCount> {
    let mut resets = counts.resets.clone();
    resets.sort_unstable();
    resets
        .into_iter()
        .map(|(class, count)| ResetCount {
            class: reasons.with_reason_name(&class),
            count,
        })
        .collect()
}

fn reset_marks(
    sockets: &Sockets,
    started_at: Timestamp,
    edges: &Edges,
    reasons: &Reasons,
) -> Vec<ResetMark> {
    let all = sockets.reset_marks().iter();
    all.filter(|(at, _)| *at >= started_at)
        .map(|(at, reset)| {
            let mut class = reasons.with_reason_name(&reset.class);
            class.phase = phase_of(*at, reset, edges);
            ResetMark {
                at: *at,
                class,
                refused: reset.refused,
                local_port: reset.local_port,
                peer: reset.peer,
            }
        })
        .take(MARKS_MAX)
        .collect()
}

/// The phase of a reset. After a signal the kernel side could not know it.
fn phase_of(at: Timestamp, reset: &ResetSeen, edges: &Edges) -> Phase {
    let phase = reset.class.phase;
    let stop = edges.stop.map(|stop| stop.at);
    let is_before_stop = |tolerance| stop.is_none_or(|stop| at.after(tolerance) < stop);
    // The signal that the kernel side took for the one that stops may have been an earlier one.
    let too_early = phase == Phase::Stopping && stop.is_some() && is_before_stop(STAMP_MAX);
    if too_early || (reset.after_signal && is_before_stop(Duration::ZERO)) {
        Phase::Hook
    } else {
        phase
    }
}
