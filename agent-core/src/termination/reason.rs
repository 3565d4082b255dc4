//! Why a container was asked to stop, where Kubernetes tells. Never a guess.

use super::observed::Observed;
use super::request::{SKEW, StopRequest, kubelet_events};
use crate::pod::{Disruption, KubeletEventKind};
use crate::pod_facts::PodFacts;
use crate::report::{Start, Trigger};

/// The reason, as far as a pod's facts tell one for a stop that may be this one.
pub(super) fn find_reason(
    observed: &Observed<'_>,
    request: Option<&StopRequest>,
) -> Option<Trigger> {
    let pod = observed.container.pod.as_ref()?;
    // Probes end with the deletion: where one is told of, it came first.
    let told = kubelet_events(observed, pod).find_map(|(event, _)| by_event(event.kind));
    told.or_else(|| by_deletion(observed, pod, request))
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

fn by_deletion(
    observed: &Observed<'_>,
    pod: &PodFacts,
    request: Option<&StopRequest>,
) -> Option<Trigger> {
    let deleted =
        request.is_some_and(|request| request.by == Start::Deletion) || was_gone(observed, pod);
    let disrupted_in_its_time = pod.disrupted_at.is_some_and(|at| at >= observed.main.start);
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
fn was_gone(observed: &Observed<'_>, pod: &PodFacts) -> bool {
    let Some(gone) = pod.gone else {
        return false;
    };
    let begun = observed.latest_start();
    if pod.is_static() {
        return begun.is_some();
    }
    pod.deletions.is_empty() && begun.is_none_or(|begun| gone.at <= begun.after(SKEW))
}
