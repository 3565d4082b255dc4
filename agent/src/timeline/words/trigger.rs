//! Why a container was stopped, in words.

use agent_core::report::{Report, Start, Trigger};

/// Why, where that says more than the outcome.
pub(crate) const fn trigger(trigger: Trigger) -> Option<&'static str> {
    match trigger {
        Trigger::Deleted => Some("the pod was deleted"),
        Trigger::Liveness => Some("its liveness probe failed"),
        Trigger::StartupProbe => Some("its startup probe failed"),
        Trigger::PostStart => Some("its postStart hook failed"),
        Trigger::Evicted => Some("the pod was evicted"),
        Trigger::Preempted => Some("the pod made room for one of higher priority"),
        Trigger::NodeShutdown => Some("the node shuts down"),
        Trigger::Restarted => Some("its definition changed, or all containers are restarted"),
        Trigger::Stopped | Trigger::Crashed | Trigger::Completed | Trigger::Unknown => None,
    }
}

/// The request to stop as an event, where Kubernetes told of it.
pub(in crate::timeline) fn stop_request_event(report: &Report) -> Option<&'static str> {
    let by_kubernetes = matches!(report.start_source, Start::Deletion | Start::Killing);
    by_kubernetes.then(|| match report.trigger {
        Trigger::Liveness => "liveness failed",
        Trigger::StartupProbe => "startup failed",
        Trigger::PostStart => "postStart failed",
        Trigger::Evicted => "pod evicted",
        Trigger::Preempted => "pod preempted",
        Trigger::NodeShutdown => "node shutdown",
        Trigger::Restarted => "restart",
        Trigger::Deleted
        | Trigger::Stopped
        | Trigger::Crashed
        | Trigger::Completed
        | Trigger::Unknown
            if report.start_source == Start::Deletion =>
        {
            "pod deleted"
        }
        Trigger::Deleted
        | Trigger::Stopped
        | Trigger::Crashed
        | Trigger::Completed
        | Trigger::Unknown => "kubelet stops it",
    })
}
