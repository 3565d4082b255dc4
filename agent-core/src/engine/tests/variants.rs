//! Variants of kinds of faults, found by stops of real programs: unusual numbers, long times in between, and processes that have
//! nothing to do with the stop.

use std::time::Duration;

use super::scene::{
    BY_KERNEL, CONTAINER, DOCKER, FATAL, HANDLED, IGNORED, QUEUED, SERVICE, Scene, Sent, Who,
    cgroup_created, config, doubts, exec_event, finding_kinds, is_unsure, stop_number,
};
use crate::config::Selector;
use crate::event::{Delivered, EventKind, Exec, Exit, ExitStatus, Handler, Process, Tgid};
use crate::remaining::{Remaining, Task, TaskState};
use crate::report::{Doubt, FindingKind, KillCause, Outcome, Trigger};
use crate::signal::Signal;
use crate::time::Timestamp;

const HUP: u32 = 1;
const ABRT: u32 = 6;
const CONT: u32 = 18;
const TSTP: u32 = 20;
const WINCH: u32 = 28;
const SYS: u32 = 31;

/// An image may name any number, also those of job control and of faults.
#[test]
fn a_signal_of_job_control_or_for_faults_can_be_the_stop_signal() {
    for number in [ABRT, CONT, TSTP, SYS] {
        let graceful = Scene::with_grace_and_hook(3, None)
            .running()
            .at_second(10.0)
            .sends_signal(Who::Runc, Who::Main, number, HANDLED)
            .at_second(11.0)
            .exits_with_code(Who::Main, 0)
            .removed()
            .report();
        assert_eq!(graceful.outcome, Outcome::Graceful, "{number}");
        assert_eq!(stop_number(&graceful), Some(number));
        let ignored = Scene::with_grace_and_hook(3, None)
            .running()
            .at_second(10.0)
            .sends_signal(Who::Runc, Who::Main, number, IGNORED)
            .at_second(13.01)
            .kill_by_runtime()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report();
        assert_eq!(ignored.outcome, Outcome::SignalIgnored, "{number}");
        assert_eq!(
            finding_kinds(&ignored),
            [FindingKind::SignalIgnored, FindingKind::WrongStopSignal]
        );
    }
}

/// systemd sends SIGCONT after each SIGTERM.
#[test]
fn beside_another_signal_they_stop_nothing() {
    let report = Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .sends_signal(Who::Runc, Who::Main, CONT, HANDLED)
        .at_second(13.01)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(stop_number(&report), Some(15));
    assert!(!is_unsure(&report));
}

/// A program that prints its stack at SIGABRT raises it again, or exits with a status of its own.
#[test]
fn an_end_after_a_handled_signal_for_faults_is_no_certain_crash() {
    let aborted = || {
        Scene::container()
            .running()
            .at_second(10.0)
            .sends_signal(Who::Runc, Who::Main, ABRT, HANDLED)
            .delivers(ABRT, Handler::Custom)
            .at_second(10.1)
    };
    let raised = aborted().dies_by_signal(Who::Main, ABRT).removed().report();
    assert_eq!(raised.outcome, Outcome::KilledByOther);
    assert!(is_unsure(&raised));
    let later = aborted()
        .at_second(40.0)
        .dies_by_signal(Who::Main, ABRT)
        .removed()
        .report();
    assert_eq!(later.outcome, Outcome::Crashed);
    assert!(is_unsure(&later));
    let dumped = aborted().exits_with_code(Who::Main, 2).removed().report();
    assert_eq!(dumped.outcome, Outcome::Graceful);
    assert!(is_unsure(&dumped));
    let by_status = aborted().exits_with_code(Who::Main, 134).removed().report();
    assert_eq!(by_status.outcome, Outcome::Graceful);
}

#[test]
fn a_reload_long_before_sigkill_is_no_certain_stop_signal() {
    for seconds in [3.0, 90.0] {
        let report = Scene::with_grace_and_hook(10, None)
            .running()
            .at_second(10.0)
            .sends_signal(Who::Runc, Who::Main, HUP, HANDLED)
            .at_second(10.0 + seconds)
            .kill_by_runtime()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report();
        assert!(is_unsure(&report), "{report:#?}");
    }
}

#[test]
fn what_a_person_sent_long_before_the_end_may_have_nothing_to_do_with_it() {
    let survived = || {
        Scene::with_grace_and_hook(2, None)
            .running()
            .at_second(10.0)
            .sends_signal(Who::Stranger, Who::Main, 15, HANDLED)
            .at_second(20.0)
    };
    assert!(is_unsure(
        &survived().exits_with_code(Who::Main, 1).removed().report()
    ));
    assert!(is_unsure(
        &survived()
            .kill_by_runtime()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report()
    ));
}

/// A runtime that waits for its turn on a busy node sends SIGKILL late.
#[test]
fn sigkill_after_the_grace_period_is_late_and_not_another_ones() {
    let selector = Selector {
        cgroup: SERVICE.to_owned(),
        grace: Some(Duration::from_secs(3)),
        stop_signal: None,
        pre_stop: None,
    };
    let scene = || {
        Scene::with_config(config(vec![selector.clone()]))
            .receives(cgroup_created(CONTAINER, SERVICE))
            .at_second(1.0)
            .execs_command(Who::Plain, "/app")
            .at_second(10.0)
            .sends_signal(Who::Runc, Who::Plain, 15, HANDLED)
            .at_second(14.6)
    };
    let cause = |who: Who| {
        let killed = scene().sends_signal(who, Who::Plain, 9, FATAL);
        let report = killed.dies_by_signal(Who::Plain, 9).removed().report();
        let is_doubtful = doubts(&report).contains(&Doubt::GraceUnknown);
        (report.outcome, report.kill.unwrap().cause, is_doubtful)
    };
    let late = (Outcome::GraceExceeded, KillCause::GraceExpired, true);
    assert_eq!(cause(Who::Runc), late);
    let (outcome, cause, _) = cause(Who::Stranger);
    assert_eq!((outcome, cause), (Outcome::KilledByOther, KillCause::Other));
}

fn exited(process: Process, status: ExitStatus, ns_reboot: Option<Signal>) -> EventKind {
    EventKind::Exit(Exit {
        process,
        status,
        executed: true,
        pending: None,
        ns_reboot,
    })
}

fn victim(pid: u32) -> EventKind {
    EventKind::OomVictim { pid, comm: None }
}

#[test]
fn a_child_that_the_oom_killer_chose_before_is_not_why_the_main_process_went() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .happens(victim(300))
        .at_second(12.0)
        .sends_signal(Who::Main, Who::Main, 9, BY_KERNEL)
        .dies_by_signal(Who::Main, 9)
        .happens(victim(100))
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::OomKilled);
    assert_eq!(finding_kinds(&report), [FindingKind::OomKilled]);
    assert!(
        report.findings[0]
            .evidence
            .contains("chose the main process")
    );
}

#[test]
fn of_many_victims_the_first_of_the_last_run_was_chosen() {
    let mut scene = Scene::container()
        .running()
        .at_second(10.0)
        .happens(victim(400));
    scene = scene.at_second(12.0).happens(victim(300));
    for pid in 500..540 {
        scene = scene.happens(victim(pid));
    }
    let report = scene
        .sends_signal(Who::Main, Who::Main, 9, BY_KERNEL)
        .happens(victim(100))
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert!(report.findings[1].evidence.contains("chose process 300"));
}

#[test]
fn a_hook_that_did_not_run_is_no_news_where_nobody_stopped_it() {
    let report = Scene::with_grace_and_hook(30, Some("flush"))
        .running()
        .at_second(200.0)
        .happens(victim(100))
        .sends_signal(Who::Main, Who::Main, 9, BY_KERNEL)
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), [FindingKind::OomKilled]);
}

/// A probe's `timeout -s KILL`, or a worker that ends itself.
#[test]
fn only_a_kill_of_the_programs_own_is_a_supervisors() {
    let drains = || {
        Scene::with_grace_and_hook(30, None)
            .running()
            .at_second(10.0)
            .stop(HANDLED)
    };
    let by_probe = drains()
        .at_second(11.0)
        .execs_command(Who::Probe, "timeout -s KILL 1 check")
        .at_second(12.0)
        .signals_child_of(Who::Probe, Who::Probe, 9, FATAL)
        .exits_with_code(Who::Probe, 137);
    let by_itself = drains()
        .at_second(12.0)
        .signals_child(Who::Child, 9, FATAL, Handler::Custom);
    for scene in [by_probe, by_itself] {
        let report = scene
            .at_second(13.0)
            .exits_with_code(Who::Main, 0)
            .removed()
            .report();
        assert_eq!(finding_kinds(&report), []);
    }
}

/// The next main process of a service, with another command line.
fn next() -> Process {
    Process {
        tgid: Tgid(500),
        ns_tgid: 500,
        start: Timestamp(10_200_000_000),
        ..Who::Plain.process()
    }
}

#[test]
fn a_service_that_is_stopped_and_begun_anew_leaves_nothing_behind() {
    let task = Task {
        tgid: next().tgid,
        tid: 500,
        comm: "app".to_owned(),
        state: TaskState::Alive,
        parent_tgid: Tgid(1),
        parent_comm: "systemd".to_owned(),
        exiting: false,
        frozen: false,
        waits_in: String::new(),
    };
    let (_, reports) = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .leaves(Remaining {
            others: vec![task],
            ..Remaining::default()
        })
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Plain, 15, HANDLED)
        .at_second(10.1)
        .exits_with_code(Who::Plain, 0)
        .at_second(10.2)
        .happens(exec_event(next(), "/app --new"))
        .at_second(13.0)
        .happens(exited(next(), ExitStatus::Code(3), None))
        .becomes_empty()
        .finish();
    let told: Vec<_> = reports
        .iter()
        .map(|report| (report.outcome, report.trigger, finding_kinds(report)))
        .collect();
    assert_eq!(
        told,
        [
            (Outcome::Graceful, Trigger::Stopped, vec![]),
            (Outcome::Crashed, Trigger::Crashed, vec![]),
        ]
    );
}

/// The program installs its handler between the two, as after a restart of the runtime.
#[test]
fn a_stop_signal_that_is_received_when_it_comes_again_was_not_ignored() {
    let again = || {
        Scene::with_grace_and_hook(5, None)
            .running()
            .at_second(10.0)
            .stop(IGNORED)
            .at_second(14.0)
            .stop(HANDLED)
    };
    let graceful = again()
        .at_second(15.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(graceful.outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&graceful), []);
    let slow = again()
        .at_second(19.01)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(slow.outcome, Outcome::GraceExceeded);
    assert_eq!(finding_kinds(&slow), [FindingKind::TooSlow]);
    assert!(
        slow.findings[0]
            .evidence
            .contains("SIGKILL came 5.010 s later")
    );
}

/// perl's `$0` sets the name that the kernel has.
#[test]
fn a_name_that_the_program_gives_itself_during_the_stop_names_nothing() {
    let renamed = Process {
        comm: "draining".to_owned(),
        ..Who::Main.process()
    };
    let report = Scene::with_grace_and_hook(5, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(11.0)
        .happens(exited(renamed, ExitStatus::Code(0), None))
        .removed()
        .report();
    assert_eq!(report.main.unwrap().comm, "app");
}

/// `kubectl exec … poweroff -f`.
#[test]
fn a_command_that_powers_the_namespace_off_is_named() {
    let killed = ExitStatus::Signal {
        signal: Signal::KILL,
        core_dumped: false,
    };
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .execs_command(Who::Visitor, "poweroff -f")
        .sends_signal(Who::Visitor, Who::Main, 9, BY_KERNEL)
        .happens(exited(
            Who::Main.process(),
            killed,
            Signal::try_from(2).ok(),
        ))
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::KilledByOther);
    assert_eq!(report.kill.unwrap().cause, KillCause::Inside);
    assert!(report.findings[0].evidence.contains("`bash`"));
}

#[test]
fn a_command_that_only_begins_like_the_hook_is_no_certain_hook() {
    let EventKind::Exec(exec) = exec_event(Who::Hook.process(), "flush --all") else {
        panic!("an exec");
    };
    let report = Scene::with_grace_and_hook(30, Some("flush --all --now"))
        .running()
        .at_second(100.0)
        .happens(EventKind::Exec(Exec {
            argv_cut: true,
            ..exec
        }))
        .exits_with_code(Who::Hook, 0)
        .at_second(100.1)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert!(doubts(&report).contains(&Doubt::HookUncertain));
}

/// `supervisorctl stop` is the hook.
#[test]
fn a_supervisor_that_kills_too_early_while_the_hook_runs_is_named() {
    let report = Scene::with_grace_and_hook(30, Some("flush"))
        .running()
        .at_second(100.0)
        .execs_command(Who::Hook, "flush")
        .at_second(102.0)
        .signals_child(Who::Main, 9, FATAL, Handler::Custom)
        .exits_with_code(Who::Hook, 0)
        .at_second(102.1)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), [FindingKind::KilledByParent]);
    let evidence = &report.findings[0].evidence;
    let expected =
        "2.000 s after the start of the preStop hook, when 28.000 s of the grace period were left";
    assert!(evidence.contains(expected), "{evidence}");
}

/// Who stops a process and lets it go on has not asked it to end.
#[test]
fn a_person_who_pauses_a_process_stops_nothing() {
    for sent in [IGNORED, HANDLED] {
        let report = Scene::with_grace_and_hook(2, None)
            .running()
            .at_second(10.0)
            .sends_signal(Who::Stranger, Who::Main, CONT, sent)
            .at_second(12.01)
            .sends_signal(Who::Stranger, Who::Main, 9, FATAL)
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report();
        assert_eq!(report.outcome, Outcome::ForceKilled);
        assert_eq!(
            finding_kinds(&report),
            [FindingKind::KilledWithoutStopSignal]
        );
        assert_eq!(doubts(&report), []);
    }
}

/// A signal whose default action is none is thrown away when it is unblocked, by any process.
#[test]
fn a_signal_that_does_nothing_by_default_is_ignored_when_it_is_unblocked() {
    for (number, unkillable) in [(WINCH, false), (WINCH, true), (CONT, false)] {
        let report = Scene::with_grace_and_hook(2, None)
            .running()
            .at_second(10.0)
            .sends_signal(Who::Runc, Who::Main, number, QUEUED)
            .at_second(10.01)
            .happens(EventKind::Delivered(Delivered {
                process: Who::Main.process(),
                signal: Signal::try_from(number).unwrap(),
                handler: Handler::Default,
                unkillable,
                traced: false,
            }))
            .at_second(12.01)
            .kill_by_runtime()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report();
        assert_eq!(report.outcome, Outcome::SignalIgnored, "{number}");
        assert!(finding_kinds(&report).contains(&FindingKind::SignalIgnored));
    }
}

/// A program that was begun after the stop signal handles it when it comes again, and is then too slow.
#[test]
fn a_stop_signal_that_is_handled_when_it_comes_again_is_not_ignored() {
    for configured in [None, Some(Signal::TERM)] {
        let report = stopped_by(configured)
            .running()
            .at_second(10.0)
            .stop_blocked()
            .at_second(11.6)
            .delivers(15, Handler::Default)
            .execs_command(Who::Main, "server")
            .at_second(11.8)
            .stop(HANDLED)
            .at_second(13.0)
            .kill_by_runtime()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report();
        assert_eq!(report.outcome, Outcome::GraceExceeded, "{configured:?}");
        assert_eq!(finding_kinds(&report), [FindingKind::TooSlow]);
        assert_eq!(report.stop_signals_repeated, 1);
    }
}

/// A restarted runtime sends SIGTERM again, and SIGKILL a grace period after that.
#[test]
fn a_stop_signal_that_came_again_is_certain() {
    for configured in [None, Some(Signal::TERM)] {
        let report = stopped_by(configured)
            .running()
            .at_second(10.0)
            .stop(HANDLED)
            .at_second(12.0)
            .stop(HANDLED)
            .at_second(15.01)
            .kill_by_runtime()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report();
        assert!(!is_unsure(&report), "{configured:?}");
    }
}

/// The runtime sent SIGHUP, and SIGTERM later, which still waited when the program ended of its own accord.
#[test]
fn a_reload_before_an_unnoticed_stop_signal_is_doubted() {
    let reloaded = || {
        stopped_by(None)
            .running()
            .at_second(10.0)
            .sends_signal(Who::Runc, Who::Main, 1, HANDLED)
    };
    let unnoticed = reloaded()
        .at_second(10.8)
        .stop_blocked()
        .at_second(10.9)
        .exits_with_pending(0, Signal::TERM.mask_bit());
    assert!(is_unsure(&unnoticed.removed().report()));
    let alone = reloaded()
        .at_second(10.9)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert!(!is_unsure(&alone));
}

/// Nobody told the stop signal, and the runtime sent SIGTERM, and then another one that the program handled.
#[test]
fn another_signal_of_the_runtime_after_sigterm_is_doubted() {
    let unsure = |configured, first: Sent, person: bool| {
        let sent = stopped_by(configured)
            .running()
            .at_second(10.0)
            .stop(first)
            .at_second(10.03)
            .sends_signal(Who::Runc, Who::Main, 12, HANDLED)
            .at_second(11.9);
        let ended = if person {
            sent.kill_by_another().dies_by_signal(Who::Main, 9)
        } else {
            sent.exits_with_code(Who::Main, 0)
        };
        is_unsure(&ended.removed().report())
    };
    for first in [IGNORED, HANDLED] {
        assert!(unsure(None, first, true));
        assert!(!unsure(Some(Signal::TERM), first, true));
    }
    assert!(unsure(None, HANDLED, false));
    assert!(!unsure(Some(Signal::TERM), HANDLED, false));
}

/// A process of the container has a message for the program, which ends in order of its own accord later.
#[test]
fn a_message_from_inside_before_an_orderly_end_is_doubted() {
    let sent = |number, code| {
        let report = stopped_by(Some(Signal::TERM))
            .running()
            .at_second(10.0)
            .sends_signal(Who::Child, Who::Main, number, HANDLED)
            .at_second(11.3)
            .exits_with_code(Who::Main, code)
            .removed()
            .report();
        is_unsure(&report)
    };
    assert!(sent(30, 0));
    assert!(sent(2, 0));
    assert!(!sent(2, 130));
    assert!(!sent(15, 0));
}

/// A container with a grace period of 3 s and this stop signal.
fn stopped_by(stop_signal: Option<Signal>) -> Scene {
    let selector = Selector {
        cgroup: "/system.slice/*".to_owned(),
        grace: Some(Duration::from_secs(3)),
        stop_signal,
        pre_stop: None,
    };
    Scene::with_config(config(vec![selector])).receives(cgroup_created(CONTAINER, DOCKER))
}
