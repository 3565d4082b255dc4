//! One finished termination: the verdict, and the facts it was derived from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connection::{Advice, Connections};
use crate::event::{CgroupId, Delivery, ExitStatus, Handler, Tgid};
use crate::pod::{Role, Workload};
use crate::signal::Signal;
use crate::time::Timestamp;

/// What was terminated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Id of its topmost cgroup.
    pub cgroup: CgroupId,
    /// Path of that cgroup below the root of the v2 hierarchy.
    pub path: String,
    /// What kind of thing it is.
    pub kind: SubjectKind,
    /// Its name: a unit's name, a container's short id, or the last part of the path.
    pub name: String,
    /// The full container id, for containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// The pod's UID as the path has it, with hyphens, for containers of Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
}

/// The container of Kubernetes that a subject is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRef {
    /// The pod's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID in the API.
    pub uid: String,
    /// What owns it.
    pub workload: Workload,
    /// The container's name, if the pod's status named its id in time.
    pub container: Option<String>,
    /// What the container is in its pod, if its name is known.
    pub role: Option<Role>,
}

/// What kind of thing a subject is, by its cgroup path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A systemd service.
    SystemdService,
    /// A systemd scope that is no container.
    SystemdScope,
    /// A container of Docker.
    Docker,
    /// A container of podman.
    Podman,
    /// A container of containerd.
    Containerd,
    /// A container of CRI-O.
    Crio,
    /// A cgroup that a glob named.
    Cgroup,
}

/// One termination of one container. Times are of the node's boot clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Counts the agent's terminations, from 1; a report in progress has its number already. One that was
    /// withdrawn leaves a hole.
    pub id: u64,
    /// What was terminated.
    pub subject: Subject,
    /// Which pod's container it was, with Kubernetes and if that became known in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodRef>,
    /// Its main process, if it was ever seen.
    pub main: Option<MainProcess>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was stopped.
    pub trigger: Trigger,
    /// T0: the first of pod deletion seen, the kubelet's `Killing`, the hook's exec and Ts; else Tk, else Te, else Tr.
    pub started_at: Timestamp,
    /// What T0 was taken from.
    pub start_source: Start,
    /// The preStop hook, if one was seen or expected.
    pub hook: Option<Hook>,
    /// Ts and what became of it.
    pub stop_signal: Option<StopSignal>,
    /// Signals from outside that were not the stop signal, before the end; the newest few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_signals: Vec<StopSignal>,
    /// Further deliveries of the stop signal from outside, after the first.
    pub stop_signals_repeated: u32,
    /// Tk, the first SIGKILL for the main process that could kill it.
    pub kill: Option<Kill>,
    /// Further SIGKILLs from outside for the main process.
    pub kills_repeated: u32,
    /// Te and how.
    pub exit: Option<MainExit>,
    /// Tr: the container's cgroup was empty or removed.
    pub released_at: Option<Timestamp>,
    /// The grace period, where it is known.
    pub grace: Option<Grace>,
    /// Signals that the kernel side counted instead of recording.
    pub signals_inside: u64,
    /// Signals from outside for other processes than those watched.
    pub signals_outside: u64,
    /// Its connections, where the kernel side counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Connections>,
    /// Its pod's endpoints, if the pod has any and they are watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// What this and the workload's terminations before it advise, once there are enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
    /// The diagnoses, each with one sentence of evidence and one of advice.
    pub findings: Vec<Finding>,
    /// What keeps the verdict from being certain. Empty: certain.
    pub doubts: Vec<Doubt>,
}

impl Report {
    /// Stop signal to exit (Ts to Te).
    pub fn stop_signal_to_exit(&self) -> Option<Duration> {
        Some(self.exit.as_ref()?.at.since(self.stop_signal.as_ref()?.at))
    }

    /// Start to exit (T0 to Te).
    pub fn total_duration(&self) -> Option<Duration> {
        Some(self.exit.as_ref()?.at.since(self.started_at))
    }

    /// How long the hook ran, observed or inferred.
    pub fn hook_duration(&self) -> Option<Duration> {
        self.hook.as_ref()?.duration()
    }

    /// Stop signal to SIGKILL (Ts to Tk).
    pub fn stop_signal_to_kill(&self) -> Option<Duration> {
        Some(self.kill.as_ref()?.at.since(self.stop_signal.as_ref()?.at))
    }
}

/// What T0 was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The deletion of the pod, as this agent saw it.
    Deletion,
    /// The kubelet's `Killing`.
    Killing,
    /// The exec of the hook.
    Hook,
    /// The stop signal.
    StopSignal,
    /// SIGKILL.
    Kill,
    /// The exit of the main process.
    Exit,
    /// The release, or that the main process was found to be gone.
    Release,
}

/// How a container ended; exactly one per report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Still open (only in reports in progress).
    InProgress,
    /// It exited by itself after the stop signal.
    Graceful,
    /// The kernel threw the stop signal away, and SIGKILL ended it.
    SignalIgnored,
    /// It got the stop signal, did not exit in time, and SIGKILL ended it.
    GraceExceeded,
    /// SIGKILL from outside without a stop signal before.
    ForceKilled,
    /// A signal that is part of no ordinary stop ended it.
    KilledByOther,
    /// The OOM killer ended it.
    OomKilled,
    /// It exited by itself while terminating (its hook ran), before any stop signal.
    ExitedEarly,
    /// It ended by itself, not by a stop, with a status other than 0 or by its own signal.
    Crashed,
    /// It ended by itself, not by a stop, with status 0.
    Completed,
    /// The facts do not suffice for a verdict; the doubts say why.
    Unknown,
}

impl Outcome {
    /// Every outcome that a finished report can have.
    pub const FINISHED: [Self; 10] = [
        Self::Graceful,
        Self::SignalIgnored,
        Self::GraceExceeded,
        Self::ForceKilled,
        Self::KilledByOther,
        Self::OomKilled,
        Self::ExitedEarly,
        Self::Crashed,
        Self::Completed,
        Self::Unknown,
    ];
}

/// Why a container was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Somebody asked for it: a stop signal or SIGKILL came from outside, and no Kubernetes to tell why.
    Stopped,
    /// The pod was deleted: by a person, a rolling update, a controller.
    Deleted,
    /// The liveness probe failed.
    Liveness,
    /// The startup probe failed.
    StartupProbe,
    /// The postStart hook failed.
    PostStart,
    /// The pod was evicted.
    Evicted,
    /// The pod made room for one of higher priority.
    Preempted,
    /// The node shut down.
    NodeShutdown,
    /// The container was restarted: its definition changed, or all containers of the pod were to be restarted.
    Restarted,
    /// It crashed.
    Crashed,
    /// It completed.
    Completed,
    /// Nothing is known.
    Unknown,
}

/// The main process of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainProcess {
    /// Thread group id in the initial pid namespace.
    pub tgid: Tgid,
    /// Thread group id in its own pid namespace: 1 if it is that namespace's init.
    pub ns_tgid: u32,
    /// Nesting level of that namespace; 0 is the machine's own.
    pub ns_level: u32,
    /// Its `comm`, the last one seen.
    pub comm: String,
    /// Its command line, the last one seen; empty if none was.
    pub argv: Vec<String>,
    /// When it was started.
    pub start: Timestamp,
}

/// Who sent a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// Thread group id in the initial pid namespace.
    pub tgid: Tgid,
    /// Its `comm`.
    pub comm: String,
    /// Its parent's `comm`.
    pub parent_comm: String,
    /// Whether it was in no cgroup of the container.
    pub outside: bool,
    /// Whether the kernel itself sent the signal; the rest is then whoever happened to run.
    pub kernel: bool,
}

/// The stop signal and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopSignal {
    /// Ts.
    pub at: Timestamp,
    /// Which.
    pub signal: Signal,
    /// Who.
    pub sender: Sender,
    /// The kernel's own result.
    pub result: Delivery,
    /// The handler that the main process had.
    pub handler: Handler,
    /// Whether the main process blocked it (to fetch it by sigwait or signalfd).
    pub blocked: bool,
    /// What became of it after it was sent, where that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<SignalFate>,
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalFate {
    /// The kernel threw it away when it was sent: there was no handler, or it was set to be ignored.
    Ignored,
    /// It was blocked when it was sent, and the kernel threw it away when it was unblocked.
    Discarded,
    /// A handler ran.
    Handled,
    /// The process took it by sigwait or signalfd.
    Fetched,
    /// Its default action ended the process.
    Fatal,
    /// It still waited for the process at the end: blocked, or the process was stopped or frozen.
    Pending,
}

impl SignalFate {
    /// Whether the kernel threw it away, when it was sent or when it was unblocked.
    pub const fn is_thrown_away(self) -> bool {
        matches!(self, Self::Ignored | Self::Discarded)
    }
}

/// The SIGKILL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kill {
    /// Tk.
    pub at: Timestamp,
    /// Who.
    pub sender: Sender,
    /// Why it was sent, as far as the facts tell.
    pub cause: KillCause,
}

/// Why a SIGKILL was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillCause {
    /// The time after the stop signal was over: it came when the grace period says, after whole seconds, or from who sent the
    /// stop signal.
    GraceExpired,
    /// It came from outside without a stop signal before.
    NoStopSignal,
    /// The OOM killer.
    Oom,
    /// A process of the same container.
    Inside,
    /// From outside after the stop signal, but not when a grace period could have ended.
    Other,
    /// The kernel, for a reason that was not seen.
    Kernel,
}

/// The exit of the main process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainExit {
    /// Te.
    pub at: Timestamp,
    /// How.
    pub status: ExitStatus,
    /// Set if the init powered its pid namespace off or restarted it by reboot(2): the signal that it is said to have died of.
    /// The kernel ends the namespace by a SIGKILL of its own then, which `status` shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebooted: Option<Signal>,
}

/// When a pod was taken out of the EndpointSlices, as seen on the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// When it was not ready any more; none if it still was.
    pub unready_at: Option<Timestamp>,
    /// When it was seen terminating, or gone.
    pub terminating_at: Option<Timestamp>,
}

/// The preStop hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// What it is by the configuration.
    pub kind: HookKind,
    /// Whether its times were seen, or concluded from others.
    pub method: HookMethod,
    /// Its process, if it has one and that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tgid: Option<Tgid>,
    /// The command line: what ran, else what was to run. For a request or a pause what the spec says of it.
    pub argv: Vec<String>,
    /// Its beginning: the exec, the kubelet's connection, else T0; none if nothing tells it.
    pub started_at: Option<Timestamp>,
    /// Its end, if it was seen or can be concluded.
    pub ended_at: Option<Timestamp>,
    /// When its process ended, where the kubelet went on waiting for what the process had left behind; `ended_at` is then the
    /// stop signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_ended_at: Option<Timestamp>,
    /// How its process ended, if that was seen.
    pub status: Option<ExitStatus>,
    /// Whether it failed, and how.
    pub failure: Option<HookFailure>,
    /// Whether it was still running when the stop signal came.
    pub running_at_stop_signal: bool,
    /// Whether it was ended by the container's own death, not by itself.
    pub ended_by_container: bool,
}

impl Hook {
    /// How long it ran, if its beginning and its end are known.
    pub fn duration(&self) -> Option<Duration> {
        Some(self.ended_at?.since(self.started_at?))
    }
}

/// What a hook is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookKind {
    /// A command in the container.
    Exec,
    /// A request of the kubelet's to the container.
    HttpGet,
    /// A pause in the kubelet.
    Sleep,
    /// Accepted by the API, refused by the kubelet when it is to run.
    TcpSocket,
}

/// Where the times of a hook come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookMethod {
    /// From its exec to its exit.
    Observed,
    /// From T0, or the kubelet's connection, to the stop signal.
    Inferred,
}

/// How a hook failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookFailure {
    /// It ended with a status other than 0 or by a signal.
    Status,
    /// Its program could not be executed: it is not there, or is no program.
    Missing,
    /// The runtime's process for it was killed, or was refused more threads, before it could execute the program: a limit of
    /// memory or of processes.
    NotStarted,
    /// The kubelet said that it failed (`FailedPreStopHook`).
    Reported,
    /// It is of a kind that the kubelet does not run.
    Unsupported,
}

/// The grace period and what was left of it for the stop signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grace {
    /// As configured.
    pub configured: Duration,
    /// What the kubelet's rule leaves after the hook: the configured grace less the hook's whole seconds, at least 2 s.
    pub after_hook: Duration,
    /// Whether the 2 s floor decided.
    pub floor_used: bool,
}

/// A diagnosis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which.
    pub kind: FindingKind,
    /// The facts that prove it, in one sentence.
    pub evidence: String,
    /// What to change, in one sentence.
    pub advice: String,
}

/// The diagnoses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The main process has no handler for the stop signal and is PID 1, or ignores it.
    SignalIgnored,
    /// It handles the stop signal and is too slow, or never exits.
    TooSlow,
    /// The stop signal came within seconds of the start, before a handler was there.
    SignalBeforeHandler,
    /// The hook used up the grace period.
    HookOverran,
    /// The hook failed.
    HookFailed,
    /// The hook's program could not be executed.
    HookMissing,
    /// SIGKILL came without a stop signal.
    KilledWithoutStopSignal,
    /// The OOM killer ended the main process.
    OomKilled,
    /// SIGKILL did not end the process for seconds.
    StuckAfterKill,
    /// A signal from inside the container or by a third party ended it.
    KilledByOther,
    /// Connections still came after it had stopped to listen, or after the stop signal.
    EndpointRace,
    /// Connections were reset by its shutdown.
    ConnectionsReset,
    /// The stop signal is not the one that the program reacts to.
    WrongStopSignal,
    /// Another signal than the configured one stopped it.
    OtherStopSignal,
    /// A process of the container, or of one that shares its pid namespace, stopped it.
    StoppedFromInside,
    /// The main process exited first, and the kernel killed other processes of the container with it.
    KilledWithMain,
    /// A process of the container sent SIGKILL to another one before the main process exited.
    KilledByParent,
    /// The OOM killer ended a process of the container that is not the main one.
    ChildOomKilled,
    /// A hook is configured and did not run.
    HookNotRun,
    /// The hook's process ended, and the kubelet went on waiting for what it had left behind.
    HookOutlived,
    /// The kubelet or the runtime began the stop a second time, with a whole grace period.
    KubeletRestarted,
    /// It closed idle connections while clients sent their next requests.
    IdleCloseRace,
    /// The main process began to exit, and was still there seconds later.
    StuckInExit,
    /// The main process was stopped and is gone, and other processes of the container live on.
    ProcessesLeft,
}

impl FindingKind {
    /// Every diagnosis.
    pub const ALL: [Self; 24] = [
        Self::SignalIgnored,
        Self::TooSlow,
        Self::SignalBeforeHandler,
        Self::HookOverran,
        Self::HookFailed,
        Self::HookMissing,
        Self::KilledWithoutStopSignal,
        Self::OomKilled,
        Self::StuckAfterKill,
        Self::KilledByOther,
        Self::EndpointRace,
        Self::ConnectionsReset,
        Self::WrongStopSignal,
        Self::OtherStopSignal,
        Self::StoppedFromInside,
        Self::KilledWithMain,
        Self::KilledByParent,
        Self::ChildOomKilled,
        Self::HookNotRun,
        Self::HookOutlived,
        Self::KubeletRestarted,
        Self::IdleCloseRace,
        Self::StuckInExit,
        Self::ProcessesLeft,
    ];
}

/// What keeps a verdict from being certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// Records were lost while the termination was open, or signals were thrown away for lack of room (`incomplete`).
    RecordsLost,
    /// The agent did not see the container from before its termination began (`incomplete`).
    SeenLate,
    /// The exit of the main process was not seen (`incomplete`).
    ExitMissing,
    /// The main process was not known for sure: several came from outside, or none was seen.
    MainUncertain,
    /// The agent stopped while the termination was open (`incomplete`).
    AgentStopped,
    /// Which grace period was over is not certain; that one was is concluded from the time before SIGKILL, or from its sender.
    GraceUnknown,
    /// A debugger traced the main process, which changes what signals do.
    Traced,
    /// The kernel sent SIGKILL and no OOM record tells why.
    KernelKillUnexplained,
    /// A signal ended the main process, and who sent it was not seen (`incomplete`).
    SignalMissing,
    /// More than one process looked like the hook.
    HookUncertain,
    /// Its path is that of a pod's container, and which container of which pod it is did not become known in time from the status
    /// of a pod.
    PodUnknown,
    /// Its runtime class may keep the processes of the container in a virtual machine or a kernel of its own.
    RuntimeOpaque,
    /// Its connections were counted, but the last counts did not come in time, or it cannot be told which of them are this
    /// termination's.
    ConnectionsMissing,
    /// A signal came whose meaning is not known: it may have been the stop signal, or may not.
    StopSignalUncertain,
    /// The stop signal was blocked when it was sent, and what became of it was not seen.
    SignalFateUnknown,
    /// So many processes were in it at once that the one of its hook may not have been followed (`incomplete`).
    ProcessesForgotten,
}

impl Doubt {
    /// Every doubt.
    pub const ALL: [Self; 16] = [
        Self::RecordsLost,
        Self::SeenLate,
        Self::ExitMissing,
        Self::MainUncertain,
        Self::AgentStopped,
        Self::GraceUnknown,
        Self::Traced,
        Self::KernelKillUnexplained,
        Self::SignalMissing,
        Self::HookUncertain,
        Self::PodUnknown,
        Self::RuntimeOpaque,
        Self::ConnectionsMissing,
        Self::StopSignalUncertain,
        Self::SignalFateUnknown,
        Self::ProcessesForgotten,
    ];

    /// Whether facts are missing, as opposed to ambiguous: such a report is called incomplete.
    pub const fn is_incomplete(self) -> bool {
        matches!(
            self,
            Self::RecordsLost
                | Self::ProcessesForgotten
                | Self::SeenLate
                | Self::ExitMissing
                | Self::AgentStopped
                | Self::SignalMissing
        )
    }
}
