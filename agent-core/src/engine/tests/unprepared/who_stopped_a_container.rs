//! Who stopped a container, and by what.

use super::super::scene::{
    BY_KERNEL, FATAL, HANDLED, IGNORED, QUEUED, Scene, Sent, Who, doubts, exec_event,
    finding_kinds, signal_sent, stop_number,
};
use super::{INT, RTMIN3, TERM, USR1, WINCH, by, code, docker, ended, is_certain, sent};
use crate::event::{Delivery, EventKind, Exit, Handler, Process, SignalSent, Tgid};
use crate::report::{Doubt, FindingKind, Outcome, Report};
use crate::signal::{Signal, SignalSet};
use std::time::Duration;

fn powered_off(who: Who) -> Report {
    let EventKind::Signal(told) = signal_sent(who, Who::Main, RTMIN3, QUEUED) else {
        panic!("a signal");
    };
    Scene::with_grace_and_hook(30, None)
        .running()
        .at_second(10.0)
        .happens(EventKind::Signal(SignalSent {
            blocked: true,
            ..told
        }))
        .at_second(12.0)
        .sends_signal(Who::Main, Who::Main, 9, BY_KERNEL)
        .happens(EventKind::Exit(Exit {
            process: Who::Main.process(),
            status: by(9),
            executed: true,
            pending: Some(SignalSet(0)),
            ns_reboot: Signal::try_from(INT).ok(),
        }))
        .removed()
        .report()
}

fn with_pending(number: u32, how: Sent) -> EventKind {
    let EventKind::Signal(told) = signal_sent(Who::Runc, Who::Main, number, how) else {
        panic!("a signal");
    };
    EventKind::Signal(SignalSent {
        pending: Some(SignalSet(1 << (number - 1))),
        ..told
    })
}

/// Somebody in the container asks it to end, and `docker kill` ends it 20 s later.
#[test]
fn a_stop_from_inside_before_a_docker_kill() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .execs_command(Who::Visitor, "bash")
        .sends_signal(Who::Visitor, Who::Main, TERM, HANDLED)
        .at_second(30.0)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    let claims = report
        .findings
        .iter()
        .any(|finding| finding.evidence.contains("no stop signal came before"));
    assert!(!claims || !is_certain(&report), "{report:#?}");
}

/// `docker stop` of an image with systemd: SIGRTMIN+3, and init powers off.
#[test]
fn an_init_that_powers_off_after_the_runtimes_signal() {
    let report = powered_off(Who::Runc);
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(doubts(&report), []);
}

/// `machinectl poweroff`, `lxc-stop`: the same from somebody that is not in the list of runtimes.
#[test]
fn an_init_that_powers_off_after_somebodys_signal() {
    let report = powered_off(Who::Stranger);
    assert!(
        report.outcome == Outcome::Graceful || !is_certain(&report),
        "{:?}",
        report.outcome
    );
}

/// Ctrl-C at the terminal of `docker run -it`: the kernel's terminal sends SIGINT.
#[test]
fn ctrl_c_at_the_terminal_is_no_crash() {
    let kworker = Sent {
        code: 128,
        ..HANDLED
    };
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Stranger, Who::Main, INT, kworker)
        .at_second(10.1)
        .exits_with_code(Who::Main, 130)
        .removed()
        .report();
    assert!(
        report.outcome != Outcome::Crashed || !is_certain(&report),
        "{:?} {:?}",
        report.outcome,
        report.trigger
    );
}

/// The same for a program without a handler that is not PID 1.
#[test]
fn ctrl_c_that_ends_a_program_by_its_default_action() {
    let report = Scene::container()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(10.0)
        .sends_signal(Who::Stranger, Who::Plain, INT, BY_KERNEL)
        .dies_by_signal(Who::Plain, INT)
        .removed()
        .report();
    assert!(
        report.outcome != Outcome::Crashed || !is_certain(&report),
        "{:?}",
        report.outcome
    );
}

#[test]
fn a_second_docker_stop_with_a_shorter_time() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(12.0)
        .stop(HANDLED)
        .at_second(14.02)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert!(doubts(&report).contains(&Doubt::GraceUnknown));
}

#[test]
fn the_exit_wins_the_race_with_sigkill() {
    let late = Sent {
        result: Delivery::Ignored,
        ..FATAL
    };
    let report = Scene::with_grace_and_hook(2, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(12.01)
        .sends_signal(Who::Runc, Who::Main, 9, late)
        .at_second(12.012)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert!(report.kill.is_none());
    assert_eq!(doubts(&report), []);
}

/// On old kernels SIGKILL to a dying process is delivered.
#[test]
fn the_exit_wins_the_race_with_sigkill_on_an_old_kernel() {
    let report = Scene::with_grace_and_hook(2, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(12.01)
        .kill_by_runtime()
        .at_second(12.012)
        .exits_with_code(Who::Main, 3)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert!(report.kill.is_none());
}

#[test]
fn sigterm_while_the_runtimes_stage_runs() {
    let report = Scene::with_grace_and_hook(3, None)
        .at_second(0.2)
        .attached(Who::Main)
        .at_second(0.21)
        .stop(IGNORED)
        .at_second(0.22)
        .execs_command(Who::Main, "/app")
        .at_second(3.22)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::SignalIgnored);
    assert!(finding_kinds(&report).contains(&FindingKind::SignalBeforeHandler));
}

/// It was paused (frozen) all the time: SIGTERM waits.
#[test]
fn a_frozen_container_takes_no_signal() {
    let report = Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(10.0)
        .happens(with_pending(TERM, HANDLED))
        .at_second(13.01)
        .kill_with_pending(Signal::TERM.mask_bit())
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert!(report.findings[0].evidence.contains("never took it"));
}

/// It was frozen, thawed by the runtime and went on its own terms.
#[test]
fn a_frozen_container_that_is_thawed() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(10.0)
        .happens(with_pending(TERM, HANDLED))
        .at_second(15.0)
        .delivers(TERM, Handler::Custom)
        .at_second(15.5)
        .exits_with_pending(0, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(
        report.stop_signal_to_exit(),
        Some(Duration::from_millis(5500))
    );
}

/// logrotate sends SIGUSR1 by `docker kill`, and the program is stopped by SIGTERM a second later.
#[test]
fn a_log_rotation_before_the_stop() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(9.0)
        .sends_signal(Who::Runc, Who::Main, USR1, HANDLED)
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(stop_number(&report), Some(TERM));
    assert_eq!(doubts(&report), []);
}

/// A log rotation, and a batch job that ends by itself half a minute later.
#[test]
fn a_log_rotation_before_an_end_by_itself() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(9.0)
        .sends_signal(Who::Runc, Who::Main, USR1, HANDLED)
        .at_second(39.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert!(report.outcome == Outcome::Completed || !is_certain(&report));
}

/// The stop signal was thrown away, and the program crashes by itself a moment later.
#[test]
fn a_crash_after_a_stop_signal_that_was_thrown_away() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(10.0)
        .stop(IGNORED)
        .at_second(12.0)
        .exits_with_code(Who::Main, 1)
        .removed()
        .report();
    assert!(finding_kinds(&report).contains(&FindingKind::SignalIgnored));
}

/// A sidecar in a shared pid namespace stops the program.
#[test]
fn a_sidecar_stops_it() {
    let sidecar = Process {
        tgid: Tgid(600),
        ns_tgid: 40,
        ns_level: 1,
        ns_inum: 2,
        container: Some(crate::event::CgroupId(8)),
        comm: "sidecar".to_owned(),
        ..Who::Stranger.process()
    };
    let main = Process {
        ns_tgid: 7,
        ..Who::Main.process()
    };
    let report = Scene::container()
        .at_second(1.0)
        .happens(exec_event(main.clone(), "/app"))
        .at_second(10.0)
        .happens(sent(&sidecar, &main, TERM, HANDLED))
        .at_second(10.4)
        .happens(ended(&main, code(0)))
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert!(finding_kinds(&report).contains(&FindingKind::StoppedFromInside));
}

/// A sidecar sends SIGKILL to the program in a shared pid namespace.
#[test]
fn a_sidecar_kills_it() {
    let sidecar = Process {
        tgid: Tgid(600),
        ns_tgid: 40,
        ns_level: 1,
        ns_inum: 2,
        container: Some(crate::event::CgroupId(8)),
        comm: "sidecar".to_owned(),
        ..Who::Stranger.process()
    };
    let main = Process {
        ns_tgid: 7,
        ..Who::Main.process()
    };
    let report = Scene::container()
        .at_second(1.0)
        .happens(exec_event(main.clone(), "/app"))
        .at_second(10.0)
        .happens(sent(&sidecar, &main, 9, FATAL))
        .happens(ended(&main, by(9)))
        .removed()
        .report();
    assert!([Outcome::ForceKilled, Outcome::KilledByOther].contains(&report.outcome));
    assert!(report.kill.as_ref().unwrap().sender.comm == "sidecar");
}

/// The preStop hook ends a worker by SIGKILL: no supervisor did that.
#[test]
fn a_hook_that_kills_a_worker_is_no_supervisor() {
    let report = Scene::with_grace_and_hook(30, Some("pkill -9 worker"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "pkill -9 worker")
        .signals_child(Who::Hook, 9, FATAL, Handler::Custom)
        .exits_with_code(Who::Hook, 0)
        .at_second(10.1)
        .stop(HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), []);
}

/// PID 1 execs the program that does the cleanup when it is told to stop.
#[test]
fn a_shell_that_execs_another_program_during_the_stop() {
    let report = Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.1)
        .execs_command(Who::Main, "/cleanup")
        .at_second(12.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.main.as_ref().unwrap().argv, ["/app", "--serve"]);
    assert_eq!(report.outcome, Outcome::Graceful);
}

/// Its cleanup is too slow, and the second SIGTERM finds the other program without a handler.
#[test]
fn a_shell_that_execs_a_program_without_a_handler_during_the_stop() {
    let report = Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.1)
        .execs_command(Who::Main, "/cleanup")
        .at_second(11.0)
        .stop(IGNORED)
        .at_second(13.01)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(finding_kinds(&report), [FindingKind::TooSlow]);
}

/// A person in a hurry: `docker kill` a moment after `docker stop`, with the default grace unknown.
#[test]
fn docker_kill_right_after_docker_stop() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.7)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert!(!is_certain(&report));
}

/// A real-time stop signal sent twice while blocked.
#[test]
fn a_real_time_stop_signal_that_is_fetched() {
    let queued = || {
        let EventKind::Signal(told) = signal_sent(Who::Runc, Who::Main, RTMIN3, QUEUED) else {
            panic!("a signal");
        };
        EventKind::Signal(SignalSent {
            blocked: true,
            pending: Some(SignalSet(1 << (RTMIN3 - 1))),
            ..told
        })
    };
    let report = docker(Some(10), Some(RTMIN3))
        .running()
        .at_second(10.0)
        .happens(queued())
        .at_second(12.0)
        .exits_with_pending(0, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(doubts(&report), []);
}

/// SIGTERM is configured as something else, and `docker kill -s TERM` does not end it.
#[test]
fn a_terminal_is_resized_during_the_drain() {
    let mut scene = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED);
    for number in 0..30 {
        scene = scene
            .at_second(10.1 + f64::from(number) * 0.01)
            .sends_signal(Who::Stranger, Who::Main, WINCH, HANDLED);
    }
    let report = scene
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(stop_number(&report), Some(TERM));
    assert_eq!(report.outcome, Outcome::Graceful);
}

/// The image's stop signal is another one, and the kubelet is down when the grace period is over.
#[test]
fn a_drain_after_sigterm_that_nobody_cuts() {
    let report = docker(Some(2), Some(3))
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(17.0)
        .exits_with_code(Who::Main, 1)
        .removed()
        .report();
    let is_stop = report.outcome == Outcome::Graceful;
    assert!(is_stop || !is_certain(&report), "{:?}", report.outcome);
}
