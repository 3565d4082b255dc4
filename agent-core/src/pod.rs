//! What Kubernetes knows of a pod, reduced to what the engine uses: whose containers they are, how they are to be
//! stopped, and why.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::signal::Signal;
use crate::time::Timestamp;

/// A pod of this node, as its API object stood at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its UID in the API.
    pub uid: String,
    /// Its UID in cgroup paths, where that is another one: a static pod's is the hash of its manifest
    /// (annotation `kubernetes.io/config.hash`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_uid: Option<String>,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What owns it.
    pub workload: Workload,
    /// `terminationGracePeriodSeconds`.
    pub grace: Duration,
    /// Its deletion, once it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
    /// Why it is being disrupted, where a condition or its status says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disruption: Option<Disruption>,
    /// Its addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<IpAddr>,
    /// `runtimeClassName`: with some (Kata, gVisor) the processes of the container are not the node's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_class: Option<String>,
    /// All its containers.
    pub containers: Vec<PodContainer>,
}

/// What owns a pod: the last controller that is known going up from it, or the pod itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Workload {
    /// Its kind: `Deployment`, `StatefulSet`, `DaemonSet`, `Job`, `CronJob`, another controller's, or `Pod`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A wish to delete a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When it was asked for, to a second and by the API server's clock: `deletionTimestamp` less the grace.
    pub requested_at: Timestamp,
    /// `deletionGracePeriodSeconds`.
    pub grace: Duration,
}

/// Why a pod is being disrupted, by its condition `DisruptionTarget` and its `status.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disruption {
    /// By the eviction API, by the kubelet (pressure), or by a taint.
    Evicted,
    /// By a pod of higher priority.
    Preempted,
    /// The node shuts down.
    NodeShutdown,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodContainer {
    /// Its name.
    pub name: String,
    /// What it is in its pod.
    pub role: Role,
    /// Ids of the containers that a runtime made for it, as far as its status tells: the present one first, without the
    /// runtime's scheme (`containerd://`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Its preStop hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_stop: Option<PreStop>,
    /// The stop signal, where the spec or the status tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<Signal>,
    /// The grace period of its liveness probe, where that has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness_grace: Option<Duration>,
    /// The grace period of its startup probe, where that has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_grace: Option<Duration>,
    /// Ports that its probes connect to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probe_ports: Vec<u16>,
}

/// What a container is in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// One of `containers`.
    Main,
    /// One of `initContainers` that has to end before the next starts.
    Init,
    /// One of `initContainers` with `restartPolicy: Always`: stopped after the main ones, the last first.
    Sidecar,
    /// One of `ephemeralContainers`.
    Ephemeral,
}

/// A preStop hook as the spec has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreStop {
    /// A command in the container.
    Exec {
        /// Its words.
        command: Vec<String>,
    },
    /// A request of the kubelet's.
    HttpGet {
        /// The host, if it is not the pod's address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// The port, if it is a number or a name that the container's ports explain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// The path.
        path: String,
    },
    /// A pause in the kubelet.
    Sleep {
        /// How long.
        duration: Duration,
    },
    /// Accepted by the API and refused by the kubelet when it is to run.
    TcpSocket,
}

/// How a pod stands in the EndpointSlices: the conditions of its endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointState {
    /// Whether new connections are to go there.
    pub ready: bool,
    /// Whether it could serve, terminating or not.
    pub serving: bool,
    /// Whether it is being terminated, or is in no slice any more.
    pub terminating: bool,
}

/// Something that the kubelet said of a pod by an Event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubeletEvent {
    /// The pod.
    pub pod_uid: String,
    /// The container's name, where the Event is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What it said.
    pub kind: KubeletEventKind,
    /// When it happened, to a second and by the node's wall clock.
    pub happened_at: Timestamp,
}

/// What the kubelet said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KubeletEventKind {
    /// `Killing`: the pod is being stopped, for a reason that the Event does not tell.
    Stopping,
    /// `Killing`: the liveness probe failed.
    LivenessFailed,
    /// `Killing`: the startup probe failed.
    StartupFailed,
    /// `Killing`: the postStart hook failed.
    PostStartFailed,
    /// `Killing`: the definition changed, or all containers are to be restarted.
    Restarted,
    /// `FailedPreStopHook`.
    PreStopFailed,
    /// `FailedPostStartHook`.
    PostStartHookFailed,
}

impl KubeletEventKind {
    /// Whether it says that the kubelet kills the container.
    pub const fn is_killing(self) -> bool {
        match self {
            Self::Stopping
            | Self::LivenessFailed
            | Self::StartupFailed
            | Self::PostStartFailed
            | Self::Restarted => true,
            Self::PreStopFailed | Self::PostStartHookFailed => false,
        }
    }
}
