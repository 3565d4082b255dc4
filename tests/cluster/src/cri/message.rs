//! The messages of the CRI that the rig sends and reads, with the fields that it uses; what is left out keeps its
//! default. Numbers and names: <https://github.com/kubernetes/cri-api/blob/v0.34.0/pkg/apis/runtime/v1/api.proto>.

use std::collections::BTreeMap;

use prost::Message;

/// Asks who answers.
#[derive(Clone, PartialEq, Message)]
pub struct VersionRequest {}

/// Who answers.
#[derive(Clone, PartialEq, Message)]
pub struct VersionResponse {
    /// The runtime's name.
    #[prost(string, tag = "2")]
    pub runtime_name: String,
    /// Its version.
    #[prost(string, tag = "3")]
    pub runtime_version: String,
}

/// Makes and starts a pod's sandbox.
#[derive(Clone, PartialEq, Message)]
pub struct RunPodSandboxRequest {
    /// The pod.
    #[prost(message, optional, tag = "1")]
    pub config: Option<PodSandboxConfig>,
    /// The name of the OCI runtime; empty for the default.
    #[prost(string, tag = "2")]
    pub runtime_handler: String,
}

/// The sandbox that was made.
#[derive(Clone, PartialEq, Message)]
pub struct RunPodSandboxResponse {
    /// Its id.
    #[prost(string, tag = "1")]
    pub pod_sandbox_id: String,
}

/// StopPodSandbox and RemovePodSandbox.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxRequest {
    /// Its id.
    #[prost(string, tag = "1")]
    pub pod_sandbox_id: String,
}

/// What a pod is to the runtime.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxConfig {
    /// Its names.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<PodSandboxMetadata>,
    /// Its host name.
    #[prost(string, tag = "2")]
    pub hostname: String,
    /// Where the logs of its containers go.
    #[prost(string, tag = "3")]
    pub log_directory: String,
    /// Labels.
    #[prost(btree_map = "string, string", tag = "6")]
    pub labels: BTreeMap<String, String>,
    /// Its cgroup and namespaces.
    #[prost(message, optional, tag = "8")]
    pub linux: Option<LinuxPodSandboxConfig>,
}

/// The names of a pod.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PodSandboxMetadata {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its UID.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// Its namespace.
    #[prost(string, tag = "3")]
    pub namespace: String,
    /// How many sandboxes it had before.
    #[prost(uint32, tag = "4")]
    pub attempt: u32,
}

/// A pod's cgroup and namespaces.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxPodSandboxConfig {
    /// The cgroup that holds those of its containers: a path, or a slice with the systemd driver.
    #[prost(string, tag = "1")]
    pub cgroup_parent: String,
    /// Its namespaces.
    #[prost(message, optional, tag = "2")]
    pub security_context: Option<LinuxSandboxSecurityContext>,
}

/// A pod's security context.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxSandboxSecurityContext {
    /// Its namespaces.
    #[prost(message, optional, tag = "1")]
    pub namespace_options: Option<NamespaceOption>,
}

/// Whose namespaces are used.
#[derive(Clone, PartialEq, Message)]
pub struct NamespaceOption {
    /// Network.
    #[prost(enumeration = "NamespaceMode", tag = "1")]
    pub network: i32,
    /// Processes.
    #[prost(enumeration = "NamespaceMode", tag = "2")]
    pub pid: i32,
    /// IPC.
    #[prost(enumeration = "NamespaceMode", tag = "3")]
    pub ipc: i32,
    /// Users.
    #[prost(message, optional, tag = "5")]
    pub userns_options: Option<UserNamespace>,
}

/// Whose namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum NamespaceMode {
    /// One for all containers of the pod.
    Pod = 0,
    /// One for each container.
    Container = 1,
    /// The machine's.
    Node = 2,
}

/// A pod's user namespace.
#[derive(Clone, PartialEq, Message)]
pub struct UserNamespace {
    /// Whether it has one: [`NamespaceMode::Pod`], or the machine's.
    #[prost(enumeration = "NamespaceMode", tag = "1")]
    pub mode: i32,
    /// Users.
    #[prost(message, repeated, tag = "2")]
    pub uids: Vec<IdMapping>,
    /// Groups.
    #[prost(message, repeated, tag = "3")]
    pub gids: Vec<IdMapping>,
}

/// Ids of a user namespace.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct IdMapping {
    /// The first one outside.
    #[prost(uint32, tag = "1")]
    pub host_id: u32,
    /// The first one inside.
    #[prost(uint32, tag = "2")]
    pub container_id: u32,
    /// How many.
    #[prost(uint32, tag = "3")]
    pub length: u32,
}

/// Makes a container.
#[derive(Clone, PartialEq, Message)]
pub struct CreateContainerRequest {
    /// In this sandbox.
    #[prost(string, tag = "1")]
    pub pod_sandbox_id: String,
    /// The container.
    #[prost(message, optional, tag = "2")]
    pub config: Option<ContainerConfig>,
    /// The sandbox's own configuration, again.
    #[prost(message, optional, tag = "3")]
    pub sandbox_config: Option<PodSandboxConfig>,
}

/// The container that was made.
#[derive(Clone, PartialEq, Message)]
pub struct CreateContainerResponse {
    /// Its id.
    #[prost(string, tag = "1")]
    pub container_id: String,
}

/// A container.
#[derive(Clone, PartialEq, Message)]
pub struct ContainerConfig {
    /// Its name.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<ContainerMetadata>,
    /// Its image.
    #[prost(message, optional, tag = "2")]
    pub image: Option<ImageSpec>,
    /// In the place of the image's entry point.
    #[prost(string, repeated, tag = "3")]
    pub command: Vec<String>,
    /// Its log, below the pod's folder.
    #[prost(string, tag = "11")]
    pub log_path: String,
    /// Its namespaces.
    #[prost(message, optional, tag = "15")]
    pub linux: Option<LinuxContainerConfig>,
    /// `lifecycle.stopSignal`; 0 for none. Not the kernel's numbers.
    #[prost(int32, tag = "18")]
    pub stop_signal: i32,
}

/// A container's name.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContainerMetadata {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// How often it was restarted.
    #[prost(uint32, tag = "2")]
    pub attempt: u32,
}

/// An image.
#[derive(Clone, PartialEq, Message)]
pub struct ImageSpec {
    /// Its name.
    #[prost(string, tag = "1")]
    pub image: String,
}

/// A container's Linux part.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxContainerConfig {
    /// Its limits.
    #[prost(message, optional, tag = "1")]
    pub resources: Option<LinuxContainerResources>,
    /// Its namespaces.
    #[prost(message, optional, tag = "2")]
    pub security_context: Option<LinuxContainerSecurityContext>,
}

/// A container's limits; 0 for none.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LinuxContainerResources {
    /// Memory.
    #[prost(int64, tag = "4")]
    pub memory_limit_in_bytes: i64,
    /// The machine's own way to choose who has to go.
    #[prost(int64, tag = "5")]
    pub oom_score_adj: i64,
}

/// A container's security context.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxContainerSecurityContext {
    /// Its namespaces.
    #[prost(message, optional, tag = "3")]
    pub namespace_options: Option<NamespaceOption>,
}

/// StartContainer and RemoveContainer.
#[derive(Clone, PartialEq, Message)]
pub struct ContainerRequest {
    /// Its id.
    #[prost(string, tag = "1")]
    pub container_id: String,
}

/// Stops a container.
#[derive(Clone, PartialEq, Message)]
pub struct StopContainerRequest {
    /// Its id.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// Seconds between the stop signal and SIGKILL; 0 for SIGKILL at once.
    #[prost(int64, tag = "2")]
    pub timeout: i64,
}

/// Runs a command in a container.
#[derive(Clone, PartialEq, Message)]
pub struct ExecSyncRequest {
    /// Its id.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// The command.
    #[prost(string, repeated, tag = "2")]
    pub cmd: Vec<String>,
    /// Seconds; 0 for no limit.
    #[prost(int64, tag = "3")]
    pub timeout: i64,
}

/// What the command said.
#[derive(Clone, PartialEq, Message)]
pub struct ExecSyncResponse {
    /// On its standard output.
    #[prost(bytes = "vec", tag = "1")]
    pub stdout: Vec<u8>,
    /// On its standard error.
    #[prost(bytes = "vec", tag = "2")]
    pub stderr: Vec<u8>,
    /// Its exit code, 128 and the signal's number for one that a signal ended.
    #[prost(int32, tag = "3")]
    pub exit_code: i32,
}

/// Asks for a container's state.
#[derive(Clone, PartialEq, Message)]
pub struct ContainerStatusRequest {
    /// Its id.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// Whether the runtime's own words are wanted, too.
    #[prost(bool, tag = "2")]
    pub verbose: bool,
}

/// A container's state, and the runtime's own words.
#[derive(Clone, PartialEq, Message)]
pub struct ContainerStatusResponse {
    /// The state.
    #[prost(message, optional, tag = "1")]
    pub status: Option<ContainerStatus>,
    /// The runtime's own words; containerd's `info` is JSON.
    #[prost(btree_map = "string, string", tag = "2")]
    pub info: BTreeMap<String, String>,
}

/// A container's state.
#[derive(Clone, PartialEq, Message)]
pub struct ContainerStatus {
    /// 1 running, 2 exited.
    #[prost(int32, tag = "3")]
    pub state: i32,
    /// Nanoseconds of the wall clock.
    #[prost(int64, tag = "5")]
    pub started_at: i64,
    /// Nanoseconds of the wall clock.
    #[prost(int64, tag = "6")]
    pub finished_at: i64,
    /// 128 and the signal's number for one that a signal ended.
    #[prost(int32, tag = "7")]
    pub exit_code: i32,
    /// `Completed`, `Error`, `OOMKilled`.
    #[prost(string, tag = "10")]
    pub reason: String,
}

/// The answer to what has none.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Nothing {}
