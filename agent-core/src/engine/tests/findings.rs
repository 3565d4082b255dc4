//! The diagnoses and their words.

use std::collections::BTreeSet;

use super::hooks::missing;
use super::scene::{BY_KERNEL, FATAL, HANDLED, IGNORED, Scene, Who, finding_kinds};
use super::{arrivals, directions};
use crate::event::EventKind;
use crate::report::{FindingKind, Report};

pub(super) fn evidence(report: &Report, kind: FindingKind) -> &str {
    let finding = report.findings.iter().find(|one| one.kind == kind);
    &finding.expect("the finding is there").evidence
}

fn ignored() -> Report {
    Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(100.0)
        .stop(IGNORED)
        .at_second(103.008)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report()
}

fn too_slow() -> Report {
    Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(100.0)
        .stop(HANDLED)
        .at_second(103.008)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report()
}

fn before_handler() -> Report {
    Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(1.25)
        .stop(IGNORED)
        .at_second(4.26)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report()
}

fn overran() -> Report {
    Scene::with_grace_and_hook(4, Some("sleep 20"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "sleep 20")
        .at_second(13.9)
        .stop(HANDLED)
        .at_second(14.0)
        .exits_with_code(Who::Main, 0)
        .dies_by_signal(Who::Hook, 9)
        .removed()
        .report()
}

fn hook_failed() -> Report {
    Scene::with_grace_and_hook(4, Some("/stop.sh"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "/bin/sh /stop.sh")
        .at_second(10.02)
        .exits_with_code(Who::Hook, 127)
        .at_second(10.1)
        .stop(HANDLED)
        .at_second(10.2)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report()
}

fn force_killed() -> Report {
    Scene::container()
        .running()
        .at_second(10.0)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report()
}

fn oom_report() -> Report {
    Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Main, Who::Main, 9, BY_KERNEL)
        .happens(EventKind::OomVictim {
            pid: 100,
            comm: None,
        })
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report()
}

fn stuck_report() -> Report {
    Scene::container()
        .running()
        .at_second(10.0)
        .kill_by_runtime()
        .at_second(32.5)
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report()
}

fn by_other() -> Report {
    Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Child, Who::Main, 9, FATAL)
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report()
}

#[test]
fn each_finding_names_its_facts() {
    assert_eq!(
        evidence(&ignored(), FindingKind::SignalIgnored),
        "The kernel threw SIGTERM away, because `app` is PID 1 and has no handler for it, and SIGKILL came 3.008 s later."
    );
    assert_eq!(
        evidence(&too_slow(), FindingKind::TooSlow),
        "`app` got SIGTERM and has a handler for it, but did not exit, and SIGKILL came 3.008 s later."
    );
    assert_eq!(
        evidence(&before_handler(), FindingKind::SignalBeforeHandler),
        "SIGTERM came 250.0 ms after the start of `app`, which had no handler for it; whether it would have installed one later cannot be told."
    );
    assert_eq!(
        evidence(&overran(), FindingKind::HookOverran),
        "The preStop hook was still running when SIGTERM came, 3.900 s after its start; of the grace period of 4.000 s, 2.000 s were left for the exit."
    );
    assert_eq!(
        evidence(&hook_failed(), FindingKind::HookFailed),
        "The preStop hook `/bin/sh /stop.sh` exited with status 127 after 20.0 ms."
    );
    assert_eq!(
        evidence(&missing(), FindingKind::HookMissing),
        "The preStop hook `/no/such` could not be executed: the runtime's process entered the container for it and ended without running a program."
    );
    assert_eq!(
        evidence(&force_killed(), FindingKind::KilledWithoutStopSignal),
        "`runc` (pid 900, child of `shim`) sent SIGKILL to `app`, and no stop signal came before."
    );
    assert_eq!(
        evidence(&stuck_report(), FindingKind::StuckAfterKill),
        "The main process exited only 22.500 s after SIGKILL."
    );
    assert_eq!(
        evidence(&by_other(), FindingKind::KilledByOther),
        "`worker` (pid 300), a process of the same container, sent SIGKILL."
    );
}

#[test]
fn every_diagnosis_has_a_scenario() {
    let all = [
        ignored(),
        too_slow(),
        before_handler(),
        overran(),
        hook_failed(),
        missing(),
        force_killed(),
        oom_report(),
        stuck_report(),
        by_other(),
        arrivals::race_report(),
        arrivals::reset_report(),
        directions::closed_idle(),
    ];
    let all: Vec<Report> = all
        .into_iter()
        .chain(super::kinds_of_faults::diagnoses())
        .chain(super::exits::diagnoses())
        .collect();
    let seen: BTreeSet<FindingKind> = all.iter().flat_map(finding_kinds).collect();
    assert_eq!(seen, BTreeSet::from(FindingKind::ALL));
    for finding in all.iter().flat_map(|report| &report.findings) {
        assert!(finding.evidence.ends_with('.') && finding.advice.ends_with('.'));
    }
}

#[test]
fn a_signal_long_after_the_start_is_not_called_too_early() {
    assert_eq!(finding_kinds(&ignored()), [FindingKind::SignalIgnored]);
}

#[test]
fn a_hook_that_the_container_took_with_it_did_not_fail() {
    assert_eq!(finding_kinds(&overran()), [FindingKind::HookOverran]);
}

#[test]
fn a_process_that_sigkill_does_not_end_is_told_of_while_it_hangs() {
    let scene = Scene::container()
        .running()
        .at_second(10.0)
        .kill_by_runtime()
        .at_second(21.0);
    let progress = scene.said.iter().rev().find_map(|output| match output {
        crate::output::Output::Progress(report) => Some(finding_kinds(report)),
        _ => None,
    });
    assert_eq!(progress, Some(vec![FindingKind::StuckAfterKill]));
}
