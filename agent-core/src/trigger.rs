//! Why a container was stopped, where Kubernetes tells. Never a guess.

use crate::pod::{Disruption, KubeletEventKind};
use crate::pod_facts::PodFacts;
use crate::report::{Outcome, Start, Trigger};
use crate::termination::{Asked, Course, SKEW, Termination, said};

/// The reason, as far as a pod's facts tell one for a stop that may be this one.
pub(crate) fn reason(course: &Course<'_>, asked: Option<&Asked>) -> Option<Trigger> {
    let pod = course.container.pod.as_ref()?;
    // Probes end with the deletion: where one is told of, it came first.
    let told = said(course, pod).find_map(|(event, _)| by_event(event.kind));
    told.or_else(|| by_deletion(course, pod, asked))
}

const fn by_event(kind: KubeletEventKind) -> Option<Trigger> {
    match kind {
        KubeletEventKind::LivenessFailed => Some(Trigger::Liveness),
        KubeletEventKind::StartupFailed => Some(Trigger::StartupProbe),
        KubeletEventKind::PostStartFailed | KubeletEventKind::PostStartHookFailed => {
            Some(Trigger::PostStart)
        }
        KubeletEventKind::Restarted => Some(Trigger::Restarted),
        KubeletEventKind::Stopping | KubeletEventKind::PreStopFailed => None,
    }
}

fn by_deletion(course: &Course<'_>, pod: &PodFacts, asked: Option<&Asked>) -> Option<Trigger> {
    let deleted = asked.is_some_and(|asked| asked.by == Start::Deletion) || was_gone(course, pod);
    let disrupted_in_its_time = pod.disrupted_at.is_some_and(|at| at >= course.main.start);
    let disruption = pod
        .pod
        .disruption
        .filter(|_| deleted || disrupted_in_its_time);
    match disruption {
        Some(Disruption::Evicted) => Some(Trigger::Evicted),
        Some(Disruption::Preempted) => Some(Trigger::Preempted),
        Some(Disruption::NodeShutdown) => Some(Trigger::NodeShutdown),
        None => deleted.then_some(Trigger::Deleted),
    }
}

/// Whether the pod's object was gone before the stop began. That of a static pod goes after the pod was ended; if it goes
/// while the pod lives, the kubelet makes another.
fn was_gone(course: &Course<'_>, pod: &PodFacts) -> bool {
    let Some(gone) = pod.gone else {
        return false;
    };
    let begun = course.last();
    if pod.is_static() {
        return begun.is_some();
    }
    pod.deletions.is_empty() && begun.is_none_or(|begun| gone.at <= begun.after(SKEW))
}

/// Whether nobody is to connect any more, as opposed to a container that is started again in its place.
pub(crate) const fn takes_out(trigger: Trigger) -> bool {
    match trigger {
        Trigger::Stopped
        | Trigger::Deleted
        | Trigger::Evicted
        | Trigger::Preempted
        | Trigger::NodeShutdown => true,
        Trigger::Liveness
        | Trigger::StartupProbe
        | Trigger::PostStart
        | Trigger::Restarted
        | Trigger::Crashed
        | Trigger::Completed
        | Trigger::Unknown => false,
    }
}

/// Why it was stopped.
pub(crate) fn trigger(termination: &Termination<'_>, outcome: Outcome) -> Trigger {
    if termination.is_stop(outcome) {
        return match termination.reason {
            Some(reason) => reason,
            None if termination.container.is_pods => Trigger::Unknown,
            None => Trigger::Stopped,
        };
    }
    match outcome {
        Outcome::Crashed => Trigger::Crashed,
        Outcome::Completed => Trigger::Completed,
        Outcome::InProgress
        | Outcome::Graceful
        | Outcome::SignalIgnored
        | Outcome::GraceExceeded
        | Outcome::ForceKilled
        | Outcome::KilledByOther
        | Outcome::OomKilled
        | Outcome::ExitedEarly
        | Outcome::Unknown => Trigger::Unknown,
    }
}
