//! Exits that do not come to their end, and processes that outlive a stop.

use super::findings::evidence;
use super::scene::{FATAL, HANDLED, IGNORED, Scene, Who, doubts, finding_kinds, reports};
use crate::event::{ExitStatus, Tgid};
use crate::output::Output;
use crate::remaining::{Remaining, Task, TaskState};
use crate::report::{FindingKind, Outcome, Report};

fn new_task(tgid: Tgid, comm: &str) -> Task {
    Task {
        tid: tgid.0,
        tgid,
        comm: comm.to_owned(),
        parent_tgid: Tgid(900),
        parent_comm: "shim".to_owned(),
        state: TaskState::Alive,
        frozen: false,
        waits_in: String::new(),
        exiting: false,
    }
}

/// The main process waits for the others of its pid namespace.
fn held_by(others: Vec<Task>) -> Remaining {
    Remaining {
        main: Some(Task {
            exiting: true,
            waits_in: "zap_pid_ns_processes".to_owned(),
            ..new_task(Who::Main.process().tgid, "app")
        }),
        others,
        more: 0,
    }
}

fn frozen() -> Task {
    Task {
        frozen: true,
        exiting: true,
        ..new_task(Tgid(31), "worker")
    }
}

fn exits_and_is_held() -> Scene {
    Scene::with_grace_and_hook(30, None)
        .running()
        .leaves(held_by(vec![frozen()]))
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.05)
        .exits_with_code(Who::Main, 0)
}

#[test]
fn a_main_process_that_a_frozen_one_holds_in_its_exit_is_reported_once() {
    let scene = exits_and_is_held().at_second(14.9);
    assert_eq!(reports(&scene.said), [], "a parent may be slow");
    let scene = scene.at_second(20.0);
    let given = reports(&scene.said);
    assert_eq!(given.len(), 1);
    assert_eq!(given[0].outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&given[0]), [FindingKind::StuckInExit]);
    assert_eq!(
        evidence(&given[0], FindingKind::StuckInExit),
        "The main process `app` exited, and was still there 5.000 s later: it waits for `worker` (pid 31), which is frozen by its cgroup."
    );
    assert_eq!(doubts(&given[0]), []);
    // Much later SIGKILL, a probe that cannot be run in the dying namespace, and the end.
    scene
        .at_second(40.0)
        .kill_by_runtime()
        .execs_command(Who::Plain, "/probe")
        .exits_with_code(Who::Plain, 1)
        .at_second(50.0)
        .becomes_empty()
        .removed()
        .report();
}

#[test]
fn a_process_without_a_parent_that_waits_for_it_is_named() {
    let zombie = Task {
        state: TaskState::Zombie,
        exiting: true,
        ..new_task(Tgid(32), "probe")
    };
    let report = Scene::with_grace_and_hook(30, None)
        .running()
        .leaves(held_by(vec![zombie]))
        .at_second(10.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .becomes_empty()
        .report();
    assert!(
        evidence(&report, FindingKind::StuckInExit).contains(
            "`probe` (pid 32), which has exited and waits for its parent `shim` (pid 900)"
        )
    );
}

#[test]
fn a_parent_that_is_slow_to_notice_the_exit_is_no_finding() {
    let report = exits_and_is_held()
        .at_second(12.0)
        .leaves(Remaining::default())
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), []);
}

/// The group's exit is not seen, as one of its threads does not come to its end.
fn thread_hangs() -> Scene {
    let thread = Task {
        tid: 12,
        state: TaskState::Uninterruptible,
        waits_in: "nfs_wait".to_owned(),
        exiting: true,
        ..new_task(Who::Main.process().tgid, "io")
    };
    Scene::with_grace_and_hook(30, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .leaves(held_by(vec![thread]))
        .at_second(20.0)
}

#[test]
fn a_thread_that_hangs_in_the_exit_is_told_while_the_termination_is_open() {
    let scene = thread_hangs();
    let mut told = scene.said.iter().rev();
    let last = told.find_map(|output| match output {
        Output::Progress(report) => Some(report),
        _ => None,
    });
    let last = last.unwrap();
    assert_eq!(
        evidence(last, FindingKind::StuckInExit),
        "The main process `app` has begun to exit, and does not come to the end of it: it waits for its thread `io` (tid 12), which waits in the kernel (`nfs_wait`)."
    );
    let report = scene
        .leaves(Remaining::default())
        .at_second(100.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), [FindingKind::StuckInExit]);
    assert_eq!(report.outcome, Outcome::Graceful);
}

/// It is asked at the very moment of the SIGKILL, of which the process is just dying.
#[test]
fn an_exit_that_takes_milliseconds_is_not_stuck() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(19.999)
        .leaves(held_by(Vec::new()))
        .at_second(20.0)
        .kill_by_runtime()
        .at_second(20.03)
        .leaves(Remaining::default())
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), [FindingKind::TooSlow]);
}

#[test]
fn a_slow_drain_is_not_stuck_in_its_exit() {
    let alive = Remaining {
        main: Some(new_task(Who::Main.process().tgid, "app")),
        ..Remaining::default()
    };
    let report = Scene::with_grace_and_hook(30, None)
        .running()
        .leaves(alive)
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(35.0)
        .leaves(Remaining::default())
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), []);
}

/// A container in the machine's pid namespace: SIGKILL reached its first process alone.
fn outlived() -> Report {
    Scene::container()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .leaves(Remaining {
            others: vec![new_task(Tgid(33), "worker"), new_task(Tgid(34), "log")],
            more: 3,
            main: None,
        })
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Plain, 15, IGNORED)
        .at_second(20.0)
        .sends_signal(Who::Runc, Who::Plain, 9, FATAL)
        .dies_by_signal(Who::Plain, 9)
        .report()
}

#[test]
fn processes_that_outlive_the_stop_are_named() {
    let report = outlived();
    assert!(finding_kinds(&report).contains(&FindingKind::ProcessesLeft));
    assert_eq!(
        evidence(&report, FindingKind::ProcessesLeft),
        "5.000 s after the main process `app` had exited, there were still `worker` (pid 33), `log` (pid 34), and 3 more."
    );
}

#[test]
fn what_a_crash_leaves_behind_delays_no_report() {
    let scene = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .leaves(Remaining {
            others: vec![new_task(Tgid(33), "worker")],
            ..Remaining::default()
        })
        .at_second(10.0)
        .exits_with_code(Who::Plain, 3)
        .at_second(11.1);
    let given = reports(&scene.said);
    assert_eq!(given[0].outcome, Outcome::Crashed);
    assert_eq!(given[0].exit.as_ref().unwrap().status, ExitStatus::Code(3));
    assert_eq!(finding_kinds(&given[0]), []);
}

/// Those with a diagnosis that no other scenario has.
pub(super) fn diagnoses() -> Vec<Report> {
    vec![exits_and_is_held().report(), outlived()]
}

/// What is left is ended later, as a runtime does with the container's last processes. That is not another termination.
#[test]
fn a_process_that_is_left_is_not_the_next_main_process() {
    let (_, reports) = Scene::container()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .leaves(Remaining {
            others: vec![new_task(Who::Daemon.process().tgid, "daemon")],
            ..Remaining::default()
        })
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Plain, 15, HANDLED)
        .at_second(10.1)
        .exits_with_code(Who::Plain, 0)
        .at_second(20.0)
        .finds_processes(&[Who::Daemon])
        .at_second(21.0)
        .sends_signal(Who::Runc, Who::Daemon, 9, FATAL)
        .dies_by_signal(Who::Daemon, 9)
        .becomes_empty()
        .removed()
        .finish();
    assert_eq!(reports.len(), 1, "{reports:#?}");
}
