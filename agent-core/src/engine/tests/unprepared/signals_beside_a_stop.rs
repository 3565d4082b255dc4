//! Signals that come beside the stop signal, before it, or in its place.

use super::super::scene::{
    BY_KERNEL, FATAL, HANDLED, IGNORED, QUEUED, Scene, Sent, Who, doubts, exec_event,
    finding_kinds, signal_sent, stop_number,
};
use super::{
    ABRT, CONT, HUP, INT, QUIT, TERM, WINCH, by, code, docker, ended, forked, is_certain, main,
    populated, runs, sent, stops, systemd,
};
use crate::event::{EventKind, Process, SignalSent, Tgid};
use crate::report::{Doubt, FindingKind, KillCause, Outcome, Trigger};
use crate::signal::{Signal, SignalSet};
use std::time::Duration;

fn with_pending(number: u32, how: Sent) -> EventKind {
    let EventKind::Signal(told) = signal_sent(Who::Runc, Who::Main, number, how) else {
        panic!("a signal");
    };
    EventKind::Signal(SignalSent {
        pending: Some(SignalSet(1 << (number - 1))),
        ..told
    })
}

/// The same by the kernel's terminal.
#[test]
fn the_kernels_terminal_is_resized_during_the_drain() {
    let resize = Sent {
        code: 128,
        ..HANDLED
    };
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.5)
        .sends_signal(Who::Stranger, Who::Main, WINCH, resize)
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(stop_number(&report), Some(TERM));
    assert_eq!(doubts(&report), []);
}

/// SIGPIPE in the drain of a program that handles it and exits with status 1.
#[test]
fn a_pipe_breaks_in_the_drain() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.5)
        .sends_signal(Who::Main, Who::Main, 13, HANDLED)
        .at_second(11.0)
        .exits_with_code(Who::Main, 141)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(stop_number(&report), Some(TERM));
}

/// The kernel kills the main process for memory during its drain, after its child.
#[test]
fn the_oom_killer_in_the_drain() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(12.0)
        .sends_signal(Who::Child, Who::Main, 9, BY_KERNEL)
        .happens(EventKind::OomVictim {
            pid: 100,
            comm: Some("app".to_owned()),
        })
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::OomKilled);
    assert_eq!(stop_number(&report), Some(TERM));
}

/// The OOM killer's SIGKILL comes while the runtime's is on its way.
#[test]
fn the_runtimes_sigkill_after_the_oom_killers() {
    let report = Scene::with_grace_and_hook(2, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(12.0)
        .sends_signal(Who::Child, Who::Main, 9, BY_KERNEL)
        .happens(EventKind::OomVictim {
            pid: 100,
            comm: Some("app".to_owned()),
        })
        .at_second(12.01)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::OomKilled);
}

/// A visitor is chosen by the OOM killer, and nothing else happens before an orderly stop a moment later.
#[test]
fn a_stop_with_a_status_of_its_own() {
    for status in [0, 1, 143, 255] {
        let report = docker(Some(10), Some(TERM))
            .running()
            .at_second(10.0)
            .stop(HANDLED)
            .at_second(11.0)
            .exits_with_code(Who::Main, status)
            .removed()
            .report();
        assert_eq!(report.outcome, Outcome::Graceful, "{status}");
        assert_eq!(doubts(&report), []);
    }
}

/// Job control from a person between the stop signal and the end.
#[test]
fn a_person_pauses_the_drain() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(11.0)
        .sends_signal(Who::Stranger, Who::Main, 19, IGNORED)
        .at_second(12.0)
        .sends_signal(Who::Stranger, Who::Main, CONT, IGNORED)
        .at_second(13.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.stop_signal_to_exit(), Some(Duration::from_secs(3)));
    assert_eq!(doubts(&report), []);
}

/// A supervisor of the container (not PID 1, in a service) ends the main process by SIGTERM, and it is too slow.
#[test]
fn a_child_stops_and_kills_the_main_process() {
    let child = forked(401, 5.0, 400);
    let report = runs()
        .at_second(10.0)
        .happens(sent(&child, &main(), TERM, HANDLED))
        .at_second(15.0)
        .happens(sent(&child, &main(), 9, FATAL))
        .happens(ended(&main(), by(9)))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::KilledByOther);
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::Inside);
}

/// The main process is stopped (SIGSTOP) all the time.
#[test]
fn a_stopped_process_takes_no_signal() {
    let report = Scene::with_grace_and_hook(4, None)
        .running()
        .at_second(9.0)
        .sends_signal(Who::Stranger, Who::Main, 19, QUEUED)
        .at_second(10.0)
        .happens(with_pending(TERM, HANDLED))
        .at_second(14.02)
        .kill_with_pending(Signal::TERM.mask_bit())
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(doubts(&report), []);
}

/// A person sends SIGTERM a moment after the runtime.
#[test]
fn two_sigterms_within_a_moment() {
    let report = Scene::with_grace_and_hook(4, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.3)
        .sends_signal(Who::Stranger, Who::Main, TERM, HANDLED)
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.stop_signal_to_exit(), Some(Duration::from_secs(1)));
    assert_eq!(doubts(&report), []);
}

/// The program resets its handler and raises SIGTERM again, as it should.
#[test]
fn a_program_that_raises_its_stop_signal_again() {
    let report = docker(Some(4), None)
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Plain, TERM, HANDLED)
        .at_second(11.0)
        .sends_signal(Who::Plain, Who::Plain, TERM, FATAL)
        .dies_by_signal(Who::Plain, TERM)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.stop_signal_to_exit(), Some(Duration::from_secs(1)));
    assert_eq!(doubts(&report), []);
}

/// It drains after SIGTERM and dies of its own abort.
#[test]
fn an_abort_in_the_drain() {
    let report = docker(Some(4), None)
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Plain, TERM, HANDLED)
        .at_second(11.0)
        .sends_signal(Who::Plain, Who::Plain, ABRT, QUEUED)
        .dies_by_signal(Who::Plain, ABRT)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Crashed);
    assert_eq!(report.trigger, Trigger::Stopped);
    assert_eq!(doubts(&report), []);
}

/// It ends itself by SIGTERM (a shell's `kill $$`), and nobody else asked.
#[test]
fn a_program_that_ends_itself_by_sigterm() {
    let report = docker(Some(4), None)
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(10.0)
        .sends_signal(Who::Plain, Who::Plain, TERM, FATAL)
        .dies_by_signal(Who::Plain, TERM)
        .removed()
        .report();
    assert!(
        report.outcome == Outcome::Crashed || !is_certain(&report),
        "{:?}",
        report.outcome
    );
    assert!(
        !doubts(&report).contains(&Doubt::SignalMissing),
        "it was seen who sent it: {:?}",
        doubts(&report)
    );
}

/// A child ends the main process by SIGINT to its process group, as a shell's `kill -INT 0`.
#[test]
fn a_child_that_signals_the_whole_group() {
    let child = forked(401, 5.0, 400);
    let report = runs()
        .at_second(10.0)
        .happens(sent(&child, &main(), INT, FATAL))
        .happens(ended(&main(), by(INT)))
        .happens(populated(false))
        .report();
    assert_eq!(finding_kinds(&report), [FindingKind::StoppedFromInside]);
}

/// `systemctl kill -s USR2` (a dump), and a stop an hour later.
#[test]
fn a_dump_of_systemd_long_before_a_stop() {
    let report = stops(
        runs()
            .at_second(10.0)
            .happens(sent(&systemd(), &main(), 12, HANDLED))
            .at_second(3700.0),
        HANDLED,
    )
    .at_second(3702.0)
    .happens(ended(&main(), code(0)))
    .happens(populated(false))
    .report();
    assert_eq!(report.stop_signal_to_exit(), Some(Duration::from_secs(2)));
    assert_eq!(doubts(&report), []);
}

/// A child that is out of memory during the drain.
#[test]
fn a_child_out_of_memory_in_the_drain() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.5)
        .happens(EventKind::OomVictim {
            pid: 300,
            comm: Some("worker".to_owned()),
        })
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), [FindingKind::ChildOomKilled]);
    assert_eq!(report.outcome, Outcome::Graceful);
}

/// A visitor is out of memory, and the program goes on for an hour and crashes.
#[test]
fn a_visitor_out_of_memory_long_before_a_crash() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .execs_command(Who::Visitor, "tar x")
        .happens(EventKind::OomVictim {
            pid: Who::Visitor.process().tgid.0,
            comm: Some("tar".to_owned()),
        })
        .dies_by_signal(Who::Visitor, 9)
        .at_second(3610.0)
        .exits_with_code(Who::Main, 1)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Crashed);
    assert_eq!(finding_kinds(&report), []);
}

/// The terminal is closed: SIGHUP and SIGCONT by the kernel.
#[test]
fn a_terminal_that_is_closed() {
    let hangup = Sent {
        code: 128,
        ..HANDLED
    };
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Stranger, Who::Main, HUP, hangup)
        .at_second(10.1)
        .exits_with_code(Who::Main, 129)
        .removed()
        .report();
    assert!(
        report.outcome != Outcome::Crashed || !is_certain(&report),
        "{:?}",
        report.outcome
    );
}

/// Ctrl-C that the program handles without an end, and a crash an hour later.
#[test]
fn ctrl_c_long_before_a_crash() {
    let typed = Sent {
        code: 128,
        ..HANDLED
    };
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Stranger, Who::Main, INT, typed)
        .at_second(3600.0)
        .exits_with_code(Who::Main, 1)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Crashed);
    assert_eq!(doubts(&report), []);
}

/// `docker stop` after Ctrl-C had done nothing.
#[test]
fn docker_stop_after_ctrl_c() {
    let typed = Sent {
        code: 128,
        ..HANDLED
    };
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(9.0)
        .sends_signal(Who::Stranger, Who::Main, INT, typed)
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.stop_signal_to_exit(), Some(Duration::from_secs(1)));
    assert_eq!(doubts(&report), []);
}

/// The runtime's stop signal is SIGQUIT, and SIGKILL comes 10.01 s later; a person had sent SIGTERM, which was thrown away.
#[test]
fn sigquit_after_a_persons_sigterm() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(5.0)
        .sends_signal(Who::Stranger, Who::Main, TERM, IGNORED)
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED)
        .at_second(20.01)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(stop_number(&report), Some(QUIT));
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(doubts(&report), []);
}

/// SIGKILL from inside another container of the pod's (`kubectl debug`), by a process that shares its pid namespace, during the drain.
#[test]
fn a_debugger_kills_it_in_the_drain() {
    let debugger = Process {
        tgid: Tgid(600),
        ns_tgid: 40,
        ns_level: 1,
        ns_inum: 2,
        container: Some(crate::event::CgroupId(8)),
        comm: "sh".to_owned(),
        ..Who::Stranger.process()
    };
    let main = Process {
        ns_tgid: 7,
        ..Who::Main.process()
    };
    let report = Scene::with_grace_and_hook(30, None)
        .at_second(1.0)
        .happens(exec_event(main.clone(), "/app"))
        .at_second(10.0)
        .happens(sent(&Who::Runc.process(), &main, TERM, HANDLED))
        .at_second(14.4)
        .happens(sent(&debugger, &main, 9, FATAL))
        .happens(ended(&main, by(9)))
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::KilledByOther);
    assert_eq!(doubts(&report), []);
}
