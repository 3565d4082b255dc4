//! A report as its facts in the order of their times, each with what tells it.

use agent_core::connection::ResetMark;
use agent_core::event::{Delivery, ExitStatus};
use agent_core::report::{Hook, HookFailure, HookMethod, Report, Start};
use agent_core::time::Timestamp;

use super::moments::Marker;
use super::row::Severity;
use super::{traffic, words};

/// A fact that has a moment.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) at: Timestamp,
    pub(crate) what: String,
    /// What tells it: a hook of the kernel, the Kubernetes API, or what it was concluded from.
    pub(crate) from: String,
    pub(crate) news: Severity,
}

impl Step {
    fn new(at: Timestamp, what: impl Into<String>, from: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
            from: from.into(),
            news: Severity::Neutral,
        }
    }

    fn that_is(self, news: Severity) -> Self {
        Self { news, ..self }
    }
}

/// The facts of a report that have a moment, in the order of their times.
pub(crate) fn report_steps(report: &Report) -> Vec<Step> {
    let mut steps = Vec::new();
    steps.extend(started(report));
    steps.extend(stop_request_step(report));
    steps.extend(endpoint(report));
    steps.extend(report.hook.iter().flat_map(|hook| of_hook(report, hook)));
    steps.extend(stop_signal(report));
    steps.extend(kill_step(report));
    steps.extend(exit_step(report));
    steps.extend(report.released_at.map(|at| {
        let what = "released: its cgroup holds no process any more";
        Step::new(at, what, "kernel: cgroup tree")
    }));
    steps.extend(connections(report));
    steps.sort_by_key(|step| step.at);
    steps
}

fn started(report: &Report) -> Option<Step> {
    let main = report.main.as_ref()?;
    let what = format!("main process: {}", words::command(&main.argv, &main.comm));
    let from = format!("kernel: start time of pid {}", main.tgid.0);
    Some(Step::new(main.start, what, from))
}

fn stop_request_step(report: &Report) -> Option<Step> {
    let from = match report.start_source {
        Start::Deletion => "Kubernetes API: the pod's deletion, when the node saw it",
        Start::Killing => "Kubernetes API: the kubelet's Event Killing",
        Start::Hook | Start::StopSignal | Start::Kill | Start::Exit | Start::Release => {
            return None;
        }
    };
    Some(Step::new(
        report.started_at,
        words::stop_request_event(report)?,
        from,
    ))
}

fn endpoint(report: &Report) -> Vec<Step> {
    let Some(endpoint) = &report.endpoint else {
        return Vec::new();
    };
    let mark = Marker::Endpoint.symbol();
    let step = |at: Timestamp, what: &str| {
        let from = "Kubernetes API: EndpointSlice, when the node saw it";
        Step::new(at, format!("{mark} endpoint {what}"), from)
    };
    match (endpoint.unready_at, endpoint.terminating_at) {
        (Some(unready), Some(terminating)) if unready == terminating => {
            vec![step(unready, "not ready and terminating")]
        }
        (unready, terminating) => {
            let unready = unready.map(|at| step(at, "not ready"));
            let terminating = terminating.map(|at| step(at, "terminating"));
            unready.into_iter().chain(terminating).collect()
        }
    }
}

fn of_hook(report: &Report, hook: &Hook) -> Vec<Step> {
    let source = |what: &str| match (hook.method, hook.tgid) {
        (HookMethod::Observed, Some(tgid)) => format!("kernel: {what} of pid {}", tgid.0),
        (HookMethod::Observed, None) => format!("kernel: {what}"),
        (HookMethod::Inferred, _) => "≈ concluded from the times around it".to_owned(),
    };
    let event = words::hook_event(hook);
    let news = match hook.failure {
        Some(_) => Severity::Bad,
        None => Severity::Neutral,
    };
    if !words::has_run(hook) {
        let at = hook.started_at.unwrap_or(report.started_at);
        let what = format!("{event}: {}", words::described(hook));
        let from = "pod specification, and what was not seen";
        return vec![Step::new(at, what, from).that_is(news)];
    }
    let begin = hook.started_at.map(|at| {
        let what = format!("{event}: {}", words::described(hook));
        Step::new(at, what, source("exec"))
    });
    let end = hook.ended_at.map(|at| {
        let status = hook.status.map(words::exit_short);
        let what = format!("hook {}", status.as_deref().unwrap_or("ended"));
        let from = match hook.failure {
            Some(HookFailure::Reported) => "Kubernetes API: the kubelet's Event".to_owned(),
            _ => source("exit"),
        };
        Step::new(at, what, from).that_is(news)
    });
    begin.into_iter().chain(end).collect()
}

fn stop_signal(report: &Report) -> Option<Step> {
    let stop = report.stop_signal.as_ref()?;
    let what = format!(
        "{} {} · {}",
        stop.signal,
        words::sender(&stop.sender),
        words::handled(stop)
    );
    let news = match stop.result {
        Delivery::Ignored => Severity::Bad,
        Delivery::Delivered
        | Delivery::AlreadyPending
        | Delivery::OverflowFail
        | Delivery::LoseInfo => Severity::Neutral,
    };
    Some(Step::new(stop.at, what, "kernel: signal_generate").that_is(news))
}

fn kill_step(report: &Report) -> Option<Step> {
    let kill = report.kill.as_ref()?;
    let what = format!("SIGKILL {}", words::sender(&kill.sender));
    Some(Step::new(kill.at, what, "kernel: signal_generate").that_is(Severity::Bad))
}

fn exit_step(report: &Report) -> Option<Step> {
    let exit = report.exit.as_ref()?;
    let news = if exit.status == ExitStatus::Code(0) {
        Severity::Good
    } else {
        Severity::Bad
    };
    let what = format!("main process: {}", words::exit_short(exit.status));
    Some(Step::new(exit.at, what, "kernel: sched_process_exit").that_is(news))
}

/// What came and went over the network: of resets of one sign the first, since each has a row of its own elsewhere.
fn connections(report: &Report) -> Vec<Step> {
    let Some(connections) = &report.connections else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    steps.extend(connections.last_listener_closed_at.map(|at| {
        let what = "its last listener was closed";
        Step::new(at, what, "kernel: inet_sock_set_state")
    }));
    let last = connections.last_arrival_at;
    steps.extend(
        last.filter(|_| words::counted_to_the_end(report))
            .map(|at| {
                let what = format!("{} last connection came", Marker::Arrival.symbol());
                Step::new(
                    at,
                    what,
                    "kernel: inet_sock_set_state, and resets that refused one",
                )
            }),
    );
    for sign in [Marker::Sent, Marker::Received, Marker::Refused] {
        let of_sign = connections
            .marks
            .iter()
            .filter(|mark| traffic::sign_of(mark) == sign);
        let first = of_sign.min_by_key(|mark| mark.at);
        steps.extend(first.map(|mark| first_reset(mark, sign)));
    }
    steps
}

fn first_reset(mark: &ResetMark, sign: Marker) -> Step {
    let what = match sign {
        Marker::Refused => "connection attempt refused".to_owned(),
        Marker::Sent | Marker::Received | Marker::Arrival | Marker::Endpoint => {
            format!("reset {}", words::reset_what(&mark.class))
        }
    };
    let from = match sign {
        Marker::Received => "kernel: tcp_receive_reset",
        Marker::Sent | Marker::Refused | Marker::Arrival | Marker::Endpoint => {
            "kernel: tcp_send_reset"
        }
    };
    let what = format!("{} first {what}", sign.symbol());
    Step::new(mark.at, what, from).that_is(Severity::Bad)
}
