//! From the counts of one termination to what its report says of connections. Pure.

use crate::connection::{Connections, Phase, PhaseCounts, ResetCount, ResetMark, SocketCounts};
use crate::sockets::{Reasons, Sockets};
use crate::termination::Termination;
use crate::time::Timestamp;

/// The connections of one termination.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    /// What was counted.
    pub(crate) counts: SocketCounts,
    /// What the report says.
    pub(crate) connections: Connections,
}

impl Traffic {
    /// None if nothing was told of them.
    pub(crate) fn of(
        termination: &Termination<'_>,
        sockets: &Sockets,
        reasons: &Reasons,
    ) -> Option<Self> {
        let started_at = termination.started_at();
        let counts = sockets.of_termination();
        if counts.is_none() && sockets.marks().is_empty() {
            return None;
        }
        let counts = counts.unwrap_or_default();
        let origin = Origin::of(termination);
        let since = |at: Option<Timestamp>| at.filter(|at| *at >= started_at);
        let stopping = phase(&counts, Phase::Stopping);
        let closing = phase(&counts, Phase::Closing);
        let shutdown = [phase(&counts, Phase::Hook), stopping, closing];
        let connections = Connections {
            at_stop_signal: established(&[stopping, closing]),
            at_exit: established(&[closing]),
            finished: stopping.finished,
            accepted_in_hook: origin.accepted(&[phase(&counts, Phase::Hook)]),
            accepted_after: origin.accepted(&[stopping, closing]),
            last_arrival_at: since(origin.last_arrival_at(&counts)),
            unlistened_at: since(counts.unlistened_at),
            refused: origin.refused(&shutdown),
            refused_in_pod: sum(&shutdown, |one| one.refused_in_pod),
            accepted_from_node: origin.left_out(&shutdown, |one| one.accepted_from_node),
            refused_from_node: origin.left_out(&shutdown, |one| one.refused_from_node),
            resets: resets(&counts, reasons),
            marks: marks(sockets, started_at, reasons),
        };
        Some(Self {
            counts,
            connections,
        })
    }

    /// Established connections that were cut without a FIN since T0.
    pub(crate) fn cut(&self) -> u64 {
        let shutdown = [Phase::Hook, Phase::Stopping, Phase::Closing];
        sum(&shutdown.map(|one| phase(&self.counts, one)), |one| one.cut)
    }

    /// Attempts that were refused while it ran, at ports that it had listened on.
    pub(crate) fn refused_running(&self) -> u64 {
        phase(&self.counts, Phase::Running).refused
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
    fn of(termination: &Termination<'_>) -> Self {
        let pod = termination.container.pod.as_ref();
        if pod.is_some_and(|pod| pod.has_network_probes()) {
            Self::NotTheNode
        } else {
            Self::Anywhere
        }
    }

    fn accepted(self, phases: &[PhaseCounts]) -> u64 {
        let all = sum(phases, |one| one.accepted);
        match self {
            Self::Anywhere => all,
            Self::NotTheNode => all.saturating_sub(sum(phases, |one| one.accepted_from_node)),
        }
    }

    fn refused(self, phases: &[PhaseCounts]) -> u64 {
        let all = sum(phases, |one| one.refused);
        match self {
            Self::Anywhere => all,
            Self::NotTheNode => all.saturating_sub(sum(phases, |one| one.refused_from_node)),
        }
    }

    fn left_out(self, phases: &[PhaseCounts], number: impl Fn(&PhaseCounts) -> u64) -> u64 {
        match self {
            Self::Anywhere => 0,
            Self::NotTheNode => sum(phases, number),
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

fn phase(counts: &SocketCounts, phase: Phase) -> PhaseCounts {
    let all = Phase::ALL.into_iter().zip(&counts.phases);
    let mut its = all.filter(|(other, _)| *other == phase);
    its.next()
        .map_or_else(PhaseCounts::default, |(_, counts)| *counts)
}

/// How many were established before these phases: as many as ended in them, but for those that began in them. In the end
/// all have ended.
fn established(later: &[PhaseCounts]) -> u64 {
    let ended = sum(later, |one| one.finished.saturating_add(one.cut));
    let begun = sum(later, |one| one.accepted.saturating_add(one.connected));
    ended.saturating_sub(begun)
}

fn sum(phases: &[PhaseCounts], number: impl Fn(&PhaseCounts) -> u64) -> u64 {
    phases.iter().map(number).fold(0, u64::saturating_add)
}

fn resets(counts: &SocketCounts, reasons: &Reasons) -> Vec<ResetCount> {
    let mut resets = counts.resets.clone();
    resets.sort_unstable();
    resets
        .into_iter()
        .map(|(class, count)| ResetCount {
            class: reasons.named(&class),
            count,
        })
        .collect()
}

fn marks(sockets: &Sockets, started_at: Timestamp, reasons: &Reasons) -> Vec<ResetMark> {
    let all = sockets.marks().iter();
    all.filter(|(at, _)| *at >= started_at)
        .map(|(at, reset)| ResetMark {
            at: *at,
            class: reasons.named(&reset.class),
            refused: reset.refused,
            local_port: reset.local_port,
            peer: reset.peer,
        })
        .collect()
}
