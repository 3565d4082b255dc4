//! A language for scenarios: who does what to whom, and when, in seconds.

use std::time::Duration;

use crate::config::{Config, Limits, Selector};
use crate::engine::Engine;
use crate::event::{
    CgroupId, Delivered, Delivery, Disposition, Event, EventKind, Exec, Exit, ExitStatus, Handler,
    Process, SignalSent, Tgid,
};
use crate::input::{Input, ProcessFound, ProcessLimit};
use crate::output::{Effect, Output};
use crate::remaining::Remaining;
use crate::report::{Doubt, FindingKind, Outcome, Report};
use crate::signal::{Signal, SignalSet};
use crate::time::Timestamp;

pub(super) const CONTAINER: CgroupId = CgroupId(7);
pub(super) const DOCKER: &str =
    "/system.slice/docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope";
pub(super) const SERVICE: &str = "/system.slice/web.service";

/// Somebody who appears in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// The main process, PID 1 of its namespace.
    Main,
    /// A main process without a pid namespace of its own, as in a service.
    Plain,
    /// The hook's process.
    Hook,
    /// A probe's process.
    Probe,
    /// A process that the main process started.
    Child,
    /// What a daemon leaves behind: its parent is systemd.
    Daemon,
    /// The runtime, outside.
    Runc,
    /// Somebody else outside, who is not the runtime.
    Stranger,
    /// Somebody from outside who runs a program in the container: `kubectl exec`.
    Visitor,
    /// The first process of `runc create`, which makes the main process and goes.
    Stage,
    /// The sandbox's process, which is PID 1 of a pid namespace that the pod shares.
    Pause,
}

impl Who {
    pub(super) fn process(self) -> Process {
        let (tgid, ns_tgid, ns_level, inside, comm) = match self {
            Self::Main => (100, 1, 1, true, "app"),
            Self::Plain => (101, 101, 0, true, "app"),
            Self::Hook => (200, 20, 1, true, "sh"),
            Self::Probe => (201, 21, 1, true, "sh"),
            Self::Child => (300, 8, 1, true, "worker"),
            Self::Daemon => (301, 301, 0, true, "daemon"),
            Self::Runc => (900, 900, 0, false, "runc"),
            Self::Stranger => (901, 901, 0, false, "killer"),
            Self::Visitor => (202, 22, 1, true, "bash"),
            Self::Stage => (99, 99, 0, true, "runc:[1:CHILD]"),
            Self::Pause => (50, 1, 1, false, "pause"),
        };
        Process {
            tgid: Tgid(tgid),
            ns_tgid,
            ns_level,
            ns_inum: if ns_level == 0 { 1 } else { 2 },
            start: Timestamp(u64::from(tgid) * 1_000_000),
            container: inside.then_some(CONTAINER),
            parent_tgid: Tgid(if inside { 900 } else { 1 }),
            parent_outside: self != Self::Child,
            parent_comm: "shim".to_owned(),
            comm: comm.to_owned(),
        }
    }
}

/// A signal as it is sent in a scenario: by default delivered, with a handler.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) code: i32,
    pub(super) result: Delivery,
    pub(super) handler: Handler,
    pub(super) exiting: bool,
    pub(super) traced: bool,
}

pub(super) const HANDLED: Sent = Sent {
    code: 0,
    result: Delivery::Delivered,
    handler: Handler::Custom,
    exiting: false,
    traced: false,
};
/// To a namespace's init without a handler.
pub(super) const IGNORED: Sent = Sent {
    result: Delivery::Ignored,
    handler: Handler::Default,
    ..HANDLED
};
/// Without a handler, and queued because it is blocked.
pub(super) const QUEUED: Sent = Sent {
    handler: Handler::Default,
    ..HANDLED
};
/// Ends the process by its default action; the kernel has set the group's exit by the time of the hook.
pub(super) const FATAL: Sent = Sent {
    handler: Handler::Default,
    exiting: true,
    ..HANDLED
};
pub(super) const BY_KERNEL: Sent = Sent { code: 128, ..FATAL };

/// A scenario in the making.
pub(super) struct Scene {
    engine: Engine,
    pub(super) now: Timestamp,
    pub(super) said: Vec<Output>,
    /// The answer to what is left.
    remaining: Remaining,
}

pub(super) fn config(selectors: Vec<Selector>) -> Config {
    Config {
        systemd: true,
        containers: true,
        selectors,
        pods: false,
        reset_reasons: None,
        remaining: true,
        limits: Limits::default(),
    }
}

pub(super) fn split_words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

impl Scene {
    /// A container of which nothing is configured.
    pub(super) fn container() -> Self {
        Self::with_config(config(Vec::new())).receives(cgroup_created(CONTAINER, DOCKER))
    }

    /// A container with this grace in seconds, and a hook.
    pub(super) fn with_grace_and_hook(grace: u64, hook: Option<&str>) -> Self {
        let selector = Selector {
            cgroup: "/system.slice/*".to_owned(),
            grace: Some(Duration::from_secs(grace)),
            stop_signal: None,
            pre_stop: hook.map(split_words),
        };
        Self::with_config(config(vec![selector])).receives(cgroup_created(CONTAINER, DOCKER))
    }

    /// A systemd service.
    pub(super) fn service() -> Self {
        Self::with_config(config(Vec::new())).receives(cgroup_created(CONTAINER, SERVICE))
    }

    pub(super) fn with_config(config: Config) -> Self {
        Self {
            engine: Engine::new(config).unwrap(),
            now: Timestamp(0),
            said: Vec::new(),
            remaining: Remaining::default(),
        }
    }

    /// The main process enters, as runc lets it, at the 1st second.
    pub(super) fn running(self) -> Self {
        self.at_second(1.0)
            .attached(Who::Main)
            .execs_command(Who::Main, "/app --serve")
    }

    /// Time passes up to this second.
    pub(super) fn at_second(mut self, seconds: f64) -> Self {
        let now = Timestamp(0).after(Duration::from_secs_f64(seconds));
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due < now) {
            self.engine.handle_timeout(due);
            self.now = due;
            self = self.drain_outputs();
        }
        self.now = now;
        self.drain_outputs()
    }

    /// From now on this is the answer to what is left.
    pub(super) fn leaves(mut self, remaining: Remaining) -> Self {
        self.remaining = remaining;
        self
    }

    pub(super) fn receives(mut self, input: Input) -> Self {
        self.engine.handle(input, self.now);
        self.drain_outputs()
    }

    fn drain_outputs(mut self) -> Self {
        while let Some(output) = self.engine.poll_output() {
            if let Output::Effect(Effect::FindRemaining { container, .. }) = output {
                let remaining = self.remaining.clone();
                let answer = Input::Remaining {
                    container,
                    remaining,
                };
                self.engine.handle(answer, self.now);
            }
            self.said.push(output);
        }
        self
    }

    pub(super) fn happens(self, kind: EventKind) -> Self {
        let at = self.now;
        self.receives(event_input(at, kind))
    }

    pub(super) fn attached(self, who: Who) -> Self {
        self.happens(EventKind::Attach(who.process()))
    }

    pub(super) fn execs_command(self, who: Who, command: &str) -> Self {
        self.happens(exec_event(who.process(), command))
    }

    pub(super) fn sends_signal(self, from: Who, to: Who, signal: u32, sent: Sent) -> Self {
        self.happens(signal_sent(from, to, signal, sent))
    }

    /// Somebody signals a process that the container itself started; it had this handler for SIGTERM.
    pub(super) fn signals_child(
        self,
        from: Who,
        signal: u32,
        sent: Sent,
        handler: Handler,
    ) -> Self {
        let EventKind::Signal(told) = signal_sent(from, Who::Child, signal, sent) else {
            panic!("a signal");
        };
        self.happens(EventKind::Signal(SignalSent {
            watched: false,
            last_outside: Some(Disposition {
                signal: Signal::TERM,
                handler,
            }),
            ..told
        }))
    }

    /// Somebody signals a process that this one started.
    pub(super) fn signals_child_of(self, parent: Who, from: Who, signal: u32, sent: Sent) -> Self {
        let EventKind::Signal(told) = signal_sent(from, Who::Child, signal, sent) else {
            panic!("a signal");
        };
        let target = Process {
            parent_tgid: parent.process().tgid,
            ..told.target.clone()
        };
        self.happens(EventKind::Signal(SignalSent {
            watched: false,
            target,
            ..told
        }))
    }

    /// The main process takes a signal out of its queue.
    pub(super) fn delivers(self, signal: u32, handler: Handler) -> Self {
        self.happens(EventKind::Delivered(Delivered {
            process: Who::Main.process(),
            signal: Signal::try_from(signal).unwrap(),
            handler,
            unkillable: true,
            traced: false,
        }))
    }

    /// The runtime sends SIGTERM to the main process, which blocks it.
    pub(super) fn stop_blocked(self) -> Self {
        let EventKind::Signal(told) = signal_sent(Who::Runc, Who::Main, 15, QUEUED) else {
            panic!("a signal");
        };
        self.happens(EventKind::Signal(SignalSent {
            blocked: true,
            pending: Some(SignalSet(Signal::TERM.mask_bit())),
            ..told
        }))
    }

    /// The runtime sends SIGKILL, and these signals still wait for the main process.
    pub(super) fn kill_with_pending(self, pending: u64) -> Self {
        let EventKind::Signal(told) = signal_sent(Who::Runc, Who::Main, 9, FATAL) else {
            panic!("a signal");
        };
        self.happens(EventKind::Signal(SignalSent {
            pending: Some(SignalSet(pending)),
            ..told
        }))
    }

    /// The runtime sends SIGTERM to the main process.
    pub(super) fn stop(self, sent: Sent) -> Self {
        self.sends_signal(Who::Runc, Who::Main, 15, sent)
    }

    /// The runtime sends SIGKILL to the main process.
    pub(super) fn kill_by_runtime(self) -> Self {
        self.sends_signal(Who::Runc, Who::Main, 9, FATAL)
    }

    /// Another than the runtime sends SIGKILL to the main process, so that only the time speaks for the grace's end.
    pub(super) fn kill_by_another(self) -> Self {
        self.sends_signal(Who::Stranger, Who::Main, 9, FATAL)
    }

    pub(super) fn exits_with_code(self, who: Who, code: u8) -> Self {
        self.exits_with(who, ExitStatus::Code(code))
    }

    pub(super) fn dies_by_signal(self, who: Who, number: u32) -> Self {
        let signal = Signal::try_from(number).unwrap();
        self.exits_with(
            who,
            ExitStatus::Signal {
                signal,
                core_dumped: false,
            },
        )
    }

    /// The main process exits with this code, and these signals still wait for it.
    pub(super) fn exits_with_pending(self, code: u8, pending: u64) -> Self {
        let pending = Some(SignalSet(pending));
        self.ends_with(Who::Main, ExitStatus::Code(code), pending)
    }

    fn exits_with(self, who: Who, status: ExitStatus) -> Self {
        self.ends_with(who, status, None)
    }

    fn ends_with(self, who: Who, status: ExitStatus, pending: Option<SignalSet>) -> Self {
        let process = who.process();
        self.happens(EventKind::Exit(Exit {
            process,
            status,
            executed: true,
            pending,
            ns_reboot: None,
        }))
    }

    /// The answer to an `Inspect` or a `Track`.
    pub(super) fn finds_processes(self, who: &[Who]) -> Self {
        self.receives(Input::Processes {
            container: CONTAINER,
            processes: who.iter().map(|who| found_process(*who)).collect(),
        })
    }

    /// The answer to how near it is to its limit of processes.
    pub(super) fn reports_process_limit(self, limit: ProcessLimit) -> Self {
        self.receives(Input::ProcessLimit {
            container: CONTAINER,
            limit,
        })
    }

    pub(super) fn becomes_empty(self) -> Self {
        self.happens(EventKind::CgroupPopulated { populated: false })
    }

    pub(super) fn removed(self) -> Self {
        self.happens(EventKind::CgroupRemoved)
    }

    /// How many processes of the container are remembered.
    pub(super) fn processes(&self) -> usize {
        let tracked = self.engine.containers.get(&CONTAINER);
        tracked.map_or(0, |tracked| tracked.container.processes.len())
    }

    /// How many pods are remembered.
    pub(super) fn pod_count(&self) -> usize {
        self.engine.pods.len()
    }

    /// Lets all timeouts run out.
    pub(super) fn finish(mut self) -> (Vec<Output>, Vec<Report>) {
        while let Some(due) = self.engine.poll_timeout() {
            self.engine.handle_timeout(due);
            self.now = due;
            self = self.drain_outputs();
        }
        let scene = self.drain_outputs();
        let reports = reports(&scene.said);
        (scene.said, reports)
    }

    /// The one report there is.
    pub(super) fn report(self) -> Report {
        let (_, mut reports) = self.finish();
        assert_eq!(reports.len(), 1, "{reports:#?}");
        reports.remove(0)
    }

    /// That there is no report, and nothing left of what was told in between.
    pub(super) fn no_report(self) {
        let (said, reports) = self.finish();
        assert_eq!(reports, []);
        let id = |output: &Output| match output {
            Output::Progress(report) => Some(report.id),
            _ => None,
        };
        for told in said.iter().filter_map(id) {
            let taken_back = |output: &Output| {
                *output
                    == Output::Withdrawn {
                        id: told,
                        container: CONTAINER,
                    }
            };
            assert!(said.iter().any(taken_back), "{said:#?}");
        }
    }
}

pub(super) fn reports(said: &[Output]) -> Vec<Report> {
    let finished = |output: &Output| match output {
        Output::Finished(report) => Some(report.as_ref().clone()),
        _ => None,
    };
    said.iter().filter_map(finished).collect()
}

pub(super) fn event_input(at: Timestamp, kind: EventKind) -> Input {
    Input::Event(Event {
        at,
        container: Some(CONTAINER),
        cgroup: CONTAINER,
        kind,
    })
}

pub(super) fn cgroup_created(cgroup: CgroupId, path: &str) -> Input {
    Input::Event(Event {
        at: Timestamp(0),
        container: None,
        cgroup,
        kind: EventKind::CgroupMade {
            parent: CgroupId(1),
            path: path.to_owned(),
        },
    })
}

pub(super) fn exec_event(process: Process, command: &str) -> EventKind {
    EventKind::Exec(Exec {
        process,
        argv: split_words(command),
        argv_cut: false,
    })
}

pub(super) fn signal_sent(from: Who, to: Who, signal: u32, sent: Sent) -> EventKind {
    EventKind::Signal(SignalSent {
        signal: Signal::try_from(signal).unwrap(),
        target: to.process(),
        sender: from.process(),
        code: sent.code,
        result: sent.result,
        handler: sent.handler,
        blocked: false,
        traced: sent.traced,
        exiting: sent.exiting,
        unkillable: to == Who::Main,
        pending: None,
        watched: true,
        last_outside: None,
    })
}

pub(super) fn finding_kinds(report: &Report) -> Vec<FindingKind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

pub(super) fn doubts(report: &Report) -> &[Doubt] {
    &report.doubts
}

pub(super) fn stop_number(report: &Report) -> Option<u32> {
    report.stop_signal.as_ref().map(|stop| stop.signal.number())
}

/// Whether it is in doubt which signal was the stop signal.
pub(super) fn is_unsure(report: &Report) -> bool {
    report.doubts.contains(&Doubt::StopSignalUncertain)
}

/// What a look into `/proc` shows of a process that runs this command.
pub(super) fn found_running(process: &Process, command: &str) -> ProcessFound {
    ProcessFound {
        tgid: process.tgid,
        ns_tgid: process.ns_tgid,
        ns_level: process.ns_level,
        parent_tgid: process.parent_tgid,
        parent_outside: process.parent_outside,
        start: Timestamp(process.start.0 / 10_000_000 * 10_000_000),
        comm: process.comm.clone(),
        argv: split_words(command),
    }
}

pub(super) fn found_process(who: Who) -> ProcessFound {
    found_running(&who.process(), "app")
}

pub(super) const fn populated(populated: bool) -> EventKind {
    EventKind::CgroupPopulated { populated }
}

/// Of each report the main process, 0 if it has none, and the outcome.
pub(super) fn mains_and_outcomes(reports: &[Report]) -> Vec<(u32, Outcome)> {
    let main_and_outcome = |report: &Report| {
        let main = report.main.as_ref().map_or(0, |main| main.tgid.0);
        (main, report.outcome)
    };
    reports.iter().map(main_and_outcome).collect()
}
