//! What is left when the main process is gone.

use super::super::scene::{FATAL, HANDLED, Who, exec, kinds};
use super::{
    QUIT, TERM, by, code, ended, found, is_certain, main, populated, runs, seen, sent, stops,
    systemd, told, unit,
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
            .at(10.0),
        HANDLED,
    )
    .at(10.5)
    .happens(ended(&main(), code(0)))
    .at(30.0)
    .happens(exec(next.clone(), "/app --serve"))
    .at(40.0)
    .happens(sent(&systemd(), &next, TERM, HANDLED))
    .at(40.5)
    .happens(ended(&next, code(0)))
    .at(60.0)
    .all();
    assert_eq!(
        told(&reports),
        [(400, Outcome::Graceful), (402, Outcome::Graceful)]
    );
    assert_eq!(kinds(&reports[0]), [FindingKind::ProcessesLeft]);
}

/// A forking service's main process is stopped later, and its children go with it.
#[test]
fn a_daemon_of_which_children_are_left() {
    let daemon = unit(401, 1.04);
    let (_, reports) = runs()
        .at(1.05)
        .happens(ended(&main(), code(0)))
        .tells(found(&[seen(&daemon, "/app --serve")]))
        .at(100.0)
        .happens(sent(&systemd(), &daemon, TERM, FATAL))
        .happens(ended(&daemon, by(TERM)))
        .happens(populated(false))
        .all();
    assert_eq!(told(&reports), [(401, Outcome::Graceful)]);
    assert!(is_certain(&reports[0]));
}

/// The daemon crashes later, and systemd starts it again as before: the first process again, and the daemon.
#[test]
fn a_forking_service_that_is_restarted() {
    let daemon = unit(401, 1.04);
    let again = unit(402, 50.2);
    let daemon_again = unit(403, 50.24);
    let (_, reports) = runs()
        .at(1.05)
        .happens(ended(&main(), code(0)))
        .tells(found(&[seen(&daemon, "/app --serve")]))
        .at(50.0)
        .happens(ended(&daemon, code(1)))
        .happens(populated(false))
        .at(50.2)
        .happens(populated(true))
        .happens(exec(again.clone(), "/app --serve"))
        .at(50.25)
        .happens(ended(&again, code(0)))
        .tells(found(&[seen(&daemon_again, "/app --serve")]))
        .at(100.0)
        .happens(sent(&systemd(), &daemon_again, TERM, HANDLED))
        .at(101.0)
        .happens(ended(&daemon_again, code(0)))
        .happens(populated(false))
        .all();
    assert_eq!(
        told(&reports),
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
        .at(60.0)
        .sends_from(&Who::Stranger.process(), &main(), QUIT, HANDLED)
        .at(61.0)
        .happens(ended(&main(), code(0)))
        .tells(found(&[seen(&new, "/app --serve")]))
        .at(500.0)
        .happens(sent(&systemd(), &new, TERM, HANDLED))
        .at(500.5)
        .happens(ended(&new, code(0)))
        .happens(populated(false))
        .all();
    let told = told(&reports);
    assert!(told.contains(&(401, Outcome::Graceful)), "{told:?}");
}

/// An orderly end by itself with a process that is left and lives on for long: the container goes on.
#[test]
fn a_helper_that_outlives_an_orderly_end() {
    let helper = unit(401, 5.0);
    let (_, reports) = runs()
        .at(10.0)
        .happens(ended(&main(), code(0)))
        .tells(found(&[seen(&helper, "/helper")]))
        .at(12.0)
        .happens(ended(&helper, code(0)))
        .happens(populated(false))
        .tells(found(&[]))
        .all();
    assert_eq!(reports.len(), 1, "{:?}", told(&reports));
}
