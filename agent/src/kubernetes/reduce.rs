//! A pod's API object, reduced to what the engine uses. Pure; annotations, labels, environment and volumes are dropped.

mod containers;
mod disruption;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use agent_core::pod::{Deletion, Pod};
use agent_core::time::Timestamp;
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::owner::{Owner, workload_and_owner};

/// The UID that the kubelet gave a static pod; the mirror pod in the API has another one.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";
/// `terminationGracePeriodSeconds` where it is not set: the API server fills it in, so this is for the incomplete.
const GRACE: i64 = 30;

/// A reduced pod, and who owns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReducedPod {
    /// With the workload as far as the object itself tells it.
    pub(super) pod: Pod,
    /// What has to be looked up to know the workload for sure, if anything.
    pub(super) owner: Option<Owner>,
}

/// Reduces; `None` for an object without a name or UID, which no API server gives.
pub(super) fn reduce(object: &api::Pod, wall_at_boot: u64) -> Option<ReducedPod> {
    let meta = &object.metadata;
    let spec = object.spec.as_ref()?;
    let status = object.status.as_ref();
    let name = meta.name.clone()?;
    let (workload, owner) = workload_and_owner(meta, &name);
    let cgroup_uid = meta
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(CONFIG_HASH))
        .cloned();
    let pod = Pod {
        uid: meta.uid.clone()?,
        cgroup_uid,
        namespace: meta.namespace.clone()?,
        name,
        workload,
        grace: seconds(spec.termination_grace_period_seconds.unwrap_or(GRACE)),
        deletion: meta.deletion_timestamp.as_ref().map(|at| {
            let grace = seconds(meta.deletion_grace_period_seconds.unwrap_or(0));
            let expires = boot_time(at, wall_at_boot);
            let nanoseconds = u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX);
            Deletion {
                requested_at: Timestamp(expires.0.saturating_sub(nanoseconds)),
                grace,
            }
        }),
        disruption: status.and_then(disruption::find_disruption),
        ips: status.map(pod_ips).unwrap_or_default(),
        runtime_class: spec.runtime_class_name.clone(),
        containers: containers::reduce_containers(spec, status),
    };
    Some(ReducedPod { pod, owner })
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}

/// A time of the wall clock on the clock of the kernel's records; zero for one before the boot.
pub(super) fn boot_time(at: &Time, wall_at_boot: u64) -> Timestamp {
    let nanoseconds =
        at.0.as_nanosecond()
            .saturating_sub(i128::from(wall_at_boot));
    Timestamp(u64::try_from(nanoseconds).unwrap_or(0))
}

fn pod_ips(status: &api::PodStatus) -> Vec<IpAddr> {
    let all = status.pod_ips.iter().flatten().map(|one| one.ip.as_str());
    let mut ips: Vec<IpAddr> = all
        .chain(status.pod_ip.as_deref())
        .filter_map(|ip| ip.parse().ok())
        .collect();
    ips.sort_unstable();
    ips.dedup();
    ips
}
