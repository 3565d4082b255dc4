//! Pods: whose container it was, when it was asked to stop, and why.

use std::time::Duration;

use super::scene::{
    FATAL, HANDLED, IGNORED, Scene, Who, cgroup_created, config, doubts, finding_kinds, reports,
};
use super::stage::{
    UID, container, container_id, deleted, exec_hook, path, pod_with_grace, seconds, with_hook,
};
use crate::config::Limits;
use crate::input::Input;
use crate::output::{DropReason, Effect, Output};
use crate::pod::{Disruption, KubeletEventKind, Pod, Role};
use crate::report::{Doubt, KillCause, Outcome, Report, Start, Trigger};
use crate::signal::Signal;

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn stopped(scene: Scene) -> Report {
    scene
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report()
}

#[test]
fn a_deleted_pods_container_is_named_and_begins_with_the_deletion() {
    let own = pod_with_grace(30);
    let report = Scene::running_in(&own)
        .at_second(10.25)
        .watch_shows(&deleted(&own, 10.0, 30))
        .at_second(10.5)
        .stop(HANDLED)
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    let reference = report.pod.as_ref().unwrap();
    assert_eq!((&*reference.namespace, &*reference.name), ("shop", "web-1"));
    assert_eq!(reference.container.as_deref(), Some("app"));
    assert_eq!(reference.role, Some(Role::Main));
    assert_eq!(reference.workload.kind, "Deployment");
    assert_eq!(report.start_source, Start::Deletion);
    assert_eq!(report.started_at, seconds(10.25));
    assert_eq!(report.total_duration(), Some(secs(0.75)));
    assert_eq!(report.trigger, Trigger::Deleted);
    assert_eq!(report.grace.as_ref().unwrap().configured, secs(30.0));
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.doubts, []);
    assert_eq!(report.findings, []);
}

#[test]
fn a_deletion_is_told_at_once_and_an_exit_by_itself_after_it_is_early() {
    let own = pod_with_grace(30);
    let scene = Scene::running_in(&own)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 30));
    let begun = |output: &Output| matches!(output, Output::Progress(report) if report.trigger == Trigger::Deleted);
    assert!(scene.said.iter().any(begun));
    let report = scene
        .at_second(12.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::ExitedEarly);
    assert_eq!(report.trigger, Trigger::Deleted);
    assert_eq!(report.total_duration(), Some(secs(2.0)));
}

#[test]
fn a_deletion_after_the_exit_counts_for_nothing() {
    let own = pod_with_grace(30);
    let report = Scene::running_in(&own)
        .at_second(10.2)
        .exits_with_code(Who::Main, 3)
        .at_second(10.6)
        .watch_shows(&deleted(&own, 10.0, 30))
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Crashed);
    assert_eq!(report.trigger, Trigger::Crashed);
    assert_eq!(report.start_source, Start::Exit);
}

/// As it was recorded: the watch may be behind the kubelet.
#[test]
fn a_deletion_that_is_seen_after_the_stop_signal_is_still_the_reason() {
    let own = pod_with_grace(30);
    let report = Scene::running_in(&own)
        .at_second(10.1)
        .stop(HANDLED)
        .at_second(10.3)
        .watch_shows(&deleted(&own, 10.0, 30))
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.trigger, Trigger::Deleted);
    assert_eq!(report.start_source, Start::StopSignal);
    assert_eq!(report.started_at, seconds(10.1));
}

#[test]
fn a_deletion_that_a_list_shows_late_began_when_it_was_asked_for() {
    let own = with_hook(30, exec_hook("flush"));
    let report = Scene::running_in(&own)
        .at_second(10.1)
        .execs_command(Who::Hook, "flush")
        .at_second(14.0)
        .exits_with_code(Who::Hook, 0)
        .at_second(15.0)
        .list_shows(&deleted(&own, 10.0, 30))
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.started_at, seconds(10.0));
    assert_eq!(report.hook_duration(), Some(secs(3.9)));
    assert_eq!(report.trigger, Trigger::Deleted);
    assert_eq!(report.doubts, []);
}

#[test]
fn the_pod_may_come_long_after_the_termination() {
    let own = with_hook(30, exec_hook("flush"));
    let report = Scene::of_pod()
        .running()
        .at_second(10.1)
        .execs_command(Who::Hook, "flush")
        .at_second(12.1)
        .exits_with_code(Who::Hook, 7)
        .at_second(12.2)
        .stop(IGNORED)
        .at_second(40.21)
        .kill_by_another()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .at_second(54.0)
        .list_shows(&deleted(&own, 10.0, 30))
        .report();
    assert_eq!(report.hook_duration(), Some(secs(2.0)));
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
    assert_eq!(report.outcome, Outcome::SignalIgnored);
    assert_eq!(report.trigger, Trigger::Deleted);
    assert_eq!(report.doubts, []);
}

#[test]
fn the_wait_for_a_pod_is_bounded_and_its_absence_is_said() {
    let scene = Scene::of_pod()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed();
    assert_eq!(reports(&scene.at_second(24.9).said), []);
    let scene = Scene::of_pod()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(25.1);
    let all = reports(&scene.said);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].pod, None);
    assert_eq!(all[0].trigger, Trigger::Unknown);
    assert_eq!(doubts(&all[0]), [Doubt::PodUnknown]);
}

#[test]
fn the_wait_for_a_reason_is_bounded() {
    let own = pod_with_grace(30);
    let ended = || {
        Scene::running_in(&own)
            .at_second(10.0)
            .stop(HANDLED)
            .exits_with_code(Who::Main, 0)
            .removed()
    };
    let scene = ended().at_second(13.1);
    assert_eq!(reports(&scene.said)[0].trigger, Trigger::Unknown);
    let late = ended()
        .at_second(12.9)
        .kubelet_reports(KubeletEventKind::LivenessFailed, 9.0);
    assert_eq!(reports(&late.said), []);
    assert_eq!(late.at_second(13.0).report().trigger, Trigger::Liveness);
    let known = ended().watch_shows(&deleted(&own, 9.0, 30)).at_second(11.1);
    assert_eq!(reports(&known.said)[0].trigger, Trigger::Deleted);
}

#[test]
fn a_container_is_named_by_its_status_alone_if_it_can_be_another() {
    let mut two = pod_with_grace(30);
    two.containers.push(container("other", Role::Main, 1));
    two.containers[0].ids.clear();
    let unsure = stopped(Scene::running_in(&two).at_second(10.0));
    assert_eq!(unsure.pod, None);
    assert_eq!(doubts(&unsure), [Doubt::PodUnknown]);
    two.containers[0].ids.push(container_id(0));
    let sure = stopped(
        Scene::of_pod()
            .running()
            .at_second(9.0)
            .watch_shows(&two)
            .at_second(10.0),
    );
    assert_eq!(sure.pod.unwrap().container.as_deref(), Some("app"));
    let mut one = pod_with_grace(30);
    one.containers[0].ids.clear();
    let only = stopped(Scene::running_in(&one).at_second(10.0));
    assert_eq!(only.pod.unwrap().container.as_deref(), Some("app"));
}

#[test]
fn a_container_that_a_status_named_once_is_known_when_it_names_another() {
    let mut own = pod_with_grace(30);
    own.containers.push(container("other", Role::Main, 1));
    let mut later = own.clone();
    later.containers[0].ids = vec![container_id(9)];
    let report = stopped(
        Scene::running_in(&own)
            .at_second(9.0)
            .watch_shows(&later)
            .at_second(10.0),
    );
    assert_eq!(report.pod.unwrap().container.as_deref(), Some("app"));
}

fn as_pause(scene: Scene) -> Scene {
    let mut process = Who::Main.process();
    process.comm = "pause".to_owned();
    let mut stop = super::scene::signal_sent(Who::Runc, Who::Main, 9, FATAL);
    if let crate::event::EventKind::Signal(sent) = &mut stop {
        sent.target = process.clone();
    }
    let exit = crate::event::EventKind::Exit(crate::event::Exit {
        process: process.clone(),
        status: crate::event::ExitStatus::Signal {
            signal: Signal::KILL,
            core_dumped: false,
        },
        executed: true,
        pending: None,
        ns_reboot: None,
    });
    scene
        .at_second(1.0)
        .happens(super::scene::exec_event(process, "/pause"))
        .at_second(10.0)
        .happens(stop)
        .happens(exit)
        .removed()
}

#[test]
fn pause_is_a_container_only_if_a_status_names_it() {
    let own = pod_with_grace(30);
    assert_eq!(
        as_pause(Scene::of_pod().watch_shows(&own)).report().outcome,
        Outcome::ForceKilled
    );
    let mut unnamed = own.clone();
    unnamed.containers[0].ids = vec![container_id(1)];
    as_pause(Scene::of_pod().watch_shows(&unnamed)).no_report();
    as_pause(Scene::of_pod()).no_report();
}

fn disrupted(own: &Pod, disruption: Disruption) -> Pod {
    Pod {
        disruption: Some(disruption),
        ..own.clone()
    }
}

#[test]
fn a_disruption_is_the_reason_with_a_deletion_and_without() {
    for (disruption, trigger) in [
        (Disruption::Evicted, Trigger::Evicted),
        (Disruption::Preempted, Trigger::Preempted),
        (Disruption::NodeShutdown, Trigger::NodeShutdown),
    ] {
        let own = pod_with_grace(30);
        let by_api = disrupted(&deleted(&own, 10.0, 30), disruption);
        let report = stopped(Scene::running_in(&own).at_second(10.1).watch_shows(&by_api));
        assert_eq!(report.trigger, trigger);
        let by_kubelet = disrupted(&own, disruption);
        let report = stopped(
            Scene::running_in(&own)
                .at_second(10.1)
                .watch_shows(&by_kubelet),
        );
        assert_eq!(report.trigger, trigger);
        assert_eq!(report.grace, None);
    }
}

/// The kubelet's own grace for an eviction is told by nobody.
#[test]
fn the_grace_of_an_eviction_is_concluded_from_whole_seconds_and_doubted() {
    let own = pod_with_grace(30);
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .stop(IGNORED)
        .at_second(10.1)
        .watch_shows(&disrupted(&own, Disruption::Evicted))
        .at_second(12.01)
        .kill_by_another()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::SignalIgnored);
    assert_eq!(report.kill.unwrap().cause, KillCause::GraceExpired);
    assert_eq!(report.doubts, [Doubt::GraceUnknown]);
}

/// `kubectl delete --force --grace-period=0`: the object goes at once, and the kubelet learns it from that.
#[test]
fn a_pod_whose_object_goes_while_it_lives_was_deleted() {
    for waited in [2.01, 30.01] {
        let report = Scene::running_in(&pod_with_grace(30))
            .at_second(10.0)
            .pod_gone()
            .at_second(10.2)
            .stop(IGNORED)
            .at_second(10.2 + waited)
            .kill_by_another()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report();
        assert_eq!(report.trigger, Trigger::Deleted);
        assert_eq!(report.started_at, seconds(10.0));
        assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
        assert_eq!(report.pod.as_ref().unwrap().name, "web-1");
        assert_eq!(doubts(&report), []);
    }
}

#[test]
fn what_the_kubelet_says_of_a_probe_is_the_reason_and_its_grace_counts() {
    let mut own = pod_with_grace(60);
    own.containers[0].liveness_grace = Some(secs(5.0));
    let report = Scene::running_in(&own)
        .at_second(10.3)
        .kubelet_reports(KubeletEventKind::LivenessFailed, 10.0)
        .at_second(10.4)
        .stop(HANDLED)
        .at_second(15.41)
        .kill_by_another()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.trigger, Trigger::Liveness);
    assert_eq!(report.start_source, Start::Killing);
    assert_eq!(report.started_at, seconds(10.3));
    assert_eq!(report.grace.as_ref().unwrap().configured, secs(5.0));
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
    assert_eq!(report.doubts, []);
    for (kind, trigger) in [
        (KubeletEventKind::StartupFailed, Trigger::StartupProbe),
        (KubeletEventKind::PostStartFailed, Trigger::PostStart),
        (KubeletEventKind::Restarted, Trigger::Restarted),
        (KubeletEventKind::Stopping, Trigger::Unknown),
    ] {
        let scene = Scene::running_in(&own)
            .at_second(10.3)
            .kubelet_reports(kind, 10.0);
        assert_eq!(stopped(scene).trigger, trigger);
    }
}

/// Without the right to watch Events the reason stays unknown, and each grace that the pod has is possible.
#[test]
fn a_probes_grace_is_possible_where_no_reason_is_told() {
    let mut own = pod_with_grace(60);
    own.containers[0].liveness_grace = Some(secs(5.0));
    let killed_after = |waited: f64| {
        Scene::running_in(&own)
            .at_second(10.0)
            .stop(HANDLED)
            .at_second(10.0 + waited)
            .kill_by_another()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report()
    };
    for grace in [5.0, 60.0] {
        let report = killed_after(grace + 0.01);
        assert_eq!(report.trigger, Trigger::Unknown);
        assert_eq!(report.outcome, Outcome::GraceExceeded);
        assert_eq!(report.grace.unwrap().configured, secs(grace));
        assert_eq!(report.doubts, []);
    }
    assert_eq!(killed_after(5.6).outcome, Outcome::GraceExceeded);
    assert_eq!(killed_after(8.5).outcome, Outcome::KilledByOther);
}

#[test]
fn a_word_about_the_container_before_is_not_about_this_one() {
    let own = pod_with_grace(30);
    let scene = Scene::of_pod()
        .at_second(0.05)
        .watch_shows(&own)
        .kubelet_reports(KubeletEventKind::LivenessFailed, 0.0)
        .running();
    assert_eq!(stopped(scene.at_second(10.0)).trigger, Trigger::Unknown);
}

#[test]
fn a_second_deletion_with_a_shorter_grace_does_not_change_the_grace() {
    let own = pod_with_grace(30);
    let twice = |waited: f64| {
        Scene::running_in(&own)
            .at_second(10.1)
            .watch_shows(&deleted(&own, 10.0, 30))
            .at_second(10.2)
            .stop(IGNORED)
            .at_second(12.0)
            .watch_shows(&deleted(&own, 12.0, 5))
            .at_second(10.2 + waited)
            .kill_by_another()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report()
    };
    let report = twice(30.01);
    assert_eq!(report.grace.unwrap().configured, secs(30.0));
    assert_eq!(report.started_at, seconds(10.1));
    assert_eq!(twice(5.01).kill.unwrap().cause, KillCause::GraceExpired);
}

/// The object of a static pod is a picture that the kubelet makes; deleting it does not stop the pod.
#[test]
fn a_static_pod_is_found_by_its_hash_and_not_stopped_by_a_deletion() {
    let mut own = pod_with_grace(30);
    own.cgroup_uid = Some(UID.to_owned());
    own.uid = "99999999-2222-3333-4444-555555555555".to_owned();
    let gone = |seen_at| Input::PodGone {
        uid: own.uid.clone(),
        seen_at,
        listed: false,
    };
    let mut again = own.clone();
    again.uid = "88888888-2222-3333-4444-555555555555".to_owned();
    Scene::running_in(&own)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 30))
        .receives(gone(seconds(10.0)))
        .watch_shows(&again)
        .no_report();
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(12.0)
        .receives(gone(seconds(12.0)))
        .report();
    assert_eq!(report.pod.as_ref().unwrap().uid, own.uid);
    assert_eq!(report.trigger, Trigger::Deleted);
    assert_eq!(report.start_source, Start::StopSignal);
}

#[test]
fn a_stop_signal_of_the_pods_own_is_asked_for_and_known() {
    let mut own = pod_with_grace(30);
    let usr1: Signal = "SIGUSR1".parse().unwrap();
    own.containers[0].stop_signal = Some(usr1);
    let scene = Scene::of_pod()
        .running()
        .at_second(2.0)
        .watch_shows(&own)
        .at_second(10.0);
    let asked = |output: &Output| matches!(output, Output::Effect(Effect::Track { begins, .. }) if begins.contains(&usr1));
    assert_eq!(scene.said.iter().filter(|said| asked(said)).count(), 1);
    let report = scene
        .sends_signal(Who::Runc, Who::Main, 10, HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.stop_signal.unwrap().signal, usr1);
}

#[test]
fn an_init_container_that_completes_says_what_it_was() {
    let mut own = pod_with_grace(30);
    own.containers[0] = container("setup", Role::Init, 0);
    own.containers.push(container("app", Role::Main, 1));
    let scene = Scene::running_in(&own)
        .at_second(5.0)
        .exits_with_code(Who::Main, 0);
    let report = scene.removed().report();
    assert_eq!(report.outcome, Outcome::Completed);
    assert_eq!(report.trigger, Trigger::Completed);
    assert_eq!(report.pod.unwrap().role, Some(Role::Init));
}

#[test]
fn a_runtime_that_hides_its_processes_is_doubted() {
    let mut own = pod_with_grace(30);
    own.runtime_class = Some("gvisor".to_owned());
    let ended = |program: &str| {
        Scene::of_pod()
            .watch_shows(&own)
            .at_second(1.0)
            .execs_command(Who::Main, program)
            .at_second(10.0)
            .watch_shows(&deleted(&own, 10.0, 30))
            .kill_by_another()
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report()
            .doubts
    };
    assert_eq!(ended("runsc-sandbox --root=/x"), [Doubt::RuntimeOpaque]);
    assert_eq!(ended("/app"), []);
}

/// A second termination of the same pod is another container in another cgroup.
#[test]
fn a_restart_is_another_report() {
    let mut own = pod_with_grace(30);
    let (_, reports) = Scene::running_in(&own)
        .at_second(10.0)
        .exits_with_code(Who::Main, 1)
        .removed()
        .at_second(12.0)
        .other_running(1)
        .watch_shows(&{
            own.containers[0].ids = vec![container_id(1), container_id(0)];
            own.clone()
        })
        .at_second(20.0)
        .watch_shows(&deleted(&own, 20.0, 30))
        .other_stops(1)
        .finish();
    let seen: Vec<_> = reports
        .iter()
        .map(|one| (one.outcome, one.subject.container_id.clone()))
        .collect();
    assert_eq!(
        seen,
        [
            (Outcome::Crashed, Some(container_id(0))),
            (Outcome::Graceful, Some(container_id(1)))
        ]
    );
    assert!(
        reports
            .iter()
            .all(|one| { one.pod.as_ref().unwrap().container.as_deref() == Some("app") })
    );
}

#[test]
fn pods_are_bounded_and_forgotten_with_their_last_container() {
    let mut config = config(Vec::new());
    config.pods = true;
    config.limits = Limits {
        pods_max: 1,
        ..Limits::default()
    };
    let stranger = Pod {
        uid: "stranger".to_owned(),
        ..pod_with_grace(30)
    };
    let dropped = |scene: &Scene| {
        let full = |output: &&Output| {
            matches!(
                output,
                Output::Dropped {
                    reason: DropReason::PodsFull,
                    ..
                }
            )
        };
        scene.said.iter().filter(full).count()
    };
    let scene = Scene::with_config(config)
        .watch_shows(&stranger)
        .receives(cgroup_created(super::scene::CONTAINER, &path(0)))
        .at_second(0.5)
        .watch_shows(&pod_with_grace(30));
    assert_eq!(dropped(&scene), 1);
    let scene = scene.watch_shows(&stranger);
    assert_eq!(dropped(&scene), 2);
    let scene = scene
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0);
    assert_eq!(scene.pod_count(), 1);
    let scene = scene.removed().pod_gone().at_second(20.0);
    assert_eq!(scene.pod_count(), 0);
    assert_eq!(finding_kinds(&reports(&scene.said)[0]), []);
}

/// In local mode on a node of Kubernetes a path may have a pod, and nobody tells of it.
#[test]
fn where_pods_are_not_told_nothing_waits_for_them() {
    let scene = Scene::with_config(config(Vec::new()))
        .receives(cgroup_created(super::scene::CONTAINER, &path(0)))
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(11.1);
    let all = reports(&scene.said);
    assert_eq!(all[0].trigger, Trigger::Stopped);
    assert_eq!(all[0].doubts, []);
}

/// A shared pid namespace: the main process is not PID 1, exits with status 0, and something was executed beside it.
#[test]
fn a_container_ends_with_its_main_process_although_another_process_is_left() {
    let own = pod_with_grace(30);
    let report = Scene::of_pod()
        .watch_shows(&own)
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(5.0)
        .execs_command(Who::Daemon, "debug")
        .at_second(10.0)
        .exits_with_code(Who::Plain, 0)
        .sends_signal(Who::Runc, Who::Daemon, 9, FATAL)
        .dies_by_signal(Who::Daemon, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Completed);
    assert_eq!(report.main.unwrap().argv, ["/app"]);
}

/// An agent that starts in the middle of a termination.
fn found_while_it_ends() -> Scene {
    let mut config = config(Vec::new());
    config.pods = true;
    Scene::with_config(config)
        .at_second(12.0)
        .receives(Input::CgroupFound {
            cgroup: super::scene::CONTAINER,
            parent: crate::event::CgroupId(1),
            path: path(0),
        })
        .receives(Input::ScanFinished)
        .list_shows(&deleted(&pod_with_grace(30), 10.0, 30))
        .at_second(12.5)
        .finds_processes(&[Who::Main])
}

#[test]
fn of_a_container_that_was_stopped_before_anybody_watched_the_outcome_is_not_known() {
    let exited = found_while_it_ends()
        .at_second(15.0)
        .exits_with_code(Who::Main, 0);
    let killed = found_while_it_ends()
        .at_second(40.0)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9);
    for scene in [exited, killed] {
        let report = scene.removed().report();
        assert_eq!(report.outcome, Outcome::Unknown);
        assert_eq!(report.trigger, Trigger::Deleted);
        assert_eq!(report.doubts, [Doubt::SeenLate]);
        assert_eq!(finding_kinds(&report), []);
    }
}

/// Its definition changed: the status tells of the next container while the report of this one waits.
#[test]
fn the_stop_signal_of_the_next_container_is_not_its_own() {
    let mut own = pod_with_grace(30);
    own.containers[0].stop_signal = Some(Signal::TERM);
    let mut next = own.clone();
    next.containers[0].stop_signal = Signal::try_from(3).ok();
    next.containers[0].ids.insert(0, container_id(5));
    let report = Scene::running_in(&own)
        .at_second(10.2)
        .kubelet_reports(KubeletEventKind::Restarted, 10.0)
        .at_second(10.3)
        .stop(HANDLED)
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .watch_shows(&next)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.stop_signal.unwrap().signal, Signal::TERM);
}
