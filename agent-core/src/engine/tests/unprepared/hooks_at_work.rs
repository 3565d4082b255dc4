//! Hooks that end the program, overrun, or run out of memory.

use super::super::scene::{BY_KERNEL, HANDLED, Scene, Who, doubts, kinds};
use super::TERM;
use crate::event::EventKind;
use crate::report::{FindingKind, Outcome};
use std::time::Duration;

/// A hook that ends the program: it exits early, and nobody else stopped it.
#[test]
fn a_hook_that_ends_the_program() {
    let report = Scene::with(30, Some("kill 1"))
        .running()
        .at(10.0)
        .execs(Who::Hook, "kill 1")
        .sends(Who::Hook, Who::Main, TERM, HANDLED)
        .at(10.5)
        .exits(Who::Main, 0)
        .dies(Who::Hook, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::ExitedEarly);
    assert!(!kinds(&report).contains(&FindingKind::StoppedFromInside));
}

#[test]
fn a_hook_that_overruns() {
    let report = Scene::with(5, Some("flush"))
        .running()
        .at(10.0)
        .execs(Who::Hook, "flush")
        .at(15.01)
        .stop(HANDLED)
        .at(17.03)
        .kill()
        .dies(Who::Main, 9)
        .dies(Who::Hook, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert!(kinds(&report).contains(&FindingKind::HookOverran));
    assert_eq!(doubts(&report), []);
}

/// The hook fails, and the stop goes on at once.
#[test]
fn a_hook_that_fails() {
    let report = Scene::with(5, Some("flush"))
        .running()
        .at(10.0)
        .execs(Who::Hook, "flush")
        .at(11.2)
        .exits(Who::Hook, 3)
        .at(11.25)
        .stop(HANDLED)
        .at(12.0)
        .exits(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(kinds(&report), [FindingKind::HookFailed]);
    assert_eq!(report.hook_duration(), Some(Duration::from_millis(1200)));
}

/// A probe's process runs when the container is stopped, and is no hook.
#[test]
fn a_probe_during_the_stop() {
    let report = Scene::with(5, Some("flush"))
        .running()
        .at(10.0)
        .execs(Who::Hook, "flush")
        .at(10.1)
        .execs(Who::Probe, "check")
        .at(10.2)
        .exits(Who::Hook, 0)
        .at(10.25)
        .stop(HANDLED)
        .at(10.3)
        .exits(Who::Probe, 1)
        .at(12.0)
        .exits(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(kinds(&report), []);
    assert_eq!(doubts(&report), []);
}

/// The OOM killer ends the hook, and the program is stopped in order.
#[test]
fn a_hook_that_is_out_of_memory() {
    let report = Scene::with(5, Some("flush"))
        .running()
        .at(10.0)
        .execs(Who::Hook, "flush")
        .at(10.1)
        .sends(Who::Hook, Who::Hook, 9, BY_KERNEL)
        .happens(EventKind::OomVictim {
            pid: Who::Hook.process().tgid.0,
            comm: Some("flush".to_owned()),
        })
        .dies(Who::Hook, 9)
        .at(10.15)
        .stop(HANDLED)
        .at(12.0)
        .exits(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert!(kinds(&report).contains(&FindingKind::HookFailed));
}
