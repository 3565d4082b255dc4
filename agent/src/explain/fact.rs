//! The facts of a report in the order of their moments, each with where it is known from.

use std::net::SocketAddr;

use agent_core::connection::{Direction, Mode, ResetMark};
use agent_core::event::{Delivery, Handler};
use agent_core::report::{Hook, HookFailure, HookMethod, Report, SignalFate, Start, StopSignal};
use agent_core::time::Timestamp;
use serde::Serialize;

use crate::timeline::words;

/// What happened at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Milestone {
    pub(super) at: Timestamp,
    pub(super) source: Source,
    /// The kernel's hook that told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hook: Option<&'static str>,
    pub(super) what: String,
    /// The other side of a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peer: Option<SocketAddr>,
}

/// Where a fact is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    /// The kernel, at its hook.
    Kernel,
    /// The pod's object in the Kubernetes API.
    Pod,
    /// An Event of the kubelet.
    Kubelet,
    /// The cluster's EndpointSlices.
    Endpoints,
    /// Nobody saw it; it follows from other facts.
    Inferred,
}

impl Source {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Pod => "pod",
            Self::Kubelet => "kubelet",
            Self::Endpoints => "endpoints",
            Self::Inferred => "inferred",
        }
    }
}

fn kernel(at: Timestamp, hook: &'static str, what: impl Into<String>) -> Milestone {
    Milestone {
        at,
        source: Source::Kernel,
        hook: Some(hook),
        what: what.into(),
        peer: None,
    }
}

/// A fact that no hook tells, or one of several.
fn milestone(at: Timestamp, source: Source, what: impl Into<String>) -> Milestone {
    Milestone {
        at,
        source,
        hook: None,
        what: what.into(),
        peer: None,
    }
}

/// All that has a moment, in order; of the same moment the cause before the effect.
pub(super) fn milestones(report: &Report) -> Vec<Milestone> {
    let mut facts = Vec::new();
    facts.extend(started(report));
    facts.extend(stop_request(report));
    facts.extend(report.hook.iter().flat_map(|hook| hook_facts(report, hook)));
    facts.extend(endpoint(report));
    facts.extend(
        report
            .stop_signal
            .as_ref()
            .map(|stop| stop_signal(report, stop)),
    );
    facts.extend(report.other_signals.iter().map(other_signal));
    facts.extend(kill_milestone(report));
    facts.extend(exit_milestone(report));
    facts.extend(connections(report));
    let released = "its cgroup held no process any more, or was removed: it is released";
    let released = |at| milestone(at, Source::Kernel, released);
    facts.extend(report.released_at.map(released));
    facts.sort_by_key(|fact| fact.at);
    facts
}

fn started(report: &Report) -> Option<Milestone> {
    let main = report.main.as_ref()?;
    // A field of the process, read at whichever hook shows it first.
    let what = format!(
        "its main process was started: {}",
        words::main_process(main)
    );
    Some(milestone(main.start, Source::Kernel, what))
}

/// The request to stop, where Kubernetes told of it.
fn stop_request(report: &Report) -> Option<Milestone> {
    let at = report.started_at;
    match report.start_source {
        Start::Deletion => Some(milestone(
            at,
            Source::Pod,
            "the deletion of its pod was asked for",
        )),
        Start::Killing => Some(milestone(
            at,
            Source::Kubelet,
            "the kubelet said that it stops it (Killing)",
        )),
        Start::Hook | Start::StopSignal | Start::Kill | Start::Exit | Start::Release => None,
    }
}

fn hook_facts(report: &Report, hook: &Hook) -> Vec<Milestone> {
    let name = words::hook_command(hook);
    let mut facts = Vec::new();
    match (hook.failure, hook.started_at) {
        (Some(HookFailure::Missing), at) => facts.push(kernel(
            at.unwrap_or(report.started_at),
            "sched_process_exit",
            format!("the preStop hook could not be executed: {name}"),
        )),
        (Some(HookFailure::NotStarted), at) => facts.push(kernel(
            at.unwrap_or(report.started_at),
            "sched_process_exit",
            format!(
                "the runtime's process for the preStop hook ended before it ran the program: {name}"
            ),
        )),
        (Some(HookFailure::Unsupported), _) | (_, None) => {}
        (_, Some(at)) => facts.push(hook_start(hook, report, at, &name)),
    }
    facts.extend(hook.ended_at.map(|at| hook_end(hook, at)));
    facts
}

fn hook_start(hook: &Hook, report: &Report, at: Timestamp, name: &str) -> Milestone {
    let what = format!("the preStop hook began: {name}");
    match hook.method {
        HookMethod::Observed => kernel(at, "sched_process_exec", what),
        HookMethod::Inferred if at != report.started_at && name.starts_with("httpGet") => kernel(
            at,
            "inet_sock_set_state",
            format!("{what}, by the kubelet's connection"),
        ),
        HookMethod::Inferred => milestone(at, Source::Inferred, what),
    }
}

fn hook_end(hook: &Hook, at: Timestamp) -> Milestone {
    match (hook.method, hook.status) {
        (HookMethod::Observed, Some(status)) => {
            let by = if hook.ended_by_container {
                ", by the container's own death"
            } else {
                ""
            };
            kernel(
                at,
                "sched_process_exit",
                format!(
                    "the hook's process ended: {}{by}",
                    words::exit_short(status)
                ),
            )
        }
        (HookMethod::Observed, None) => {
            kernel(at, "sched_process_exit", "the hook's process ended")
        }
        (HookMethod::Inferred, _) => milestone(
            at,
            Source::Inferred,
            "the hook was over, since the stop signal came",
        ),
    }
}

fn endpoint(report: &Report) -> Vec<Milestone> {
    let Some(endpoint) = &report.endpoint else {
        return Vec::new();
    };
    let told =
        |at: Option<Timestamp>, what: &str| at.map(|at| milestone(at, Source::Endpoints, what));
    let unready = told(
        endpoint.unready_at,
        "the pod was seen not ready any more: new traffic is sent elsewhere",
    );
    let terminating = told(
        endpoint.terminating_at,
        "the pod was seen terminating, or gone",
    );
    unready.into_iter().chain(terminating).collect()
}

/// A signal that was not the stop signal.
fn other_signal(signal: &StopSignal) -> Milestone {
    kernel(
        signal.at,
        "signal_generate",
        format!(
            "{} came {}; it did not begin the stop",
            signal.signal,
            words::sender(&signal.sender)
        ),
    )
}

/// What became of the stop signal, where that was seen.
const fn describe_fate(fate: SignalFate) -> &'static str {
    match fate {
        SignalFate::Ignored => "the kernel threw it away when it was sent",
        SignalFate::Discarded => {
            "it was blocked, and the kernel threw it away as soon as it was unblocked: there was no handler"
        }
        SignalFate::Handled => "its handler ran",
        SignalFate::Fetched => "the process fetched it by sigwait or signalfd",
        SignalFate::Fatal => "its default action ended the process",
        SignalFate::Pending => "it still waited for the process at the end",
    }
}

fn stop_signal(report: &Report, stop: &StopSignal) -> Milestone {
    let became = stop.fate.map_or_else(|| result(stop), describe_fate);
    let again = match report.stop_signals_repeated {
        0 => String::new(),
        times => format!("; {times} more followed"),
    };
    kernel(
        stop.at,
        "signal_generate",
        format!(
            "{} came {}: {became}{again}",
            stop.signal,
            words::sender(&stop.sender)
        ),
    )
}

/// What the kernel did with the stop signal when it was sent.
const fn result(stop: &StopSignal) -> &'static str {
    match (stop.result, stop.blocked, stop.handler) {
        (Delivery::Ignored, _, Handler::Ignore) => {
            "the process has it set to be ignored, so the kernel threw it away"
        }
        (Delivery::Ignored, ..) => {
            "the process has no handler and is protected as PID 1, so the kernel threw it away"
        }
        (_, true, _) => {
            "it was delivered; the process blocks it, to fetch it by sigwait or signalfd"
        }
        (_, false, Handler::Custom) => "it was delivered; the process has a handler for it",
        (_, false, Handler::Default) => "it was delivered; the process has no handler for it",
        (_, false, Handler::Ignore) => "it was delivered, and is set to be ignored",
    }
}

fn kill_milestone(report: &Report) -> Option<Milestone> {
    let kill = report.kill.as_ref()?;
    let again = match report.kills_repeated {
        0 => String::new(),
        times => format!("; {times} more followed"),
    };
    Some(kernel(
        kill.at,
        "signal_generate",
        format!("SIGKILL came {}{again}", words::sender(&kill.sender)),
    ))
}

fn exit_milestone(report: &Report) -> Option<Milestone> {
    let exit = report.exit.as_ref()?;
    Some(kernel(
        exit.at,
        "sched_process_exit",
        format!(
            "the main process was gone with its last thread: {}",
            words::exit_short(exit.status)
        ),
    ))
}

fn connections(report: &Report) -> Vec<Milestone> {
    let Some(connections) = report.connections.as_ref() else {
        return Vec::new();
    };
    let closed = connections.last_listener_closed_at.map(|at| {
        kernel(
            at,
            "inet_sock_set_state",
            "its last listening socket was closed",
        )
    });
    let last = connections.last_arrival_at.map(|at| {
        milestone(
            at,
            Source::Kernel,
            "the last connection came, accepted or refused",
        )
    });
    let marks = connections.marks.iter().map(reset_milestone);
    closed.into_iter().chain(last).chain(marks).collect()
}

/// Which hook sees a reset that answers a packet differs between kernels.
fn reset_milestone(mark: &ResetMark) -> Milestone {
    let class = &mark.class;
    let (hook, what) = match (mark.refused, class.direction, class.mode) {
        (true, ..) => (None, "a connection attempt was refused"),
        (false, Direction::Received, _) => {
            (Some("tcp_receive_reset"), "the peer reset a connection")
        }
        (false, Direction::Sent, Mode::Active) => (
            Some("tcp_send_reset"),
            "a connection was reset by the program or its death",
        ),
        (false, Direction::Sent, Mode::Passive | Mode::Unknown) => {
            (None, "a connection was reset in answer to a packet")
        }
    };
    let why = class.reason.as_deref().map(words::reset_reason);
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Milestone {
        hook,
        peer: mark.peer,
        ..milestone(
            mark.at,
            Source::Kernel,
            format!("{what} at port {}{why}", mark.local_port),
        )
    }
}
