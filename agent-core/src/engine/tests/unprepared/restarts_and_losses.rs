//! Next main processes, and facts that were lost or are read late.

use super::super::scene::{
    CONTAINER, FATAL, HANDLED, Scene, Who, cgroup_created, config, doubts, exec_event,
};
use super::super::stage::seconds;
use super::{
    TERM, by, code, ended, found, found_running, is_certain, lost, main, mains_and_outcomes,
    populated, runs, sent, stops, systemd, unit,
};
use crate::config::Selector;
use crate::event::{EventKind, Process, Tgid};
use crate::input::Input;
use crate::report::{Doubt, Outcome};

/// The exit and the next entry are lost; the look finds the next main process.
#[test]
fn a_main_process_that_a_look_found_after_a_loss_has_its_own_report() {
    let next = unit(401, 10.3);
    let (_, reports) = runs()
        .at_second(11.0)
        .receives(lost(9.9, 11.0))
        .receives(found(&[found_running(&next, "/app --serve")]))
        .at_second(500.0)
        .happens(sent(&systemd(), &next, TERM, HANDLED))
        .at_second(500.5)
        .happens(ended(&next, code(0)))
        .happens(populated(false))
        .finish();
    let told = mains_and_outcomes(&reports);
    assert!(told.contains(&(401, Outcome::Graceful)), "{told:?}");
}

/// The exit was seen, the next entry is lost, and the look comes within the tail.
#[test]
fn a_main_process_that_a_look_found_within_the_tail_has_its_own_report() {
    let next = unit(401, 10.2);
    let (_, reports) = runs()
        .at_second(10.0)
        .happens(ended(&main(), code(1)))
        .at_second(10.5)
        .receives(lost(10.1, 10.5))
        .receives(found(&[found_running(&next, "/app --serve")]))
        .at_second(500.0)
        .happens(ended(&next, code(3)))
        .happens(populated(false))
        .finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [(400, Outcome::Crashed), (401, Outcome::Crashed)]
    );
}

/// The same, after the tail.
#[test]
fn a_main_process_that_a_look_found_after_the_tail_has_its_own_report() {
    let next = unit(401, 10.2);
    let (_, reports) = runs()
        .at_second(10.0)
        .happens(ended(&main(), code(1)))
        .at_second(12.5)
        .receives(lost(10.1, 12.5))
        .receives(found(&[found_running(&next, "/app --serve")]))
        .at_second(500.0)
        .happens(ended(&next, code(3)))
        .happens(populated(false))
        .finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [(400, Outcome::Crashed), (401, Outcome::Crashed)]
    );
}

/// RestartSec=0: the next start lies in the same clock tick as the exit.
#[test]
fn a_found_start_in_the_same_tick_as_the_exit() {
    let next = unit(401, 10.008);
    let (_, reports) = runs()
        .at_second(10.004)
        .happens(ended(&main(), code(1)))
        .at_second(12.5)
        .receives(lost(10.005, 12.5))
        .receives(found(&[found_running(&next, "/app --serve")]))
        .at_second(500.0)
        .happens(ended(&next, code(3)))
        .happens(populated(false))
        .finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [(400, Outcome::Crashed), (401, Outcome::Crashed)]
    );
}

/// A stop is under way when the agent starts, and a service's first signal was not seen.
#[test]
fn the_agent_starts_in_the_middle_of_a_stop() {
    let report = Scene::service()
        .at_second(20.0)
        .receives(Input::Tracked {
            container: CONTAINER,
            since: seconds(20.0),
        })
        .receives(found(&[found_running(&main(), "/app --serve")]))
        .at_second(21.0)
        .happens(ended(&main(), code(0)))
        .happens(populated(false))
        .receives(found(&[]))
        .report();
    assert!(doubts(&report).contains(&Doubt::SeenLate));
}

/// KillMode=process: what an earlier containerd left is older than the main process that the agent finds.
#[test]
fn a_stop_of_a_main_process_that_was_found_beside_older_ones_is_reported() {
    let shim = unit(300, 0.5);
    let (_, reports) = Scene::service()
        .at_second(20.0)
        .receives(Input::Tracked {
            container: CONTAINER,
            since: seconds(20.0),
        })
        .receives(found(&[
            found_running(&shim, "/shim"),
            found_running(&main(), "/app --serve"),
        ]))
        .at_second(500.0)
        .happens(sent(&systemd(), &main(), TERM, HANDLED))
        .at_second(500.5)
        .happens(ended(&main(), code(0)))
        .at_second(600.0)
        .finish();
    let told = mains_and_outcomes(&reports);
    assert!(told.contains(&(400, Outcome::Graceful)), "{told:?}");
}

/// A loss within the drain, and nothing was missing.
#[test]
fn a_loss_in_a_drain_is_doubted() {
    let report = stops(runs().at_second(10.0), HANDLED)
        .at_second(11.0)
        .receives(lost(10.5, 11.0))
        .receives(found(&[found_running(&main(), "/app --serve")]))
        .at_second(12.0)
        .happens(ended(&main(), code(0)))
        .happens(populated(false))
        .report();
    assert_eq!(doubts(&report), [Doubt::RecordsLost]);
    assert_eq!(report.outcome, Outcome::Graceful);
}

/// SIGKILL's record is lost.
#[test]
fn a_lost_sigkill() {
    let report = Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(13.1)
        .receives(lost(12.9, 13.1))
        .receives(found(&[]))
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert!(!is_certain(&report));
    assert_ne!(report.outcome, Outcome::Crashed);
}

/// A lagging agent reads the exit after the cgroup's removal.
#[test]
fn the_exit_is_read_after_the_removal() {
    let at = |second: f64, kind| super::super::scene::event_input(seconds(second), kind);
    let report = Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(11.3)
        .removed()
        .receives(at(11.0, ended(&Who::Main.process(), code(0))))
        .receives(at(11.1, populated(false)))
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.exit.as_ref().unwrap().at, seconds(11.0));
    assert_eq!(doubts(&report), []);
}

/// A number is used again by a later visitor while the container drains.
#[test]
fn the_main_process_is_not_replaced_by_a_visitor() {
    let visitor = Process {
        tgid: Tgid(100),
        start: seconds(12.0),
        ..Who::Visitor.process()
    };
    let report = Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .at_second(11.5)
        .happens(exec_event(visitor, "bash"))
        .at_second(11.9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
}

#[test]
fn a_crash_loop_with_a_start_pre() {
    let mut scene = Scene::service();
    let mut lives = 0;
    for (number, pid) in (0_u32..4).zip((400..).step_by(2)) {
        let base = 10.0 + f64::from(number) * 0.7;
        let pre = unit(pid, base);
        let start = unit(pid + 1, base + 0.03);
        scene = scene
            .at_second(base)
            .happens(populated(true))
            .happens(exec_event(pre.clone(), "/app -t"))
            .at_second(base + 0.02)
            .happens(ended(&pre, code(0)))
            .happens(populated(false))
            .receives(found(&[]))
            .at_second(base + 0.03)
            .happens(populated(true))
            .happens(exec_event(start.clone(), "/app -g"))
            .at_second(base + 0.5)
            .happens(ended(&start, code(1)))
            .happens(populated(false));
        lives += 1;
    }
    let (_, reports) = scene.finish();
    let crashed = reports
        .iter()
        .filter(|report| report.outcome == Outcome::Crashed)
        .count();
    assert_eq!(crashed, lives, "{:?}", mains_and_outcomes(&reports));
}

/// A crash loop whose program crashes only after three seconds.
#[test]
fn a_slow_crash_loop_with_a_start_pre() {
    let mut scene = Scene::service();
    for (number, pid) in (0_u32..3).zip((400..).step_by(2)) {
        let base = 10.0 + f64::from(number) * 10.0;
        let pre = unit(pid, base);
        let start = unit(pid + 1, base + 0.03);
        scene = scene
            .at_second(base)
            .happens(populated(true))
            .happens(exec_event(pre.clone(), "/app -t"))
            .at_second(base + 0.02)
            .happens(ended(&pre, code(0)))
            .happens(populated(false))
            .receives(found(&[]))
            .at_second(base + 0.03)
            .happens(populated(true))
            .happens(exec_event(start.clone(), "/app -g"))
            .at_second(base + 3.0)
            .happens(ended(&start, code(1)))
            .happens(populated(false));
    }
    let (_, reports) = scene.finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [
            (401, Outcome::Crashed),
            (403, Outcome::Crashed),
            (405, Outcome::Crashed)
        ]
    );
}

/// The program crashes, and the whole sequence begins anew with its start pre 100 ms later.
#[test]
fn the_next_start_pre_is_no_termination_of_its_own() {
    let pre = unit(401, 10.1);
    let start = unit(402, 10.2);
    let (_, reports) = runs()
        .at_second(10.0)
        .happens(ended(&main(), code(1)))
        .happens(populated(false))
        .at_second(10.1)
        .happens(populated(true))
        .happens(exec_event(pre.clone(), "/app -t"))
        .at_second(10.15)
        .happens(ended(&pre, code(0)))
        .happens(populated(false))
        .at_second(10.2)
        .happens(populated(true))
        .happens(exec_event(start.clone(), "/app --serve"))
        .at_second(100.0)
        .happens(sent(&systemd(), &start, TERM, HANDLED))
        .at_second(100.5)
        .happens(ended(&start, code(0)))
        .happens(populated(false))
        .finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [(400, Outcome::Crashed), (402, Outcome::Graceful)]
    );
}

/// `systemctl restart`: a stop, and the next start within milliseconds.
#[test]
fn a_quick_restart() {
    let next = unit(401, 10.51);
    let (_, reports) = stops(runs().at_second(10.0), HANDLED)
        .at_second(10.5)
        .happens(ended(&main(), code(0)))
        .happens(populated(false))
        .at_second(10.511)
        .happens(populated(true))
        .happens(EventKind::Attach(next.clone()))
        .happens(exec_event(next.clone(), "/app --serve"))
        .at_second(10.6)
        .happens(sent(&systemd(), &next, TERM, FATAL))
        .happens(ended(&next, by(TERM)))
        .happens(populated(false))
        .finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [(400, Outcome::Graceful), (401, Outcome::Graceful)]
    );
    assert!(reports.iter().all(is_certain));
}

/// The same, and the new one is stopped within the second.
#[test]
fn a_quick_restart_with_another_command_line_that_is_stopped() {
    let next = unit(401, 10.51);
    let (_, reports) = stops(runs().at_second(10.0), HANDLED)
        .at_second(10.5)
        .happens(ended(&main(), code(0)))
        .happens(populated(false))
        .at_second(10.511)
        .happens(populated(true))
        .happens(exec_event(next.clone(), "/app --serve --new"))
        .at_second(10.8)
        .happens(sent(&systemd(), &next, TERM, HANDLED))
        .at_second(11.0)
        .happens(ended(&next, code(0)))
        .happens(populated(false))
        .finish();
    assert_eq!(mains_and_outcomes(&reports)[0], (400, Outcome::Graceful));
    assert!(
        mains_and_outcomes(&reports).contains(&(401, Outcome::Graceful)),
        "{:?}",
        mains_and_outcomes(&reports)
    );
}

/// The next main process gets SIGTERM before the last one's report is out, and drains for 5 s.
#[test]
fn the_next_main_process_is_stopped_within_the_tail_and_drains() {
    let next = unit(401, 10.51);
    let (_, reports) = runs()
        .at_second(10.5)
        .happens(ended(&main(), code(1)))
        .happens(populated(false))
        .at_second(10.511)
        .happens(populated(true))
        .happens(exec_event(next.clone(), "/app --serve --new"))
        .at_second(10.8)
        .happens(sent(&systemd(), &next, TERM, HANDLED))
        .at_second(16.0)
        .happens(ended(&next, code(0)))
        .happens(populated(false))
        .finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [(400, Outcome::Crashed), (401, Outcome::Graceful)]
    );
}

/// A next init in the same cgroup of another runtime, with another program, that crashes at once.
#[test]
fn a_next_init_in_the_same_cgroup() {
    let path = "/custom/box";
    let selector = Selector {
        cgroup: "/custom/*".to_owned(),
        grace: None,
        stop_signal: None,
        pre_stop: None,
    };
    let init = |tgid: u32, at: f64| Process {
        tgid: Tgid(tgid),
        start: seconds(at),
        ..Who::Main.process()
    };
    let (first, next) = (init(400, 1.0), init(401, 10.3));
    let (_, reports) = Scene::with_config(config(vec![selector]))
        .receives(cgroup_created(CONTAINER, path))
        .at_second(1.0)
        .happens(exec_event(first.clone(), "/init one"))
        .at_second(10.0)
        .happens(ended(&first, code(1)))
        .happens(populated(false))
        .at_second(10.3)
        .happens(populated(true))
        .happens(exec_event(next.clone(), "/init two"))
        .at_second(10.5)
        .happens(ended(&next, code(2)))
        .happens(populated(false))
        .finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [(400, Outcome::Crashed), (401, Outcome::Crashed)]
    );
}

/// A number that was used again: the next main process of a service has the pid of the last one, within the tail.
#[test]
fn the_next_main_process_has_the_same_number() {
    let next = unit(400, 10.3);
    let (_, reports) = runs()
        .at_second(10.0)
        .happens(ended(&main(), code(1)))
        .happens(populated(false))
        .at_second(10.3)
        .happens(populated(true))
        .happens(EventKind::Attach(next.clone()))
        .happens(exec_event(next.clone(), "/app --serve"))
        .at_second(100.0)
        .happens(ended(&next, code(2)))
        .happens(populated(false))
        .finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [(400, Outcome::Crashed), (400, Outcome::Crashed)]
    );
}

/// A daemon of a forking service that is found late, after SIGTERM had come.
#[test]
fn a_forking_service_of_an_agent_that_starts_in_the_stop() {
    let daemon = unit(401, 1.04);
    let (_, reports) = Scene::service()
        .at_second(50.0)
        .receives(Input::Tracked {
            container: CONTAINER,
            since: seconds(50.0),
        })
        .receives(found(&[found_running(&daemon, "/app --serve")]))
        .at_second(51.0)
        .happens(sent(&systemd(), &daemon, 9, FATAL))
        .happens(ended(&daemon, by(9)))
        .happens(populated(false))
        .finish();
    assert_eq!(mains_and_outcomes(&reports).len(), 1);
    assert!(doubts(&reports[0]).contains(&Doubt::SeenLate));
}

/// The exec of the next main process is seen before the exit's record of the last one is read (two processors' rings).
#[test]
fn the_next_exec_is_read_before_the_last_exit() {
    let next = unit(401, 10.3);
    let at = |second: f64, kind| super::super::scene::event_input(seconds(second), kind);
    let (_, reports) = runs()
        .at_second(10.301)
        .receives(at(10.301, exec_event(next.clone(), "/app --serve")))
        .receives(at(10.2, ended(&main(), code(1))))
        .receives(at(10.21, populated(false)))
        .receives(at(10.3, populated(true)))
        .at_second(100.0)
        .happens(ended(&next, code(2)))
        .happens(populated(false))
        .finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [(400, Outcome::Crashed), (401, Outcome::Crashed)]
    );
}

/// The same within the tail.
#[test]
fn the_next_exec_is_read_before_the_last_exit_and_crashes_at_once() {
    let next = unit(401, 10.3);
    let at = |second: f64, kind| super::super::scene::event_input(seconds(second), kind);
    let (_, reports) = runs()
        .at_second(10.301)
        .receives(at(10.301, exec_event(next.clone(), "/app --serve")))
        .receives(at(10.2, ended(&main(), code(1))))
        .at_second(10.6)
        .happens(ended(&next, code(2)))
        .happens(populated(false))
        .finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [(400, Outcome::Crashed), (401, Outcome::Crashed)]
    );
}

/// A loss in the middle of a crash loop: no exit of the last one was seen, its successor is found and crashes at once.
#[test]
fn a_successor_that_was_found_after_a_loss_and_crashes_at_once() {
    let next = unit(401, 10.3);
    let (_, reports) = runs()
        .at_second(11.0)
        .receives(lost(9.9, 11.0))
        .receives(found(&[found_running(&next, "/app --serve")]))
        .at_second(11.4)
        .happens(ended(&next, code(2)))
        .happens(populated(false))
        .finish();
    let told = mains_and_outcomes(&reports);
    assert!(told.contains(&(401, Outcome::Crashed)), "{told:?}");
}

/// A loss while a forking service is begun: only its daemon is found.
#[test]
fn a_daemon_that_is_found_after_a_loss() {
    let daemon = unit(401, 1.04);
    let (_, reports) = Scene::service()
        .at_second(1.5)
        .receives(lost(0.5, 1.5))
        .receives(found(&[found_running(&daemon, "/app --serve")]))
        .at_second(100.0)
        .happens(sent(&systemd(), &daemon, TERM, HANDLED))
        .at_second(101.0)
        .happens(ended(&daemon, code(0)))
        .happens(populated(false))
        .finish();
    assert_eq!(mains_and_outcomes(&reports), [(401, Outcome::Graceful)]);
}
