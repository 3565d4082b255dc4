//! Reports made up for the tests, each of a kind that occurs.

use std::time::Duration;

use agent_core::connection::{
    Advice, Connections, Direction, Mode, Phase, ResetClass, ResetCount, ResetMark, Scope, Side,
};
use agent_core::event::{CgroupId, Delivery, ExitStatus, Handler, Tgid};
use agent_core::pod::{Role, Workload};
use agent_core::report::{
    Endpoint, Finding, FindingKind, Grace, Hook, HookFailure, HookKind, HookMethod, Kill,
    KillCause, MainExit, MainProcess, Outcome, PodRef, Report, Sender, Start, StopSignal, Subject,
    SubjectKind, Trigger,
};
use agent_core::signal::Signal;
use agent_core::time::Timestamp;

/// T0 of every sample.
const T0: u64 = 1_000_000_000_000;

pub(crate) const KILLED: ExitStatus = ExitStatus::Signal {
    signal: Signal::KILL,
    core_dumped: false,
};

/// So many microseconds after T0.
pub(crate) fn at_micros(micros: u64) -> Timestamp {
    Timestamp(T0 + micros * 1000)
}

fn sender(comm: &str) -> Sender {
    Sender {
        tgid: Tgid(4790),
        comm: comm.to_owned(),
        parent_comm: "containerd-shim".to_owned(),
        outside: true,
        kernel: false,
    }
}

/// Nothing but a subject with a main process that started a minute before T0.
pub(crate) fn report(outcome: Outcome) -> Report {
    Report {
        id: 3,
        subject: Subject {
            cgroup: CgroupId(4711),
            path: "/system.slice/docker-3f9c.scope".to_owned(),
            kind: SubjectKind::Docker,
            name: "3f9c2a1b7d04".to_owned(),
            container_id: None,
            pod_uid: None,
        },
        pod: None,
        main: Some(MainProcess {
            tgid: Tgid(4711),
            ns_tgid: 1,
            ns_level: 1,
            comm: "sleep".to_owned(),
            argv: vec!["sleep".to_owned(), "10m".to_owned()],
            start: Timestamp(T0 - 60_000_000_000),
        }),
        outcome,
        trigger: Trigger::Stopped,
        started_at: at_micros(0),
        start_source: Start::StopSignal,
        hook: None,
        stop_signal: None,
        other_signals: Vec::new(),
        stop_signals_repeated: 0,
        kill: None,
        kills_repeated: 0,
        exit: None,
        released_at: None,
        grace: None,
        signals_inside: 0,
        signals_outside: 0,
        connections: None,
        endpoint: None,
        advice: None,
        findings: Vec::new(),
        doubts: Vec::new(),
    }
}

pub(crate) fn stop(micros: u64, result: Delivery, handler: Handler) -> StopSignal {
    StopSignal {
        at: at_micros(micros),
        signal: Signal::TERM,
        sender: sender("runc"),
        result,
        handler,
        blocked: false,
        fate: None,
    }
}

pub(crate) fn sample_kill(micros: u64, cause: KillCause) -> Kill {
    Kill {
        at: at_micros(micros),
        sender: sender("runc"),
        cause,
    }
}

pub(crate) fn sample_exit(micros: u64, status: ExitStatus) -> MainExit {
    MainExit {
        at: at_micros(micros),
        status,
        rebooted: None,
    }
}

pub(crate) fn sample_hook(argv: &[&str], ended: Option<u64>, status: Option<ExitStatus>) -> Hook {
    Hook {
        kind: HookKind::Exec,
        method: HookMethod::Observed,
        tgid: Some(Tgid(4800)),
        argv: argv.iter().map(|&argument| argument.to_owned()).collect(),
        started_at: Some(at_micros(0)),
        ended_at: ended.map(at_micros),
        process_ended_at: None,
        failure: status
            .filter(|status| *status != ExitStatus::Code(0))
            .map(|_status| HookFailure::Status),
        status,
        running_at_stop_signal: false,
        ended_by_container: false,
    }
}

pub(crate) fn sample_grace(configured: u64, after_hook: u64, floor_used: bool) -> Grace {
    Grace {
        configured: Duration::from_secs(configured),
        after_hook: Duration::from_secs(after_hook),
        floor_used,
    }
}

pub(crate) fn finding(kind: FindingKind, evidence: &str, advice: &str) -> Finding {
    Finding {
        kind,
        evidence: evidence.to_owned(),
        advice: advice.to_owned(),
    }
}

/// The pod that this project began with: a hook of ten seconds, then a shell that ignores nothing.
pub(crate) fn seed_report() -> Report {
    let mut report = report(Outcome::Graceful);
    let line = "echo this pod is stopping. > /stop.log && sleep 10s";
    report.hook = Some(sample_hook(
        &["/bin/sh", "-c", line],
        Some(10_008_120),
        Some(ExitStatus::Code(0)),
    ));
    report.stop_signal = Some(stop(10_009_340, Delivery::Delivered, Handler::Custom));
    report.exit = Some(sample_exit(12_030_500, ExitStatus::Code(0)));
    report.released_at = Some(at_micros(12_033_620));
    report.grace = Some(sample_grace(30, 20, false));
    report
}

/// The container `app` of a Deployment's pod, deleted half a second before T0 of the other facts.
pub(crate) fn of_pod(mut report: Report) -> Report {
    report.subject.kind = SubjectKind::Containerd;
    report.subject.pod_uid = Some("0a1b2c3d-0000-4000-8000-000000000001".to_owned());
    report.pod = Some(PodRef {
        namespace: "shop".to_owned(),
        name: "web-7d4b9c6f5-x2x9k".to_owned(),
        uid: "0a1b2c3d-0000-4000-8000-000000000001".to_owned(),
        workload: Workload {
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
        },
        container: Some("app".to_owned()),
        role: Some(Role::Main),
    });
    report.trigger = Trigger::Deleted;
    report.start_source = Start::Deletion;
    report.started_at = Timestamp(T0 - 500_000_000);
    report
}

/// The same under names as long as they may be.
pub(crate) fn of_long_names(report: Report) -> Report {
    let mut report = of_pod(report);
    if let Some(pod) = &mut report.pod {
        pod.namespace =
            "customer-0815-production-europe-west3-checkout-and-payment-team".to_owned();
        pod.name = "checkout-service-with-a-descriptive-name-85f6b94d7c-q8xzt".to_owned();
        pod.workload.name = "checkout-service-with-a-descriptive-name".to_owned();
        pod.container = Some("istio-proxy-with-a-long-name-too".to_owned());
        pod.role = Some(Role::Sidecar);
    }
    report
}

/// A hook that runs in the kubelet: its times follow from others.
pub(crate) fn inferred(kind: HookKind, words: &[&str], ended: u64) -> Hook {
    Hook {
        kind,
        method: HookMethod::Inferred,
        tgid: None,
        ..sample_hook(words, Some(ended), None)
    }
}

/// `sleep` as PID 1.
pub(crate) fn ignored() -> Report {
    let mut report = report(Outcome::SignalIgnored);
    report.stop_signal = Some(stop(0, Delivery::Ignored, Handler::Default));
    report.kill = Some(sample_kill(30_004_100, KillCause::GraceExpired));
    report.exit = Some(sample_exit(30_005_000, KILLED));
    report.released_at = Some(at_micros(30_006_000));
    report.grace = Some(sample_grace(30, 30, false));
    report.findings = vec![finding(
        FindingKind::SignalIgnored,
        "The kernel discarded SIGTERM: the main process is PID 1 of its namespace and has no handler for it.",
        "Install a handler for SIGTERM, or start the program through tini or `docker run --init`.",
    )];
    report
}

/// A reset that the kernel gives this reason for; `None` is one received.
pub(crate) fn reset_class(phase: Phase, reason: Option<(Mode, &str)>) -> ResetClass<String> {
    ResetClass {
        phase,
        direction: reason.map_or(Direction::Received, |_reason| Direction::Sent),
        mode: reason.map_or(Mode::Unknown, |(mode, _name)| mode),
        scope: Scope::Container,
        side: Side::Unknown,
        idle_closed: false,
        reason: reason.map(|(_mode, name)| name.to_owned()),
    }
}

pub(crate) fn reset_mark(micros: u64, class: ResetClass<String>, refused: bool) -> ResetMark {
    ResetMark {
        at: at_micros(micros),
        class,
        refused,
        local_port: 8080,
        peer: None,
    }
}

/// A server behind a Service that exits at once on the stop signal: some of its connections are cut, and more come until
/// the endpoint's withdrawal has reached everybody.
pub(crate) fn cut_off() -> Report {
    let mut report = of_pod(report(Outcome::Graceful));
    report.stop_signal = Some(stop(0, Delivery::Delivered, Handler::Custom));
    report.exit = Some(sample_exit(400_000, ExitStatus::Code(0)));
    report.released_at = Some(at_micros(402_000));
    report.grace = Some(sample_grace(30, 30, false));
    let unread = || Some((Mode::Active, "tcp_abort_on_close"));
    let refused = || reset_class(Phase::Closing, Some((Mode::Passive, "no_socket")));
    let count = |class, count| ResetCount { class, count };
    let mut marks = vec![
        reset_mark(50_000, reset_class(Phase::Stopping, None), false),
        reset_mark(120_000, reset_class(Phase::Stopping, unread()), false),
    ];
    marks.extend(
        (0..3).map(|one| reset_mark(400_100 + one, reset_class(Phase::Closing, unread()), false)),
    );
    marks.extend((0..11).map(|one| reset_mark(430_000 + 40 * one * one * one, refused(), true)));
    report.connections = Some(Connections {
        at_stop_signal: 12,
        at_exit: 3,
        finished: 21,
        accepted_in_hook: 2,
        accepted_after: 14,
        last_arrival_at: Some(at_micros(730_000)),
        last_listener_closed_at: Some(at_micros(400_050)),
        refused: 57,
        resets: vec![
            count(reset_class(Phase::Running, None), 6),
            count(reset_class(Phase::Stopping, unread()), 1),
            count(reset_class(Phase::Stopping, None), 1),
            count(reset_class(Phase::Closing, unread()), 3),
            count(refused(), 57),
        ],
        marks,
        ..Connections::default()
    });
    report.endpoint = Some(Endpoint {
        unready_at: Some(at_micros(90_000)),
        terminating_at: Some(at_micros(90_000)),
    });
    report.advice = Some(Advice {
        terminations: 40,
        pre_stop_sleep: Duration::from_secs(2),
        grace: Some(Duration::from_secs(6)),
    });
    report
}
