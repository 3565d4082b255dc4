//! Why a pod is disrupted, by its condition `DisruptionTarget` and its `status.reason`.

use agent_core::pod::Disruption;
use k8s_openapi::api::core::v1 as api;

/// What the status says.
pub(super) fn find_disruption(status: &api::PodStatus) -> Option<Disruption> {
    // The kubelet sets both at once, and the reason is the clearer one.
    by_reason(status.reason.as_deref()).or_else(|| {
        let condition = status.conditions.iter().flatten().find(|condition| {
            condition.type_ == "DisruptionTarget" && condition.status == "True"
        })?;
        by_condition(
            condition.reason.as_deref()?,
            condition.message.as_deref().unwrap_or_default(),
        )
    })
}

/// The kubelet's words:
/// [eviction](https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/eviction/helpers.go#L44),
/// [preemption](https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/events/event.go#L26),
/// [node shutdown](https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/nodeshutdown/nodeshutdown_manager.go#L88)
/// (`Shutdown` before 1.22).
pub(in super::super) fn by_reason(reason: Option<&str>) -> Option<Disruption> {
    match reason? {
        "Evicted" => Some(Disruption::Evicted),
        "Preempting" => Some(Disruption::Preempted),
        "Terminated" | "Shutdown" => Some(Disruption::NodeShutdown),
        _ => None,
    }
}

/// [Eviction API](https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/registry/core/pod/storage/eviction.go#L348),
/// [taints](https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/tainteviction/taint_eviction.go#L139),
/// [scheduler](https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/scheduler/framework/preemption/executor.go#L130).
/// `DeletionByPodGC` is none of these: the pod's node is gone, or the pod had ended.
fn by_condition(reason: &str, message: &str) -> Option<Disruption> {
    match reason {
        "EvictionByEvictionAPI" | "DeletionByTaintManager" => Some(Disruption::Evicted),
        "PreemptionByScheduler" => Some(Disruption::Preempted),
        "TerminationByKubelet" => Some(by_message(message)),
        _ => None,
    }
}

/// Three things under one reason; the messages of two of them are fixed, the third tells of resources.
fn by_message(message: &str) -> Disruption {
    if message.contains("preempted by Kubelet") {
        Disruption::Preempted
    } else if message.contains("node shutdown") {
        Disruption::NodeShutdown
    } else {
        Disruption::Evicted
    }
}
