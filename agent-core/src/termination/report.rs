//! From a termination to its report: outcome, trigger, findings, doubts, and the facts.

use super::{Termination, outcome, trigger};
use crate::config::Limits;
use crate::container::Container;
use crate::findings::{self, Network};
use crate::losses::LossesOf;
use crate::process::SignalFact;
use crate::report::{Outcome, PodRef, Report, StopSignal};
use crate::sockets::{Reasons, Sockets};
use crate::time::Timestamp;
use crate::traffic::Traffic;

/// How far a termination is when a report of it is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReportStage {
    /// It is open.
    Progress,
    /// It is over.
    End,
    /// It is open, and the agent stops.
    AgentStops,
}

/// What a report needs beside the facts of its container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    /// The report's number.
    pub(crate) id: u64,
    /// The engine's time.
    pub(crate) now: Timestamp,
    pub(crate) limits: &'a Limits,
    /// When records were lost.
    pub(crate) losses: LossesOf<'a>,
    /// The container's connections.
    pub(crate) sockets: &'a Sockets,
    /// The kernel's reasons for a reset, where connections are counted.
    pub(crate) reasons: Option<&'a Reasons>,
    /// Whether the last counts of its connections did not come.
    pub(crate) counts_missing: bool,
    /// Whether nobody answered what the main process left behind.
    pub(crate) left_unknown: bool,
}

impl Termination<'_> {
    /// Derives the report.
    pub(crate) fn report(&self, stage: ReportStage, surroundings: &Surroundings<'_>) -> Report {
        let outcome = match stage {
            ReportStage::Progress => Outcome::InProgress,
            ReportStage::End | ReportStage::AgentStops => {
                outcome::outcome(self).unwrap_or(Outcome::Unknown)
            }
        };
        let network = Network {
            traffic: self.traffic(surroundings),
            endpoint: self.endpoint(),
        };
        let Surroundings { limits, now, .. } = *surroundings;
        let findings = findings::findings(self, outcome, &network, limits, now);
        let container = self.container;
        Report {
            id: surroundings.id,
            subject: container.subject.clone(),
            pod: pod_ref(container),
            main: Some(self.main.as_main(self.started_at(), self.name_at_start())),
            outcome,
            trigger: trigger(self, outcome),
            started_at: self.started_at(),
            start_source: self.start_source(),
            hook: self.hook.clone(),
            stop_signal: self.stop.map(|stop| self.as_stop_signal(stop)),
            other_signals: self
                .others
                .iter()
                .map(|fact| self.as_stop_signal(fact))
                .collect(),
            stop_signals_repeated: self.stops_repeated,
            kill: self.as_kill(),
            kills_repeated: self.kills_repeated,
            exit: self.exit.cloned(),
            released_at: self.released_at,
            grace: self.grace(),
            signals_inside: container.signals_inside,
            signals_outside: container.signals_outside,
            connections: network.traffic.map(|traffic| traffic.connections),
            endpoint: network.endpoint,
            advice: None,
            findings,
            doubts: self.doubts(stage, surroundings),
        }
    }

    /// The name of the main process when it was signalled first.
    fn name_at_start(&self) -> Option<&str> {
        let first = self.stop.or(self.kill.map(|(kill, _cause)| kill));
        first.map(|fact| fact.target_comm.as_str())
    }

    fn as_stop_signal(&self, fact: &SignalFact) -> StopSignal {
        // What the kernel did at once is its result; a fate is what came later.
        let fate = self
            .main
            .fate_of(fact)
            .filter(|_fate| fact.pending.is_some());
        StopSignal {
            at: fact.at,
            signal: fact.signal,
            sender: fact.sender.clone(),
            result: fact.result,
            handler: fact.handler,
            blocked: fact.blocked,
            fate,
        }
    }

    /// Returns what is known of its connections; at the end only where they were counted then.
    fn traffic(&self, surroundings: &Surroundings<'_>) -> Option<Traffic> {
        let known = Traffic::derive(self, surroundings.sockets, surroundings.reasons?);
        known.filter(|_| !surroundings.counts_missing)
    }
}

/// Returns the container of Kubernetes that it is, as far as that is known.
pub(crate) fn pod_ref(container: &Container) -> Option<PodRef> {
    let pod = &container.pod.as_ref()?.pod;
    Some(PodRef {
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        workload: pod.workload.clone(),
        container: container.spec.name.clone(),
        role: container.spec.role,
    })
}
