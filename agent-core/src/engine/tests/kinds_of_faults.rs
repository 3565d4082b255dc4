//! Stops of programs that were not written for these tests, one or more for each kind of fault that was found in reports of
//! them: what was reported wrongly, told with the smallest facts.

use std::time::Duration;

use super::scene::{
    BY_KERNEL, FATAL, HANDLED, IGNORED, Scene, Who, doubts, exec_event, finding_kinds, stop_number,
};
use super::stage::{deleted, pod_with_grace, seconds, sleep_hook, with_hook};
use crate::config::Selector;
use crate::event::{EventKind, Handler, Process, Tgid};
use crate::pod::KubeletEventKind;
use crate::report::{Doubt, FindingKind, KillCause, Outcome, Report, SignalFate};
use crate::signal::Signal;

fn quit_without_handler() -> Report {
    Scene::with_grace_and_hook(5, None)
        .running()
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, 3, IGNORED)
        .at_second(15.01)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report()
}

#[test]
fn a_stop_signal_of_any_number_that_is_thrown_away_is_ignored() {
    let report = quit_without_handler();
    assert_eq!(report.outcome, Outcome::SignalIgnored);
    assert_eq!(stop_number(&report), Some(3));
    assert_eq!(
        finding_kinds(&report),
        [FindingKind::SignalIgnored, FindingKind::WrongStopSignal]
    );
    assert_eq!(doubts(&report), []);
}

#[test]
fn a_drain_after_a_signal_of_any_number_is_graceful() {
    for number in [10, 12, 1, 28, 37, 30] {
        let report = Scene::with_grace_and_hook(30, None)
            .running()
            .at_second(10.0)
            .sends_signal(Who::Runc, Who::Main, number, HANDLED)
            .at_second(14.0)
            .exits_with_code(Who::Main, 0)
            .removed()
            .report();
        assert_eq!(report.outcome, Outcome::Graceful, "{number}");
        assert_eq!(
            report.stop_signal_to_exit(),
            Some(Duration::from_secs(4)),
            "{number}"
        );
    }
}

#[test]
fn a_drain_may_take_the_whole_of_a_long_grace_period() {
    let report = Scene::with_grace_and_hook(150, None)
        .running()
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, 3, HANDLED)
        .at_second(130.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(stop_number(&report), Some(3));
}

#[test]
fn signals_that_do_not_matter_take_no_place_of_the_stop_signal() {
    let mut scene = Scene::with_grace_and_hook(3, None).running();
    for resize in 0..40 {
        let at = 5.0 + f64::from(resize) / 10.0;
        scene = scene
            .at_second(at)
            .sends_signal(Who::Runc, Who::Main, 28, IGNORED);
    }
    let exited = |scene: Scene| scene.exits_with_code(Who::Main, 0).removed().report();
    let report = exited(scene.at_second(20.0).stop(HANDLED).at_second(21.0));
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.stop_signal.unwrap().at, seconds(20.0));
}

#[test]
fn a_thread_dump_stops_nothing() {
    let dumped_by = |who: Who| {
        Scene::with_grace_and_hook(30, None)
            .running()
            .at_second(10.0)
            .sends_signal(who, Who::Main, 3, HANDLED)
            .at_second(13.0)
            .exits_with_code(Who::Main, 1)
            .removed()
            .report()
    };
    for who in [Who::Stranger, Who::Runc] {
        let report = dumped_by(who);
        assert_eq!(report.outcome, Outcome::Crashed);
        assert_eq!(doubts(&report), [Doubt::StopSignalUncertain]);
        assert_eq!(report.other_signals.len(), 1);
    }
}

#[test]
fn an_attempt_of_a_person_does_not_begin_the_stop_of_the_runtime() {
    let report = Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(10.0)
        .sends_signal(Who::Stranger, Who::Main, 15, HANDLED)
        .at_second(14.0)
        .stop(HANDLED)
        .at_second(17.01)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
    assert_eq!(report.stop_signal.as_ref().unwrap().at, seconds(14.0));
    assert_eq!(report.other_signals[0].at, seconds(10.0));
    assert_eq!(doubts(&report), []);
}

fn quit_configured() -> Scene {
    let selector = Selector {
        cgroup: "/system.slice/*".to_owned(),
        grace: Some(Duration::from_secs(30)),
        stop_signal: Signal::try_from(3).ok(),
        pre_stop: None,
    };
    Scene::with_config(super::scene::config(vec![selector]))
        .receives(super::scene::cgroup_created(
            super::scene::CONTAINER,
            super::scene::DOCKER,
        ))
        .running()
        .at_second(10.0)
}

fn another_than_configured() -> Report {
    quit_configured()
        .stop(HANDLED)
        .at_second(10.1)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report()
}

#[test]
fn a_signal_other_than_the_configured_one_can_stop_it() {
    let report = another_than_configured();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&report), [FindingKind::OtherStopSignal]);
    let died = quit_configured()
        .sends_signal(Who::Runc, Who::Main, 12, FATAL)
        .dies_by_signal(Who::Main, 12)
        .removed()
        .report();
    assert_eq!(died.outcome, Outcome::Graceful);
}

#[test]
fn a_kill_within_an_unknown_grace_is_not_called_another_ones() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Stranger, Who::Main, 15, HANDLED)
        .at_second(11.5)
        .kill_by_another()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(doubts(&report), [Doubt::GraceUnknown]);
}

/// The stop signal waits for a process that blocks it.
fn blocked() -> Scene {
    Scene::with_grace_and_hook(2, None)
        .running()
        .at_second(10.0)
        .stop_blocked()
}

#[test]
fn a_signal_that_is_thrown_away_when_it_is_unblocked_is_ignored() {
    let report = blocked()
        .at_second(10.001)
        .delivers(15, Handler::Default)
        .at_second(12.01)
        .kill_with_pending(0)
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::SignalIgnored);
    assert_eq!(
        report.stop_signal.as_ref().unwrap().fate,
        Some(SignalFate::Discarded)
    );
    assert_eq!(doubts(&report), []);
}

#[test]
fn what_became_of_a_queued_signal_is_told_or_doubted() {
    let killed = |scene: Scene| scene.dies_by_signal(Who::Main, 9).removed().report();
    let fetched = killed(blocked().at_second(12.01).kill_with_pending(0));
    assert_eq!(
        fetched.stop_signal.as_ref().unwrap().fate,
        Some(SignalFate::Fetched)
    );
    assert_eq!(fetched.outcome, Outcome::GraceExceeded);
    let pending = killed(blocked().at_second(12.01).kill_with_pending(1 << 14));
    assert_eq!(
        pending.stop_signal.as_ref().unwrap().fate,
        Some(SignalFate::Pending)
    );
    let unknown = killed(blocked().at_second(12.01).kill_by_runtime());
    assert_eq!(doubts(&unknown), [Doubt::SignalFateUnknown]);
}

/// sigwait took the first one, and the program that was executed next blocked the second one and threw it away.
#[test]
fn a_signal_that_was_out_of_the_queue_is_not_the_one_that_was_delivered_later() {
    let report = blocked()
        .at_second(11.0)
        .stop_blocked()
        .at_second(11.001)
        .delivers(15, Handler::Default)
        .at_second(12.01)
        .kill_with_pending(0)
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(
        report.stop_signal.as_ref().unwrap().fate,
        Some(SignalFate::Fetched)
    );
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(doubts(&report), []);
}

#[test]
fn the_program_at_the_signal_is_blamed_and_names_the_workload() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(3.0)
        .stop(IGNORED)
        .at_second(7.0)
        .execs_command(Who::Main, "node server.js")
        .at_second(13.01)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), [FindingKind::SignalIgnored]);
    let evidence = &report.findings[0].evidence;
    assert!(
        evidence.contains("was begun 4.000 s after the signal"),
        "{evidence}"
    );
    assert_eq!(report.main.unwrap().argv[0], "/app");
}

fn child_killed_with_main() -> Report {
    Scene::with_grace_and_hook(30, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Main, 1)
        .signals_child(Who::Main, 9, BY_KERNEL, Handler::Custom)
        .removed()
        .report()
}

/// One thread of PID 1 kills the rest, before the last one is at the point where the exit is seen.
#[test]
fn whom_the_kernel_killed_before_the_last_thread_of_pid_1_exited_is_named() {
    let killed = |by: Who| {
        Scene::with_grace_and_hook(30, None)
            .running()
            .at_second(10.0)
            .stop(HANDLED)
            .at_second(10.5)
            .signals_child(by, 9, BY_KERNEL, Handler::Custom)
            .at_second(10.55)
            .exits_with_code(Who::Main, 1)
            .removed()
            .report()
    };
    assert_eq!(
        finding_kinds(&killed(Who::Main)),
        [FindingKind::KilledWithMain]
    );
    // The OOM killer runs in whoever needs the memory.
    assert_eq!(finding_kinds(&killed(Who::Stranger)), []);
}

#[test]
fn whom_the_kernel_killed_with_pid_1_is_named() {
    let report = child_killed_with_main();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&report), [FindingKind::KilledWithMain]);
    let evidence = &report.findings[0].evidence;
    assert!(
        evidence.contains(
            "`worker` (pid 300), which had a handler for SIGTERM and was not seen to get it"
        ),
        "{evidence}"
    );
}

/// A child of the hook goes with the container, and that is no fault of the program.
#[test]
fn what_a_hook_started_is_not_the_programs() {
    let report = Scene::with_grace_and_hook(4, Some("flush"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "flush")
        .at_second(14.0)
        .stop(HANDLED)
        .at_second(14.5)
        .exits_with_code(Who::Main, 0)
        .signals_child_of(Who::Hook, Who::Main, 9, BY_KERNEL)
        .dies_by_signal(Who::Hook, 9)
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), [FindingKind::HookOverran]);
}

fn child_killed_by_main() -> Report {
    Scene::with_grace_and_hook(30, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(12.0)
        .signals_child(Who::Main, 9, FATAL, Handler::Custom)
        .at_second(12.1)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report()
}

#[test]
fn a_supervisor_that_kills_too_early_is_named() {
    let report = child_killed_by_main();
    assert_eq!(finding_kinds(&report), [FindingKind::KilledByParent]);
    let evidence = &report.findings[0].evidence;
    assert!(
        evidence
            .contains("2.000 s after the stop signal, when 28.000 s of the grace period were left"),
        "{evidence}"
    );
}

fn child_out_of_memory() -> Report {
    Scene::container()
        .running()
        .at_second(10.0)
        .happens(EventKind::OomVictim {
            pid: 300,
            comm: Some("worker".to_owned()),
        })
        .at_second(10.1)
        .exits_with_code(Who::Main, 137)
        .removed()
        .report()
}

#[test]
fn which_process_the_oom_killer_chose_is_told() {
    let report = child_out_of_memory();
    assert_eq!(report.outcome, Outcome::Crashed);
    assert_eq!(finding_kinds(&report), [FindingKind::ChildOomKilled]);
    let victim = |pid: u32| EventKind::OomVictim { pid, comm: None };
    let group = Scene::container()
        .running()
        .at_second(10.0)
        .happens(victim(300))
        .happens(victim(100))
        .sends_signal(Who::Child, Who::Main, 9, BY_KERNEL)
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(group.outcome, Outcome::OomKilled);
    assert_eq!(
        finding_kinds(&group),
        [FindingKind::OomKilled, FindingKind::ChildOomKilled]
    );
}

#[test]
fn a_command_that_was_run_in_the_container_can_stop_it() {
    let report = Scene::with_grace_and_hook(30, None)
        .running()
        .at_second(10.0)
        .execs_command(Who::Visitor, "bash kill.sh")
        .sends_signal(Who::Visitor, Who::Main, 15, HANDLED)
        .at_second(10.2)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&report), [FindingKind::StoppedFromInside]);
}

#[test]
fn a_fault_signal_that_somebody_sends_is_his_doing() {
    let report = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(10.0)
        .sends_signal(Who::Stranger, Who::Plain, 6, FATAL)
        .dies_by_signal(Who::Plain, 6)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::KilledByOther);
    assert_eq!(
        report.findings[0].evidence,
        "`killer` (pid 901) sent SIGABRT, which ended the main process."
    );
}

#[test]
fn a_signal_that_no_process_sent_is_nobodys_and_no_orderly_end() {
    for number in [13, 14, 24] {
        let report = Scene::with_grace_and_hook(30, None)
            .running()
            .at_second(10.0)
            .stop(HANDLED)
            .at_second(11.0)
            .sends_signal(Who::Stranger, Who::Main, number, BY_KERNEL)
            .dies_by_signal(Who::Main, number)
            .removed()
            .report();
        assert_eq!(report.outcome, Outcome::Crashed, "{number}");
        assert_eq!(stop_number(&report), Some(15));
    }
}

#[test]
fn a_probe_that_is_written_like_the_hook_does_not_make_a_crash_a_stop() {
    let report = Scene::with_grace_and_hook(30, Some("check"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Probe, "check")
        .at_second(10.1)
        .exits_with_code(Who::Probe, 0)
        .at_second(12.0)
        .exits_with_code(Who::Main, 1)
        .removed()
        .report();
    assert_eq!(doubts(&report), [Doubt::HookUncertain]);
}

fn hook_that_left_a_child() -> Report {
    Scene::with_grace_and_hook(15, Some("flush"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "flush")
        .at_second(10.001)
        .exits_with_code(Who::Hook, 0)
        .at_second(22.0)
        .stop(HANDLED)
        .at_second(25.01)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report()
}

#[test]
fn a_hook_lasts_as_long_as_the_kubelet_waits_for_it() {
    let report = hook_that_left_a_child();
    assert_eq!(report.hook_duration(), Some(Duration::from_secs(12)));
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert!(finding_kinds(&report).contains(&FindingKind::HookOutlived));
    assert_eq!(doubts(&report), []);
}

fn hook_that_did_not_run() -> Report {
    Scene::with_grace_and_hook(30, Some("flush"))
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report()
}

#[test]
fn a_hook_that_did_not_run_is_told() {
    assert_eq!(
        finding_kinds(&hook_that_did_not_run()),
        [FindingKind::HookNotRun]
    );
}

#[test]
fn a_shell_that_came_from_outside_is_not_what_a_daemon_left() {
    let report = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/job")
        .at_second(5.0)
        .attached(Who::Stranger)
        .at_second(6.0)
        .exits_with_code(Who::Plain, 0)
        .at_second(6.1)
        .exits_with_code(Who::Stranger, 0)
        .removed()
        .report();
    assert_eq!(report.main.unwrap().argv, ["/job"]);
}

/// Found together with the main process, it may be a shell that came before the agent, or a daemon.
#[test]
fn one_that_was_found_beside_the_main_process_takes_its_place_with_a_doubt() {
    let report = Scene::service()
        .at_second(1.0)
        .finds_processes(&[Who::Plain, Who::Daemon])
        .at_second(6.0)
        .exits_with_code(Who::Plain, 0)
        .finds_processes(&[Who::Daemon])
        .at_second(600.0)
        .exits_with_code(Who::Daemon, 0)
        .becomes_empty()
        .removed()
        .report();
    assert_eq!(report.doubts, [Doubt::MainUncertain]);
}

#[test]
fn a_sandbox_that_a_service_leaves_is_not_its_main_process() {
    let sandbox = Process {
        tgid: Tgid(400),
        start: seconds(5.0),
        ..Who::Main.process()
    };
    let report = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(5.0)
        .happens(exec_event(sandbox, "bwrap"))
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Plain, 15, HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Plain, 0)
        .removed()
        .report();
    assert_eq!(report.main.as_ref().unwrap().argv, ["/app"]);
    assert_eq!(report.outcome, Outcome::Graceful);
}

fn begun_again() -> Report {
    let own = pod_with_grace(20);
    Scene::running_in(&own)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 20))
        .kubelet_reports(KubeletEventKind::Stopping, 10.0)
        .at_second(10.03)
        .stop(HANDLED)
        .at_second(21.2)
        .kubelet_reports(KubeletEventKind::Stopping, 21.0)
        .at_second(41.2)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report()
}

#[test]
fn a_stop_that_the_kubelet_begins_again_has_a_whole_grace_period_again() {
    let report = begun_again();
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
    assert!(finding_kinds(&report).contains(&FindingKind::KubeletRestarted));
    assert_eq!(doubts(&report), []);
}

#[test]
fn a_hook_that_the_kubelet_begins_again_lasts_from_then() {
    let own = with_hook(12, sleep_hook(10));
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 12))
        .kubelet_reports(KubeletEventKind::Stopping, 10.0)
        .at_second(34.2)
        .kubelet_reports(KubeletEventKind::Stopping, 34.0)
        .at_second(44.1)
        .stop(HANDLED)
        .at_second(46.11)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(
        finding_kinds(&report),
        [FindingKind::TooSlow, FindingKind::KubeletRestarted]
    );
    assert_eq!(report.hook_duration(), Some(Duration::from_secs(10)));
    assert_eq!(report.kill.unwrap().cause, KillCause::GraceExpired);
}

/// Those with a diagnosis that no other scenario has.
pub(super) fn diagnoses() -> Vec<Report> {
    vec![
        quit_without_handler(),
        another_than_configured(),
        child_killed_with_main(),
        child_killed_by_main(),
        child_out_of_memory(),
        begun_again(),
        hook_that_left_a_child(),
        hook_that_did_not_run(),
        Scene::container()
            .running()
            .at_second(10.0)
            .sends_signal(Who::Child, Who::Main, 15, HANDLED)
            .exits_with_code(Who::Main, 0)
            .removed()
            .report(),
    ]
}

/// `nginx -s quit`: the hook tells the server to go.
#[test]
fn a_hook_that_ends_the_program_is_no_stop_from_inside() {
    let report = Scene::with_grace_and_hook(10, Some("nginx -s quit"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "nginx -s quit")
        .sends_signal(Who::Hook, Who::Main, 3, HANDLED)
        .at_second(10.1)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::ExitedEarly);
    assert_eq!(finding_kinds(&report), []);
}

#[test]
fn a_hook_whose_child_holds_its_output_for_long_is_not_said_to_have_not_run() {
    let report = Scene::with_grace_and_hook(30, Some("flush"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "flush")
        .exits_with_code(Who::Hook, 0)
        .at_second(22.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&report), []);
    assert_eq!(doubts(&report), [Doubt::HookUncertain]);
}
