//! What `ExecStop=` and `ExecReload=` do to the main process.

use super::super::scene::{FATAL, HANDLED, doubts, exec_event, finding_kinds, stop_number};
use super::{
    HUP, QUIT, TERM, by, code, ended, forked, found, main, populated, runs, runs_in, sent, service,
    stops, systemd, unit,
};
use crate::event::Process;
use crate::report::{KillCause, Outcome, Trigger};
use std::time::Duration;

fn control() -> Process {
    Process {
        comm: "kill".to_owned(),
        ..unit(500, 10.0)
    }
}

/// `ExecStop=/bin/kill -TERM $MAINPID`: systemd's own wish.
#[test]
fn a_control_process_that_stops_the_service_is_no_finding() {
    let report = runs()
        .at_second(10.0)
        .happens(exec_event(control(), "/bin/kill -TERM 400"))
        .happens(sent(&control(), &main(), TERM, HANDLED))
        .happens(ended(&control(), code(0)))
        .at_second(11.0)
        .happens(ended(&main(), code(0)))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&report), []);
    assert_eq!(doubts(&report), []);
}

/// `ExecStop=/etc/init.d/app stop`: a shell whose child, start-stop-daemon, sends the signal.
#[test]
fn a_child_of_a_control_process_stops_the_service() {
    let shell = Process {
        comm: "app".to_owned(),
        ..unit(500, 10.0)
    };
    let child = Process {
        comm: "start-stop-daem".to_owned(),
        ..forked(501, 10.01, 500)
    };
    let report = runs()
        .at_second(10.0)
        .happens(exec_event(shell.clone(), "/bin/sh /etc/init.d/app stop"))
        .at_second(10.02)
        .happens(sent(&child, &main(), TERM, HANDLED))
        .at_second(11.0)
        .happens(ended(&main(), code(0)))
        .at_second(11.1)
        .happens(ended(&shell, code(0)))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&report), []);
    assert_eq!(doubts(&report), []);
}

/// Debian's nginx: `start-stop-daemon --stop --retry QUIT/5`.
#[test]
fn a_control_process_sends_sigquit() {
    let control = Process {
        comm: "start-stop-daem".to_owned(),
        ..control()
    };
    let report = runs()
        .at_second(10.0)
        .happens(exec_event(
            control.clone(),
            "/sbin/start-stop-daemon --retry QUIT/5",
        ))
        .happens(sent(&control, &main(), QUIT, HANDLED))
        .at_second(12.0)
        .happens(ended(&main(), code(0)))
        .happens(ended(&control, code(0)))
        .happens(populated(false))
        .receives(found(&[]))
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.trigger, Trigger::Stopped);
    assert_eq!(doubts(&report), []);
}

/// `ExecStop=/bin/kill -9 $MAINPID`.
#[test]
fn a_control_process_sends_sigkill() {
    let report = runs()
        .at_second(10.0)
        .happens(exec_event(control(), "/bin/kill -9 400"))
        .happens(sent(&control(), &main(), 9, FATAL))
        .happens(ended(&main(), by(9)))
        .happens(ended(&control(), code(0)))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::ForceKilled);
    assert_eq!(report.trigger, Trigger::Stopped);
}

/// `ExecStop=` sends SIGTERM and waits five seconds; then systemd sends SIGTERM, too.
#[test]
fn the_stop_begins_with_the_control_process() {
    let report = stops(
        runs()
            .at_second(10.0)
            .happens(exec_event(control(), "/bin/stop-and-wait"))
            .happens(sent(&control(), &main(), TERM, HANDLED))
            .at_second(15.0)
            .happens(ended(&control(), code(0))),
        HANDLED,
    )
    .at_second(16.0)
    .happens(ended(&main(), code(0)))
    .happens(populated(false))
    .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.stop_signal_to_exit(), Some(Duration::from_secs(6)));
}

/// The same, and systemd's SIGKILL comes 90 s after its own SIGTERM.
#[test]
fn sigkill_counts_from_systemds_own_signal() {
    let report = stops(
        runs_in(service(Some(90), None))
            .at_second(10.0)
            .happens(exec_event(control(), "/bin/kill -TERM 400"))
            .happens(sent(&control(), &main(), TERM, HANDLED))
            .at_second(10.1)
            .happens(ended(&control(), code(0))),
        HANDLED,
    )
    .at_second(100.2)
    .happens(sent(&systemd(), &main(), 9, FATAL))
    .happens(ended(&main(), by(9)))
    .happens(populated(false))
    .report();
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
    assert_eq!(doubts(&report), []);
}

/// `ExecReload=/bin/kill -HUP $MAINPID`, and the program crashes a moment later.
#[test]
fn a_reload_before_a_crash_is_no_stop() {
    let report = runs()
        .at_second(10.0)
        .happens(exec_event(control(), "/bin/kill -HUP 400"))
        .happens(sent(&control(), &main(), HUP, HANDLED))
        .happens(ended(&control(), code(0)))
        .at_second(10.2)
        .happens(ended(&main(), code(1)))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::Crashed);
}

/// A reload, and a real stop later.
#[test]
fn a_reload_before_a_stop_is_no_stop() {
    let report = stops(
        runs()
            .at_second(10.0)
            .happens(exec_event(control(), "/bin/kill -HUP 400"))
            .happens(sent(&control(), &main(), HUP, HANDLED))
            .happens(ended(&control(), code(0)))
            .at_second(12.0),
        HANDLED,
    )
    .at_second(12.2)
    .happens(ended(&main(), code(0)))
    .happens(populated(false))
    .report();
    assert_eq!(stop_number(&report), Some(TERM));
    assert_eq!(
        report.stop_signal_to_exit(),
        Some(Duration::from_millis(200))
    );
    assert_eq!(doubts(&report), []);
}

/// `start-stop-daemon --retry TERM/5/KILL/1` in an init script that systemd runs as `ExecStop=`.
#[test]
fn an_init_script_kills_after_its_own_timeout() {
    let shell = unit(500, 10.0);
    let child = Process {
        comm: "start-stop-daem".to_owned(),
        ..forked(501, 10.01, 500)
    };
    let report = runs()
        .at_second(10.0)
        .happens(exec_event(shell.clone(), "/bin/sh /etc/init.d/app stop"))
        .at_second(10.02)
        .happens(sent(&child, &main(), TERM, HANDLED))
        .at_second(15.03)
        .happens(sent(&child, &main(), 9, FATAL))
        .happens(ended(&main(), by(9)))
        .at_second(15.1)
        .happens(ended(&shell, code(0)))
        .happens(populated(false))
        .report();
    assert_eq!(stop_number(&report), Some(TERM), "{:?}", report.outcome);
    assert_ne!(report.trigger, Trigger::Unknown);
}
