//! Hooks that end the program, overrun, or run out of memory.

use super::super::scene::{BY_KERNEL, HANDLED, Scene, Who, doubts, finding_kinds};
use super::TERM;
use crate::event::EventKind;
use crate::report::{FindingKind, Outcome};
use std::time::Duration;

/// A hook that ends the program: it exits early, and nobody else stopped it.
#[test]
fn a_hook_that_ends_the_program() {
    let report = Scene::with_grace_and_hook(30, Some("kill 1"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "kill 1")
        .sends_signal(Who::Hook, Who::Main, TERM, HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .dies_by_signal(Who::Hook, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::ExitedEarly);
    assert!(!finding_kinds(&report).contains(&FindingKind::StoppedFromInside));
}

#[test]
fn a_hook_that_overruns() {
    let report = Scene::with_grace_and_hook(5, Some("flush"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "flush")
        .at_second(15.01)
        .stop(HANDLED)
        .at_second(17.03)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .dies_by_signal(Who::Hook, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert!(finding_kinds(&report).contains(&FindingKind::HookOverran));
    assert_eq!(doubts(&report), []);
}

/// The hook fails, and the stop goes on at once.
#[test]
fn a_hook_that_fails() {
    let report = Scene::with_grace_and_hook(5, Some("flush"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "flush")
        .at_second(11.2)
        .exits_with_code(Who::Hook, 3)
        .at_second(11.25)
        .stop(HANDLED)
        .at_second(12.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), [FindingKind::HookFailed]);
    assert_eq!(report.hook_duration(), Some(Duration::from_millis(1200)));
}

/// A probe's process runs when the container is stopped, and is no hook.
#[test]
fn a_probe_during_the_stop() {
    let report = Scene::with_grace_and_hook(5, Some("flush"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "flush")
        .at_second(10.1)
        .execs_command(Who::Probe, "check")
        .at_second(10.2)
        .exits_with_code(Who::Hook, 0)
        .at_second(10.25)
        .stop(HANDLED)
        .at_second(10.3)
        .exits_with_code(Who::Probe, 1)
        .at_second(12.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), []);
    assert_eq!(doubts(&report), []);
}

/// The OOM killer ends the hook, and the program is stopped in order.
#[test]
fn a_hook_that_is_out_of_memory() {
    let report = Scene::with_grace_and_hook(5, Some("flush"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "flush")
        .at_second(10.1)
        .sends_signal(Who::Hook, Who::Hook, 9, BY_KERNEL)
        .happens(EventKind::OomVictim {
            pid: Who::Hook.process().tgid.0,
            comm: Some("flush".to_owned()),
        })
        .dies_by_signal(Who::Hook, 9)
        .at_second(10.15)
        .stop(HANDLED)
        .at_second(12.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert!(finding_kinds(&report).contains(&FindingKind::HookFailed));
}
