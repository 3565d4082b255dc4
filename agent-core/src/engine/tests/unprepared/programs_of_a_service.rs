//! The programs that systemd runs for a service, one after the other or beside each other.

use super::super::scene::{HANDLED, Scene, exec_event};
use super::{
    TERM, code, ended, found, found_running, is_certain, main, mains_and_outcomes, populated, runs,
    sent, stops, systemd, unit,
};
use crate::report::{Outcome, Report};
use std::time::Duration;

/// `ExecStartPre=` succeeds, and `ExecStart=` fails at once.
#[test]
fn a_program_that_crashes_right_after_its_start_pre() {
    let pre = unit(400, 1.0);
    let start = unit(401, 1.06);
    let (_, reports) = Scene::service()
        .at_second(1.0)
        .happens(populated(true))
        .happens(exec_event(pre.clone(), "/app -t"))
        .at_second(1.05)
        .happens(ended(&pre, code(0)))
        .happens(populated(false))
        .receives(found(&[]))
        .at_second(1.06)
        .happens(populated(true))
        .happens(exec_event(start.clone(), "/app -g"))
        .at_second(1.3)
        .happens(ended(&start, code(1)))
        .happens(populated(false))
        .finish();
    assert!(
        reports
            .iter()
            .any(|report| report.outcome == Outcome::Crashed || !is_certain(report)),
        "{:?}",
        mains_and_outcomes(&reports)
    );
}

/// The same, and the service is stopped within the second.
#[test]
fn a_program_that_is_stopped_right_after_its_start_pre() {
    let pre = unit(400, 1.0);
    let start = unit(401, 1.06);
    let (_, reports) = Scene::service()
        .at_second(1.0)
        .happens(exec_event(pre.clone(), "/app -t"))
        .at_second(1.05)
        .happens(ended(&pre, code(0)))
        .receives(found(&[]))
        .at_second(1.06)
        .happens(exec_event(start.clone(), "/app -g"))
        .at_second(1.3)
        .happens(sent(&systemd(), &start, TERM, HANDLED))
        .at_second(1.4)
        .happens(ended(&start, code(0)))
        .happens(populated(false))
        .finish();
    assert!(
        reports
            .iter()
            .any(|report| report.outcome == Outcome::Graceful || !is_certain(report)),
        "{:?}",
        mains_and_outcomes(&reports)
    );
}

/// Type=forking: the daemon crashes soon after its parent went with status 0.
#[test]
fn a_daemon_that_crashes_right_after_it_forked() {
    let daemon = unit(401, 1.04);
    let (_, reports) = runs()
        .at_second(1.05)
        .happens(ended(&main(), code(0)))
        .receives(found(&[found_running(&daemon, "/app --serve")]))
        .at_second(1.5)
        .happens(ended(&daemon, code(1)))
        .happens(populated(false))
        .finish();
    assert!(
        reports
            .iter()
            .any(|report| report.outcome == Outcome::Crashed || !is_certain(report)),
        "{:?}",
        mains_and_outcomes(&reports)
    );
}

#[test]
fn a_daemon_that_is_stopped_right_after_it_forked() {
    let daemon = unit(401, 1.04);
    let (_, reports) = runs()
        .at_second(1.05)
        .happens(ended(&main(), code(0)))
        .receives(found(&[found_running(&daemon, "/app --serve")]))
        .at_second(1.3)
        .happens(sent(&systemd(), &daemon, TERM, HANDLED))
        .at_second(1.5)
        .happens(ended(&daemon, code(0)))
        .happens(populated(false))
        .finish();
    assert!(
        reports
            .iter()
            .any(|report| report.outcome == Outcome::Graceful || !is_certain(report)),
        "{:?}",
        mains_and_outcomes(&reports)
    );
}

/// The daemon gets SIGTERM within the second, and drains for longer.
#[test]
fn a_daemon_that_is_told_to_stop_right_after_it_forked_and_drains() {
    let daemon = unit(401, 1.04);
    let (_, reports) = runs()
        .at_second(1.05)
        .happens(ended(&main(), code(0)))
        .receives(found(&[found_running(&daemon, "/app --serve")]))
        .at_second(1.3)
        .happens(sent(&systemd(), &daemon, TERM, HANDLED))
        .at_second(6.3)
        .happens(ended(&daemon, code(0)))
        .happens(populated(false))
        .finish();
    assert_eq!(mains_and_outcomes(&reports), [(401, Outcome::Graceful)]);
    assert_eq!(
        reports[0].stop_signal_to_exit(),
        Some(Duration::from_secs(5))
    );
}

/// A one-shot service completes, and `ExecStopPost=` takes long and fails.
#[test]
fn what_cleans_up_for_long_after_an_orderly_end_is_not_the_service() {
    let post = unit(401, 600.01);
    let (_, reports) = runs()
        .at_second(600.0)
        .happens(ended(&main(), code(0)))
        .happens(populated(false))
        .receives(found(&[]))
        .at_second(600.01)
        .happens(populated(true))
        .happens(exec_event(post.clone(), "/usr/bin/curl http://ping"))
        .at_second(603.0)
        .happens(ended(&post, code(7)))
        .happens(populated(false))
        .finish();
    let wrong = |report: &Report| report.main.as_ref().unwrap().tgid.0 == 401 && is_certain(report);
    assert!(
        !reports.iter().any(wrong),
        "{:?}",
        mains_and_outcomes(&reports)
    );
}

/// A service is stopped, and `ExecStopPost=` takes three seconds.
#[test]
fn what_cleans_up_for_long_after_a_stop_is_no_termination() {
    let post = unit(401, 10.21);
    let (_, reports) = stops(runs().at_second(10.0), HANDLED)
        .at_second(10.2)
        .happens(ended(&main(), code(0)))
        .happens(populated(false))
        .at_second(10.21)
        .happens(populated(true))
        .happens(exec_event(post.clone(), "/usr/bin/cleanup"))
        .at_second(13.2)
        .happens(ended(&post, code(0)))
        .happens(populated(false))
        .finish();
    let wrong = |report: &Report| report.main.as_ref().unwrap().tgid.0 == 401 && is_certain(report);
    assert!(
        !reports.iter().any(wrong),
        "{:?}",
        mains_and_outcomes(&reports)
    );
}

#[test]
fn two_programs_of_a_oneshot_one_after_the_other() {
    let second = unit(401, 5.01);
    let (_, reports) = runs()
        .at_second(5.0)
        .happens(ended(&main(), code(0)))
        .happens(populated(false))
        .receives(found(&[]))
        .at_second(5.01)
        .happens(populated(true))
        .happens(exec_event(second.clone(), "/second"))
        .at_second(9.0)
        .happens(ended(&second, code(0)))
        .happens(populated(false))
        .receives(found(&[]))
        .finish();
    assert_eq!(mains_and_outcomes(&reports), [(401, Outcome::Completed)]);
}

#[test]
fn what_runs_beside_the_start_is_not_the_service() {
    let post = unit(401, 1.1);
    let report = stops(
        runs()
            .at_second(1.1)
            .happens(exec_event(post.clone(), "/post"))
            .at_second(1.2)
            .happens(ended(&post, code(1)))
            .at_second(10.0),
        HANDLED,
    )
    .at_second(10.5)
    .happens(ended(&main(), code(0)))
    .happens(populated(false))
    .report();
    assert_eq!(
        mains_and_outcomes(std::slice::from_ref(&report)),
        [(400, Outcome::Graceful)]
    );
    assert!(is_certain(&report));
}

/// The oneshot's two programs, of which the first one fails: the second is not begun.
#[test]
fn a_start_pre_that_fails() {
    let post = unit(401, 1.31);
    let (_, reports) = runs()
        .at_second(1.3)
        .happens(ended(&main(), code(1)))
        .happens(populated(false))
        .at_second(1.31)
        .happens(populated(true))
        .happens(exec_event(post.clone(), "/bin/rm -f pid"))
        .at_second(1.35)
        .happens(ended(&post, code(0)))
        .happens(populated(false))
        .finish();
    assert_eq!(mains_and_outcomes(&reports), [(400, Outcome::Crashed)]);
    assert!(is_certain(&reports[0]));
}

/// An orderly end, and a cleanup that succeeds at once.
#[test]
fn an_orderly_end_and_a_short_cleanup() {
    let post = unit(401, 100.01);
    let (_, reports) = runs()
        .at_second(100.0)
        .happens(ended(&main(), code(0)))
        .happens(populated(false))
        .receives(found(&[]))
        .at_second(100.01)
        .happens(populated(true))
        .happens(exec_event(post.clone(), "/bin/rm -f pid"))
        .at_second(100.05)
        .happens(ended(&post, code(0)))
        .happens(populated(false))
        .finish();
    assert_eq!(mains_and_outcomes(&reports), [(400, Outcome::Completed)]);
}

/// The main process of a forking service leaves two daemons; the older one is stopped first.
#[test]
fn a_service_with_two_daemons() {
    let (one, two) = (unit(401, 1.02), unit(402, 1.03));
    let (_, reports) = runs()
        .at_second(1.05)
        .happens(ended(&main(), code(0)))
        .receives(found(&[
            found_running(&one, "/one"),
            found_running(&two, "/two"),
        ]))
        .at_second(100.0)
        .happens(sent(&systemd(), &two, TERM, HANDLED))
        .happens(sent(&systemd(), &one, TERM, HANDLED))
        .at_second(101.0)
        .happens(ended(&one, code(0)))
        .at_second(101.2)
        .happens(ended(&two, code(0)))
        .happens(populated(false))
        .finish();
    assert_eq!(reports.len(), 1, "{:?}", mains_and_outcomes(&reports));
    assert_eq!(reports[0].outcome, Outcome::Graceful);
}

/// The process between the first one and the daemon is found, too, and goes with a status of its own.
#[test]
fn a_daemon_that_forked_twice() {
    let (between, daemon) = (unit(401, 1.02), unit(402, 1.03));
    let (_, reports) = runs()
        .at_second(1.05)
        .happens(ended(&main(), code(0)))
        .receives(found(&[
            found_running(&between, "/app"),
            found_running(&daemon, "/app"),
        ]))
        .at_second(1.06)
        .happens(ended(&between, code(3)))
        .at_second(100.0)
        .happens(sent(&systemd(), &daemon, TERM, HANDLED))
        .at_second(101.0)
        .happens(ended(&daemon, code(0)))
        .happens(populated(false))
        .finish();
    assert_eq!(mains_and_outcomes(&reports), [(402, Outcome::Graceful)]);
}

/// An exec'd shell ends with a status of its own after the main process of a service went with status 0.
#[test]
fn a_visitor_that_outlives_an_orderly_end() {
    let shell = unit(401, 5.0);
    let (_, reports) = runs()
        .at_second(5.0)
        .happens(exec_event(shell.clone(), "/bin/bash"))
        .at_second(10.0)
        .happens(ended(&main(), code(0)))
        .receives(found(&[found_running(&shell, "/bin/bash")]))
        .at_second(10.4)
        .happens(ended(&shell, code(3)))
        .happens(populated(false))
        .finish();
    assert_eq!(mains_and_outcomes(&reports), [(400, Outcome::Completed)]);
}
