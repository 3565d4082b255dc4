//! What is left when the main process is gone.

use super::super::scene::{FATAL, HANDLED, Who, exec_event, finding_kinds};
use super::{
    QUIT, TERM, by, code, ended, found, found_running, is_certain, main, mains_and_outcomes,
    populated, runs, sent, stops, systemd, unit,
};
use crate::event::{Process, Tgid};
use crate::remaining::{Remaining, Task, TaskState};
use crate::report::{FindingKind, Outcome};

fn task(process: &Process) -> Task {
    Task {
        tgid: process.tgid,
        tid: process.tgid.0,
        comm: process.comm.clone(),
        state: TaskState::Alive,
        parent_tgid: Tgid(1),
        parent_comm: "systemd".to_owned(),
        exiting: false,
        frozen: false,
        waits_in: String::new(),
    }
}

/// KillMode=process: what is left is named, and the next main process is a termination of its own.
#[test]
fn what_kill_mode_process_leaves() {
    let left = unit(401, 5.0);
    let next = unit(402, 30.0);
    let (_, reports) = stops(
        runs()
            .leaves(Remaining {
                others: vec![task(&left)],
                ..Remaining::default()
            })
            .at_second(10.0),
        HANDLED,
    )
    .at_second(10.5)
    .happens(ended(&main(), code(0)))
    .at_second(30.0)
    .happens(exec_event(next.clone(), "/app --serve"))
    .at_second(40.0)
    .happens(sent(&systemd(), &next, TERM, HANDLED))
    .at_second(40.5)
    .happens(ended(&next, code(0)))
    .at_second(60.0)
    .finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [(400, Outcome::Graceful), (402, Outcome::Graceful)]
    );
    assert_eq!(finding_kinds(&reports[0]), [FindingKind::ProcessesLeft]);
}

/// A forking service's main process is stopped later, and its children go with it.
#[test]
fn a_daemon_of_which_children_are_left() {
    let daemon = unit(401, 1.04);
    let (_, reports) = runs()
        .at_second(1.05)
        .happens(ended(&main(), code(0)))
        .receives(found(&[found_running(&daemon, "/app --serve")]))
        .at_second(100.0)
        .happens(sent(&systemd(), &daemon, TERM, FATAL))
        .happens(ended(&daemon, by(TERM)))
        .happens(populated(false))
        .finish();
    assert_eq!(mains_and_outcomes(&reports), [(401, Outcome::Graceful)]);
    assert!(is_certain(&reports[0]));
}

/// The daemon crashes later, and systemd starts it again as before: the first process again, and the daemon.
#[test]
fn a_forking_service_that_is_restarted() {
    let daemon = unit(401, 1.04);
    let again = unit(402, 50.2);
    let daemon_again = unit(403, 50.24);
    let (_, reports) = runs()
        .at_second(1.05)
        .happens(ended(&main(), code(0)))
        .receives(found(&[found_running(&daemon, "/app --serve")]))
        .at_second(50.0)
        .happens(ended(&daemon, code(1)))
        .happens(populated(false))
        .at_second(50.2)
        .happens(populated(true))
        .happens(exec_event(again.clone(), "/app --serve"))
        .at_second(50.25)
        .happens(ended(&again, code(0)))
        .receives(found(&[found_running(&daemon_again, "/app --serve")]))
        .at_second(100.0)
        .happens(sent(&systemd(), &daemon_again, TERM, HANDLED))
        .at_second(101.0)
        .happens(ended(&daemon_again, code(0)))
        .happens(populated(false))
        .finish();
    assert_eq!(
        mains_and_outcomes(&reports),
        [(401, Outcome::Crashed), (403, Outcome::Graceful)]
    );
    assert!(reports.iter().all(is_certain), "{reports:#?}");
}

/// A stop of nginx's old master after an upgrade in flight: the new one is the service, and is stopped later.
#[test]
fn an_upgrade_in_flight() {
    let new = Process {
        parent_outside: true,
        ..unit(401, 50.0)
    };
    let (_, reports) = runs()
        .at_second(60.0)
        .sends_from(&Who::Stranger.process(), &main(), QUIT, HANDLED)
        .at_second(61.0)
        .happens(ended(&main(), code(0)))
        .receives(found(&[found_running(&new, "/app --serve")]))
        .at_second(500.0)
        .happens(sent(&systemd(), &new, TERM, HANDLED))
        .at_second(500.5)
        .happens(ended(&new, code(0)))
        .happens(populated(false))
        .finish();
    let told = mains_and_outcomes(&reports);
    assert!(told.contains(&(401, Outcome::Graceful)), "{told:?}");
}

/// An orderly end by itself with a process that is left and lives on for long: the container goes on.
#[test]
fn a_helper_that_outlives_an_orderly_end() {
    let helper = unit(401, 5.0);
    let (_, reports) = runs()
        .at_second(10.0)
        .happens(ended(&main(), code(0)))
        .receives(found(&[found_running(&helper, "/helper")]))
        .at_second(12.0)
        .happens(ended(&helper, code(0)))
        .happens(populated(false))
        .receives(found(&[]))
        .finish();
    assert_eq!(reports.len(), 1, "{:?}", mains_and_outcomes(&reports));
}
