//! Each outcome, the durations, and the arithmetic of the grace.

use std::time::Duration;

use super::scene::{
    BY_KERNEL, CONTAINER, FATAL, HANDLED, IGNORED, Scene, Sent, Who, cgroup_created, doubts,
    finding_kinds,
};
use crate::event::{CgroupId, EventKind, Handler};
use crate::input::Input;
use crate::report::{Doubt, FindingKind, KillCause, Outcome, Trigger};

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn a_handler_that_exits_in_time_is_graceful() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(11.25)
        .exits_with_code(Who::Main, 143)
        .at_second(11.5)
        .becomes_empty()
        .removed()
        .receives(Input::SignalCounts {
            container: CONTAINER,
            inside: 4,
            outside: 1,
            unrecorded: crate::input::Unrecorded::default(),
        })
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.trigger, Trigger::Stopped);
    assert_eq!(report.stop_signal_to_exit(), Some(secs(1.25)));
    assert_eq!(report.total_duration(), Some(secs(1.25)));
    assert_eq!(
        report.released_at.unwrap().since(report.started_at),
        secs(1.5)
    );
    assert_eq!((report.signals_inside, report.signals_outside), (4, 1));
    assert_eq!(report.main.unwrap().argv, ["/app", "--serve"]);
    let sender = report.stop_signal.unwrap().sender;
    assert!(sender.outside && !sender.kernel && sender.comm == "runc");
    assert_eq!(report.doubts, []);
    assert_eq!(report.findings, []);
}

#[test]
fn the_default_action_of_the_stop_signal_is_graceful() {
    let report = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(60.0)
        .sends_signal(Who::Runc, Who::Plain, 15, FATAL)
        .dies_by_signal(Who::Plain, 15)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.findings, []);
}

#[test]
fn an_ignored_signal_and_sigkill_after_the_grace_is_signal_ignored() {
    let report = Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(100.0)
        .stop(IGNORED)
        .at_second(103.008)
        .kill_by_runtime()
        .at_second(103.010)
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::SignalIgnored);
    assert_eq!(report.kill.unwrap().cause, KillCause::GraceExpired);
    assert_eq!(report.doubts, []);
}

#[test]
fn a_handler_that_is_too_slow_exceeds_the_grace() {
    let report = Scene::with_grace_and_hook(4, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(14.023)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(report.stop_signal_to_kill(), Some(secs(4.023)));
    assert_eq!(finding_kinds(&report), [FindingKind::TooSlow]);
}

#[test]
fn an_unknown_grace_is_concluded_from_whole_seconds_and_doubted() {
    let killed_after = |waited: f64| {
        let report = Scene::container()
            .running()
            .at_second(10.0)
            .stop(HANDLED)
            .at_second(10.0 + waited)
            .kill_by_another()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report();
        (report.outcome, report.doubts)
    };
    assert_eq!(
        killed_after(10.02),
        (Outcome::GraceExceeded, vec![Doubt::GraceUnknown])
    );
    assert_eq!(
        killed_after(1.0),
        (Outcome::GraceExceeded, vec![Doubt::GraceUnknown])
    );
    assert_eq!(
        killed_after(10.5),
        (Outcome::KilledByOther, vec![Doubt::GraceUnknown])
    );
    assert_eq!(
        killed_after(0.1),
        (Outcome::KilledByOther, vec![Doubt::GraceUnknown])
    );
}

#[test]
fn sigkill_in_the_middle_of_a_known_grace_is_killed_by_other() {
    let report = Scene::with_grace_and_hook(30, None)
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(15.0)
        .kill_by_another()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::KilledByOther);
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::Other);
    assert_eq!(finding_kinds(&report), [FindingKind::KilledByOther]);
}

#[test]
fn sigkill_by_another_after_the_end_of_the_grace_is_doubted() {
    let doubts = |scene: fn(Scene) -> Scene, waited: f64| {
        let stopped = Scene::with_grace_and_hook(2, None)
            .running()
            .at_second(10.0)
            .stop(HANDLED);
        let report = scene(stopped.at_second(10.0 + waited))
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report();
        assert_eq!(report.outcome, Outcome::GraceExceeded);
        report.doubts
    };
    assert_eq!(doubts(Scene::kill_by_another, 2.02), []);
    assert_eq!(
        doubts(Scene::kill_by_another, 2.4),
        [Doubt::GraceUnknown],
        "a runtime would have sent it before"
    );
    assert_eq!(doubts(Scene::kill_by_runtime, 2.4), []);
    assert_eq!(doubts(Scene::kill_by_runtime, 2.99), []);
}

/// Recorded: a runtime that is told again to stop, with a shorter time, or is restarted while it waits.
#[test]
fn sigkill_by_the_runtime_that_sent_the_stop_signal_ends_the_grace() {
    let ended = |scene: Scene| {
        scene
            .running()
            .at_second(10.0)
            .stop(HANDLED)
            .at_second(12.998)
            .kill_by_runtime()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report()
    };
    let report = ended(Scene::with_grace_and_hook(10, None));
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(finding_kinds(&report), [FindingKind::TooSlow]);
    assert_eq!(doubts(&report), [Doubt::GraceUnknown]);
    assert_eq!(report.grace, None);
    let service = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Plain, 15, HANDLED)
        .at_second(12.5)
        .sends_signal(Who::Runc, Who::Plain, 9, FATAL)
        .dies_by_signal(Who::Plain, 9)
        .removed()
        .report();
    assert_eq!(service.outcome, Outcome::KilledByOther);
}

#[test]
fn sigkill_alone_from_outside_is_force_killed() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .kill_by_runtime()
        .at_second(10.5)
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::ForceKilled);
    assert_eq!(report.trigger, Trigger::Stopped);
    assert_eq!(report.total_duration(), Some(secs(0.5)));
    assert_eq!(
        finding_kinds(&report),
        [FindingKind::KilledWithoutStopSignal]
    );
}

#[test]
fn sigkill_from_inside_is_killed_by_other() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Child, Who::Main, 9, FATAL)
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::KilledByOther);
    assert_eq!(report.kill.unwrap().cause, KillCause::Inside);
}

#[test]
fn the_oom_killer_is_named_whichever_record_comes_first() {
    let victim = |scene: Scene| {
        scene.happens(EventKind::OomVictim {
            pid: 100,
            comm: None,
        })
    };
    let killed = |scene: Scene| scene.sends_signal(Who::Child, Who::Main, 9, BY_KERNEL);
    for scene in [
        victim(killed(Scene::container().running().at_second(10.0))),
        killed(victim(Scene::container().running().at_second(10.0))),
    ] {
        let report = scene.dies_by_signal(Who::Main, 9).removed().report();
        assert_eq!(report.outcome, Outcome::OomKilled);
        assert_eq!(finding_kinds(&report), [FindingKind::OomKilled]);
        assert_eq!(doubts(&report), []);
    }
}

#[test]
fn an_oom_victim_without_a_cgroup_is_found_by_its_pid() {
    let scene = Scene::container().running().at_second(10.0).sends_signal(
        Who::Main,
        Who::Main,
        9,
        BY_KERNEL,
    );
    let at = scene.now;
    let report = scene
        .receives(Input::Event(crate::event::Event {
            at,
            container: None,
            cgroup: CgroupId(0),
            kind: EventKind::OomVictim {
                pid: 100,
                comm: None,
            },
        }))
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::OomKilled);
}

#[test]
fn a_kernel_kill_that_nothing_explains_says_so() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Child, Who::Main, 9, BY_KERNEL)
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::KilledByOther);
    assert_eq!(doubts(&report), [Doubt::KernelKillUnexplained]);
}

#[test]
fn ending_by_itself_is_completed_or_crashed() {
    let code = |code| {
        Scene::container()
            .running()
            .at_second(10.0)
            .exits_with_code(Who::Main, code)
            .removed()
            .report()
    };
    assert_eq!(code(0).outcome, Outcome::Completed);
    assert_eq!(code(0).trigger, Trigger::Completed);
    assert_eq!(code(3).outcome, Outcome::Crashed);
    let fault = Scene::container()
        .running()
        .at_second(10.0)
        .dies_by_signal(Who::Main, 11)
        .removed()
        .report();
    assert_eq!(fault.outcome, Outcome::Crashed);
    assert_eq!(fault.doubts, []);
}

#[test]
fn a_fault_while_stopping_is_a_crash() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.3)
        .dies_by_signal(Who::Main, 11)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Crashed);
    assert_eq!(report.trigger, Trigger::Stopped);
}

#[test]
fn a_signal_of_no_ordinary_stop_is_killed_by_other() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Stranger, Who::Main, 6, FATAL)
        .dies_by_signal(Who::Main, 6)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::KilledByOther);
    assert_eq!(finding_kinds(&report), [FindingKind::KilledByOther]);
}

#[test]
fn a_signal_that_nobody_was_seen_to_send_is_unknown() {
    for number in [9, 15, 1, 10] {
        let report = Scene::container()
            .running()
            .at_second(10.0)
            .dies_by_signal(Who::Main, number)
            .removed()
            .report();
        assert_eq!(report.outcome, Outcome::Unknown);
        assert_eq!(doubts(&report), [Doubt::SignalMissing]);
    }
}

#[test]
fn a_stop_signal_from_inside_says_so() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Child, Who::Main, 15, HANDLED)
        .dies_by_signal(Who::Main, 15)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&report), [FindingKind::StoppedFromInside]);
    assert!(!report.stop_signal.unwrap().sender.outside);
}

#[test]
fn exiting_while_the_hook_runs_is_exited_early() {
    let report = Scene::with_grace_and_hook(30, Some("nginx -s quit"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "nginx -s quit")
        .at_second(10.4)
        .exits_with_code(Who::Main, 0)
        .dies_by_signal(Who::Hook, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::ExitedEarly);
    assert_eq!(report.trigger, Trigger::Stopped);
    assert_eq!(report.total_duration(), Some(secs(0.4)));
    assert!(report.hook.as_ref().unwrap().ended_by_container);
    assert_eq!(report.findings, []);
}

#[test]
fn an_exit_that_was_not_seen_is_unknown() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(11.0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Unknown);
    assert_eq!(doubts(&report), [Doubt::ExitMissing]);
    assert!(report.stop_signal_to_exit().is_none());
}

#[test]
fn other_usual_stop_signals_count_in_hindsight_where_none_is_configured() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, 3, HANDLED)
        .at_second(10.2)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.stop_signal.unwrap().signal.number(), 3);
    Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, 3, HANDLED)
        .at_second(20.0)
        .no_report();
}

#[test]
fn the_hook_begins_the_termination_and_takes_from_the_grace() {
    let report = Scene::with_grace_and_hook(30, Some("/bin/sh -c flush"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "/bin/sh -c flush")
        .at_second(10.001)
        .execs_command(Who::Hook, "flush")
        .at_second(15.5)
        .exits_with_code(Who::Hook, 0)
        .at_second(15.6)
        .stop(HANDLED)
        .at_second(40.61)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.hook_duration(), Some(secs(5.5)));
    assert_eq!(report.total_duration(), Some(secs(30.61)));
    let grace = report.grace.unwrap();
    assert_eq!(grace.after_hook, secs(25.0));
    assert!(!grace.floor_used);
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(report.doubts, []);
}

#[test]
fn a_hook_that_overran_leaves_the_floor() {
    let report = Scene::with_grace_and_hook(4, Some("sleep 20"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "sleep 20")
        .at_second(13.92)
        .stop(HANDLED)
        .at_second(15.93)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .at_second(15.94)
        .sends_signal(Who::Main, Who::Hook, 9, BY_KERNEL)
        .dies_by_signal(Who::Hook, 9)
        .removed()
        .report();
    let hook = report.hook.as_ref().unwrap();
    assert!(hook.running_at_stop_signal && hook.ended_by_container);
    let grace = report.grace.as_ref().unwrap();
    assert_eq!((grace.after_hook, grace.floor_used), (secs(2.0), true));
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(
        finding_kinds(&report),
        [FindingKind::TooSlow, FindingKind::HookOverran]
    );
}

#[test]
fn the_kubelet_may_have_measured_the_hook_a_second_longer() {
    let killed_after = |waited: f64| {
        Scene::with_grace_and_hook(10, Some("flush"))
            .running()
            .at_second(10.0)
            .execs_command(Who::Hook, "flush")
            .at_second(13.95)
            .exits_with_code(Who::Hook, 0)
            .at_second(14.0)
            .stop(HANDLED)
            .at_second(14.0 + waited)
            .kill_by_another()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report()
            .kill
            .unwrap()
            .cause
    };
    assert_eq!(killed_after(7.01), KillCause::GraceExpired);
    assert_eq!(killed_after(6.01), KillCause::GraceExpired);
    assert_eq!(killed_after(5.01), KillCause::Other);
}

#[test]
fn a_short_grace_without_a_hook_may_be_without_the_floor() {
    for waited in [1.01, 2.01] {
        let report = Scene::with_grace_and_hook(1, None)
            .running()
            .at_second(10.0)
            .stop(HANDLED)
            .at_second(10.0 + waited)
            .kill_by_runtime()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report();
        assert_eq!(report.outcome, Outcome::GraceExceeded);
        assert!(report.grace.unwrap().floor_used);
    }
}

#[test]
fn a_traced_process_is_doubted() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(Sent {
            traced: true,
            handler: Handler::Default,
            ..HANDLED
        })
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(doubts(&report), [Doubt::Traced]);
}

#[test]
fn an_inner_cgroup_of_the_container_is_not_its_end() {
    let inner = Input::Event(crate::event::Event {
        at: crate::time::Timestamp(2),
        container: Some(CONTAINER),
        cgroup: CgroupId(8),
        kind: EventKind::CgroupPopulated { populated: false },
    });
    Scene::container()
        .running()
        .at_second(5.0)
        .receives(inner)
        .no_report();
    let twice = Scene::container().receives(cgroup_created(CONTAINER, super::scene::DOCKER));
    let (said, _) = twice.finish();
    assert_eq!(said.len(), 2, "{said:?}");
}
