//! What the agent itself did not see, and containers of which there is no report.

use super::scene::{
    BY_KERNEL, CONTAINER, DOCKER, HANDLED, Scene, Who, cgroup_created, config, doubts,
};
use crate::event::{CgroupId, Event};
use crate::input::Input;
use crate::output::{Effect, Output, UnreportedReason};
use crate::report::{Doubt, FindingKind, Outcome};
use crate::time::Timestamp;

fn seconds(seconds: f64) -> Timestamp {
    Timestamp(0).after(std::time::Duration::from_secs_f64(seconds))
}

/// The kernel side tracked it from its birth.
fn tracked_from_birth(cgroup: CgroupId, path: &str) -> Input {
    let Input::Event(made) = cgroup_created(cgroup, path) else {
        panic!("an event");
    };
    Input::Event(Event {
        container: Some(cgroup),
        ..made
    })
}

fn tracked(since: f64) -> Input {
    Input::Tracked {
        container: CONTAINER,
        since: seconds(since),
    }
}

fn records_lost(since: f64, until: f64) -> Input {
    Input::Lost {
        outermost: None,
        records: 1,
        between: Some((seconds(since), seconds(until))),
    }
}

fn unreported(scene: Scene) -> Vec<UnreportedReason> {
    let (said, _) = scene.finish();
    let reason = |output: &Output| match output {
        Output::Unreported { reason, .. } => Some(*reason),
        _ => None,
    };
    said.iter().filter_map(reason).collect()
}

/// The agent was stopped while the container started and got SIGTERM; it is killed afterwards.
#[test]
fn what_began_before_anybody_watched_is_not_seen_and_not_absent() {
    let watched = |since: f64| {
        Scene::container()
            .at_second(since)
            .receives(tracked(since))
            .finds_processes(&[Who::Main])
            .at_second(since + 1.0)
            .kill_by_runtime()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report()
    };
    let late = watched(8.0);
    assert_eq!(doubts(&late), [Doubt::SeenLate]);
    let claims = |report: &crate::report::Report| {
        let kind = FindingKind::KilledWithoutStopSignal;
        let finding = report.findings.iter().find(|one| one.kind == kind);
        finding.is_some_and(|one| one.evidence.contains("no stop signal came before"))
    };
    assert!(!claims(&late));
    // The main process began after that.
    let in_time = watched(0.05);
    assert_eq!(
        (in_time.outcome, doubts(&in_time)),
        (Outcome::ForceKilled, &[][..])
    );
    assert!(claims(&in_time));
}

#[test]
fn a_stop_signal_that_was_seen_leaves_nothing_to_doubt() {
    let report = Scene::container()
        .at_second(8.0)
        .receives(tracked(8.0))
        .finds_processes(&[Who::Main])
        .at_second(9.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(
        (report.outcome, doubts(&report)),
        (Outcome::Graceful, &[][..])
    );
}

#[test]
fn what_is_tracked_from_its_birth_is_seen_whole() {
    let report = Scene::with_config(config(Vec::new()))
        .receives(tracked_from_birth(CONTAINER, DOCKER))
        .at_second(8.0)
        .receives(tracked(8.0))
        .finds_processes(&[Who::Main])
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(
        (report.outcome, doubts(&report)),
        (Outcome::ForceKilled, &[][..])
    );
}

/// The agent read the records when the cgroup was gone.
#[test]
fn what_was_tracked_from_its_birth_and_is_gone_is_reported() {
    let report = Scene::with_config(config(Vec::new()))
        .receives(tracked_from_birth(CONTAINER, DOCKER))
        .receives(Input::Gone {
            container: CONTAINER,
        })
        .running()
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(
        (report.outcome, doubts(&report)),
        (Outcome::Completed, &[][..])
    );
}

#[test]
fn a_container_without_a_report_is_counted_and_forgotten() {
    let gone = Scene::container().receives(Input::Gone {
        container: CONTAINER,
    });
    let untrack = Output::Effect(Effect::Untrack {
        container: CONTAINER,
    });
    assert!(gone.said.contains(&untrack));
    assert_eq!(unreported(gone), [UnreportedReason::Gone]);
    let empty = Scene::container()
        .receives(tracked(0.0))
        .at_second(1.0)
        .removed();
    assert_eq!(unreported(empty), [UnreportedReason::Empty]);
    let lossy = Scene::container().receives(tracked(0.0)).at_second(1.0);
    let lossy = lossy.receives(records_lost(0.5, 1.0)).removed();
    assert_eq!(unreported(lossy), [UnreportedReason::MainUnseen]);
    let unseen = Scene::container().at_second(1.0).becomes_empty().removed();
    assert_eq!(unreported(unseen), [UnreportedReason::MainUnseen]);
    let reported = Scene::container()
        .running()
        .exits_with_code(Who::Main, 0)
        .removed();
    assert_eq!(unreported(reported), []);
}

#[test]
fn a_cgroup_beside_a_container_that_is_none_is_not_tracked() {
    let other = CgroupId(70);
    let untracked = |path: &str| {
        let scene = Scene::service().receives(tracked_from_birth(other, path));
        let untrack = Output::Effect(Effect::Untrack { container: other });
        scene.said.contains(&untrack)
    };
    assert!(untracked("/system.slice/libpod-conmon-1.scope"));
    assert!(!untracked("/system.slice/cron.service"));
}

/// The loss may lie anywhere between two looks at the counter. A stop of 10 s at the most that ended after 1 s may have begun
/// 9 s before, with a stop signal that was lost.
#[test]
fn a_loss_is_doubted_wherever_it_may_lie() {
    let lossy = |since: f64, until: f64| {
        Scene::with_grace_and_hook(10, None)
            .running()
            .at_second(20.0)
            .stop(HANDLED)
            .at_second(21.0)
            .exits_with_code(Who::Main, 0)
            .removed()
            .receives(records_lost(since, until))
            .report()
    };
    assert_eq!(doubts(&lossy(10.0, 20.5)), [Doubt::RecordsLost]);
    assert_eq!(doubts(&lossy(20.5, 40.0)), [Doubt::RecordsLost]);
    assert_eq!(doubts(&lossy(12.0, 13.0)), [Doubt::RecordsLost]);
    assert_eq!(doubts(&lossy(2.0, 8.9)), []);
    assert_eq!(doubts(&lossy(21.5, 40.0)), []);
}

/// The first of two stop signals was lost, and SIGKILL came when the grace period was over that began with it.
#[test]
fn a_sigkill_before_the_end_of_the_grace_period_is_doubted_after_a_loss() {
    let killed = |lost_at: f64, killed_at: f64| {
        Scene::with_grace_and_hook(10, None)
            .running()
            .at_second(20.0)
            .receives(records_lost(lost_at - 0.5, lost_at))
            .finds_processes(&[Who::Main])
            .stop(HANDLED)
            .at_second(killed_at)
            .kill_by_another()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report()
    };
    let early = killed(16.0, 26.0);
    assert_eq!(early.outcome, Outcome::KilledByOther);
    assert_eq!(doubts(&early), [Doubt::RecordsLost]);
    assert_eq!(doubts(&killed(8.9, 26.0)), []);
    let in_time = killed(16.0, 30.0);
    assert_eq!(in_time.outcome, Outcome::GraceExceeded);
    assert_eq!(doubts(&in_time), []);
}

/// The agent started when a stop was under way, and saw its second stop signal only.
#[test]
fn a_sigkill_before_the_end_of_the_grace_period_is_doubted_soon_after_the_start() {
    let killed = |watched_at: f64| {
        Scene::with_grace_and_hook(10, None)
            .at_second(watched_at)
            .receives(tracked(watched_at))
            .finds_processes(&[Who::Main])
            .at_second(20.0)
            .stop(HANDLED)
            .at_second(26.0)
            .kill_by_another()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report()
    };
    assert_eq!(doubts(&killed(18.0)), [Doubt::SeenLate]);
    assert_eq!(doubts(&killed(8.0)), []);
}

/// A container that was made after the loss lacks nothing, however little is known of its stop.
#[test]
fn a_loss_before_its_birth_does_not_concern_a_container() {
    let born_at = |second: f64| {
        let mut birth = tracked_from_birth(CONTAINER, DOCKER);
        if let Input::Event(event) = &mut birth {
            event.at = seconds(second);
        }
        let scene = Scene::with_config(config(Vec::new()))
            .receives(records_lost(4.0, 6.0))
            .at_second(second)
            .receives(birth);
        scene
            .execs_command(Who::Main, "/app")
            .at_second(second + 1.0)
            .sends_signal(Who::Runc, Who::Main, 9, BY_KERNEL)
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report()
    };
    assert!(born_at(5.0).doubts.contains(&Doubt::RecordsLost));
    assert!(!born_at(7.0).doubts.contains(&Doubt::RecordsLost));
}
