//! What the terminations of a workload so far tell about its settings: the preStop sleep that would have covered the last
//! arrival, and the grace period that would have sufficed. Pure, and bounded.
//!
//! A termination counts if it was a stop of which all is known. One that ended by SIGKILL has an arrival like any other,
//! but what it would have needed is only known to be more than it got; so it counts as more than all that are known, and
//! where the percentile falls on such a one there is no advice on the grace period.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::connection::Advice;
use crate::pod::Role;
use crate::report::{
    Doubt, Finding, FindingKind, Hook, HookKind, Outcome, PodRef, Report, SubjectKind,
};
use crate::termination::takes_out;

/// Fewer terminations than this give no advice. Up to 100 the 99th percentile is the longest that was seen; of 20 that is
/// exceeded by one in 21 to come, which is worth saying, and of a handful it is chance.
const TERMINATIONS_MIN: usize = 20;

/// The last terminations of a workload that count.
const TERMINATIONS_MAX: usize = 512;

/// Workloads that are remembered; of the namespace that has most the one that had no termination for longest is forgotten first.
const WORKLOADS_MAX: usize = 1024;

/// The least that is added to what would have sufficed.
const MARGIN_MIN: Duration = Duration::from_secs(1);

/// Who the advice is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Workload {
    /// A container of the pods of a workload.
    Container {
        namespace: String,
        kind: String,
        name: String,
        container: String,
    },
    /// A unit, or a cgroup that has a name. A container of a runtime has a new one each time.
    Subject { kind: SubjectKind, name: String },
}

/// Terminations of one workload, the last one last.
#[derive(Debug, Default)]
struct History {
    terminations: VecDeque<Stop>,
    /// Larger than that of each workload that was used before.
    used: u64,
}

/// A termination, in milliseconds rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stop {
    /// The last arrival after T0; 0 if there was none.
    arrival: u32,
    /// What the hook took, if it did something else than sleep.
    hook: u32,
    /// From the stop signal to the exit; none if SIGKILL ended it.
    exit: Option<u32>,
}

/// What was learned of all workloads.
#[derive(Debug, Default)]
pub(crate) struct Advisor {
    workloads: BTreeMap<Workload, History>,
    uses: u64,
}

impl Advisor {
    /// Learns from a finished report, and says what its workload's terminations advise.
    pub(crate) fn observe_report(&mut self, report: &Report) -> Option<Advice> {
        let workload = Workload::from_report(report)?;
        let stop = Stop::from_report(report)?;
        if self.workloads.len() >= WORKLOADS_MAX && !self.workloads.contains_key(&workload) {
            self.forget_oldest();
        }
        self.uses += 1;
        let history = self.workloads.entry(workload).or_default();
        history.used = self.uses;
        if history.terminations.len() == TERMINATIONS_MAX {
            history.terminations.pop_front();
        }
        history.terminations.push_back(stop);
        history.advice()
    }

    /// Of the namespace that has most. All units and cgroups share like one.
    fn forget_oldest(&mut self) {
        let mut of: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        for workload in self.workloads.keys() {
            *of.entry(workload.namespace()).or_default() += 1;
        }
        let most = of.values().max();
        let of_largest = |workload: &Workload| of.get(&workload.namespace()) == most;
        let all = self.workloads.iter();
        let largest = all.filter(|(workload, _)| of_largest(workload));
        let oldest = largest.min_by_key(|(_, one)| one.used);
        if let Some(workload) = oldest.map(|(workload, _)| workload.clone()) {
            self.workloads.remove(&workload);
        }
    }
}

impl Workload {
    fn namespace(&self) -> Option<&str> {
        match self {
            Self::Container { namespace, .. } => Some(namespace),
            Self::Subject { .. } => None,
        }
    }

    fn from_report(report: &Report) -> Option<Self> {
        let subject = &report.subject;
        match (&report.pod, subject.kind) {
            (Some(pod), _) => Self::of_pod(pod),
            (None, _) if subject.pod_uid.is_some() => None,
            (
                None,
                kind @ (SubjectKind::SystemdService
                | SubjectKind::SystemdScope
                | SubjectKind::Cgroup),
            ) => Some(Self::Subject {
                kind,
                name: subject.name.clone(),
            }),
            (
                None,
                SubjectKind::Docker
                | SubjectKind::Podman
                | SubjectKind::Containerd
                | SubjectKind::Crio,
            ) => None,
        }
    }

    /// A sidecar is stopped after the others, and its time is theirs too.
    fn of_pod(pod: &PodRef) -> Option<Self> {
        if pod.role != Some(Role::Main) {
            return None;
        }
        Some(Self::Container {
            namespace: pod.namespace.clone(),
            kind: pod.workload.kind.clone(),
            name: pod.workload.name.clone(),
            container: pod.container.clone()?,
        })
    }
}

impl Stop {
    fn from_report(report: &Report) -> Option<Self> {
        // A stop that was begun again took longer than its grace period.
        let begun_again = |finding: &Finding| finding.kind == FindingKind::KubeletRestarted;
        if report.findings.iter().any(begun_again)
            || !takes_out(report.trigger)
            || report.doubts.iter().any(|doubt| spoils(*doubt))
        {
            return None;
        }
        let connections = report.connections.as_ref()?;
        if connections.last_arrival_unclear {
            // No sleep is for a health check.
            return None;
        }
        // Where connections come at all, they may until the endpoints are withdrawn.
        let unready_at = report.endpoint.as_ref().and_then(|one| one.unready_at);
        let last = connections.last_arrival_at;
        let arrival = last.map(|last| unready_at.map_or(last, |at| at.max(last)));
        let arrival = arrival.map(|at| at.since(report.started_at));
        let hook = report.hook.as_ref();
        let hook = hook.filter(|hook| hook.kind != HookKind::Sleep);
        let took = report.stop_signal_to_exit()?;
        Some(Self {
            arrival: arrival.map_or(0, millis),
            hook: hook.and_then(Hook::duration).map_or(0, millis),
            exit: match report.outcome {
                Outcome::Graceful => Some(millis(took)),
                Outcome::SignalIgnored | Outcome::GraceExceeded => None,
                Outcome::InProgress
                | Outcome::ForceKilled
                | Outcome::KilledByOther
                | Outcome::OomKilled
                | Outcome::ExitedEarly
                | Outcome::Crashed
                | Outcome::Completed
                | Outcome::Unknown => return None,
            },
        })
    }
}

/// Whether a time or a number that counts here may be wrong.
const fn spoils(doubt: Doubt) -> bool {
    doubt.is_incomplete()
        || matches!(
            doubt,
            Doubt::MainUncertain
                | Doubt::Traced
                | Doubt::HookUncertain
                | Doubt::RuntimeOpaque
                | Doubt::ConnectionsMissing
                | Doubt::StopSignalUncertain
        )
}

impl History {
    fn advice(&self) -> Option<Advice> {
        if self.terminations.len() < TERMINATIONS_MIN {
            return None;
        }
        let sleep =
            round_up_to_seconds(percentile(self.terminations.iter().map(|one| one.arrival))?);
        let needed = |one: &Stop| {
            let Some(exit) = one.exit else {
                return u32::MAX;
            };
            millis(sleep).max(one.hook).saturating_add(exit)
        };
        let needed = percentile(self.terminations.iter().map(needed))?;
        let enough = |needed: Duration| round_up_to_seconds(needed + (needed / 4).max(MARGIN_MIN));
        Some(Advice {
            terminations: u64::try_from(self.terminations.len()).unwrap_or(u64::MAX),
            pre_stop_sleep: sleep,
            grace: (needed < from_millis(u32::MAX)).then(|| enough(needed)),
        })
    }
}

/// The least of these that 99 % of them do not exceed.
fn percentile(values: impl Iterator<Item = u32>) -> Option<Duration> {
    let mut values: Vec<u32> = values.collect();
    values.sort_unstable();
    let rank = (values.len() * 99).div_ceil(100);
    let value = values.get(rank.checked_sub(1)?)?;
    Some(from_millis(*value))
}

fn from_millis(millis: u32) -> Duration {
    Duration::from_millis(u64::from(millis))
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// Rounded up to whole seconds.
pub(crate) fn round_up_to_seconds(duration: Duration) -> Duration {
    let rest = u64::from(duration.subsec_nanos() > 0);
    Duration::from_secs(duration.as_secs().saturating_add(rest))
}

#[cfg(test)]
mod tests;
