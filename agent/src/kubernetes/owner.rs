//! Who owns a pod, as far as its own object tells.

use agent_core::pod::Workload;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// A controller that may itself be controlled, to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Which kind of it.
    pub(super) kind: OwnerKind,
    /// Its namespace, which is the pod's.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
    /// Its UID.
    pub(super) uid: String,
}

/// The controllers of pods that others control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnerKind {
    /// A Deployment's, an Argo Rollout's, or nobody's.
    ReplicaSet,
    /// A CronJob's, another controller's, or nobody's.
    Job,
}

/// The workload by what the object says, and whom to ask to be sure.
pub(super) fn workload_and_owner(meta: &ObjectMeta, pod_name: &str) -> (Workload, Option<Owner>) {
    let Some(controller) = controller(meta) else {
        return (workload("Pod", pod_name), None);
    };
    match controller.kind.as_str() {
        // A static pod: the same on every node but for the node's name at its end.
        "Node" => {
            let suffix = format!("-{}", controller.name);
            let name = pod_name.strip_suffix(&suffix).unwrap_or(pod_name);
            (workload("Node", name), None)
        }
        "ReplicaSet" => (
            by_template_hash(meta, &controller.name)
                .unwrap_or_else(|| workload("ReplicaSet", &controller.name)),
            owner_to_ask(OwnerKind::ReplicaSet, meta, controller),
        ),
        "Job" => (
            workload("Job", &controller.name),
            owner_to_ask(OwnerKind::Job, meta, controller),
        ),
        kind => (workload(kind, &controller.name), None),
    }
}

/// The one owner that is responsible.
pub(super) fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))
}

/// A workload by name.
pub(super) fn workload(kind: &str, name: &str) -> Workload {
    Workload {
        kind: kind.to_owned(),
        name: name.to_owned(),
    }
}

fn owner_to_ask(kind: OwnerKind, meta: &ObjectMeta, controller: &OwnerReference) -> Option<Owner> {
    Some(Owner {
        kind,
        namespace: meta.namespace.clone()?,
        name: controller.name.clone(),
        uid: controller.uid.clone(),
    })
}

/// A ReplicaSet is named after its Deployment or Rollout and the hash with which that labels its pods.
fn by_template_hash(meta: &ObjectMeta, replica_set: &str) -> Option<Workload> {
    let labels = meta.labels.as_ref()?;
    [
        ("rollouts-pod-template-hash", "Rollout"),
        ("pod-template-hash", "Deployment"),
    ]
    .into_iter()
    .find_map(|(label, kind)| {
        let name = replica_set
            .strip_suffix(labels.get(label)?.as_str())?
            .strip_suffix('-')?;
        Some(workload(kind, name))
    })
}
