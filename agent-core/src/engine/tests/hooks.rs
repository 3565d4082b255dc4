//! preStop hooks of pods, of every kind.

use std::time::Duration;

use super::findings::evidence;
use super::scene::{HANDLED, IGNORED, Scene, Who, doubts, finding_kinds};
use super::stage::{
    container, deleted, exec_hook, http_hook, pod_with_grace, seconds, sleep_hook, with_hook,
};
use crate::input::ProcessLimit;
use crate::output::{Effect, Output};
use crate::pod::{KubeletEventKind, Pod, PreStop, Role};
use crate::report::{
    Doubt, FindingKind, Hook, HookFailure, HookKind, HookMethod, KillCause, Outcome, Report, Start,
};

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A pod that was deleted at the 10th second.
fn deleted_at_10(own: &Pod) -> Scene {
    let grace = own.grace.as_secs();
    Scene::running_in(own)
        .at_second(10.0)
        .watch_shows(&deleted(own, 10.0, grace))
}

fn stopped_at(scene: Scene, at: f64) -> Report {
    scene
        .at_second(at)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report()
}

fn hook_of_report(report: &Report) -> &Hook {
    report.hook.as_ref().expect("there is a hook")
}

#[test]
fn a_match_before_the_deletion_was_a_probe() {
    let own = with_hook(30, exec_hook("check"));
    let probed = Scene::running_in(&own)
        .at_second(8.0)
        .execs_command(Who::Probe, "check")
        .exits_with_code(Who::Probe, 0)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 30));
    let report = stopped_at(
        probed
            .at_second(10.1)
            .execs_command(Who::Hook, "check")
            .at_second(11.1)
            .exits_with_code(Who::Hook, 0),
        11.2,
    );
    assert_eq!(hook_of_report(&report).tgid, Some(Who::Hook.process().tgid));
    assert_eq!(report.hook_duration(), Some(secs(1.0)));
    assert_eq!(report.start_source, Start::Deletion);
    assert_eq!(report.doubts, []);
    let report = stopped_at(
        Scene::running_in(&own)
            .at_second(8.0)
            .execs_command(Who::Probe, "check")
            .exits_with_code(Who::Probe, 0)
            .at_second(10.0)
            .watch_shows(&deleted(&own, 10.0, 30)),
        10.1,
    );
    assert_eq!(report.hook, None);
}

/// The time of a deletion is cut to a second, so that a probe may seem to have come after it.
#[test]
fn what_the_stop_signal_does_not_follow_was_a_probe() {
    let own = with_hook(30, exec_hook("check"));
    let probed = || {
        Scene::running_in(&own)
            .at_second(10.6)
            .execs_command(Who::Probe, "check")
    };
    let before = probed()
        .at_second(10.7)
        .exits_with_code(Who::Probe, 0)
        .at_second(10.9)
        .watch_shows(&deleted(&own, 10.0, 30))
        .execs_command(Who::Hook, "check");
    let during = probed()
        .at_second(10.9)
        .watch_shows(&deleted(&own, 10.0, 30))
        .execs_command(Who::Hook, "check")
        .at_second(11.6)
        .exits_with_code(Who::Probe, 0);
    for scene in [before, during] {
        let report = stopped_at(scene.at_second(11.9).exits_with_code(Who::Hook, 0), 11.92);
        assert_eq!(hook_of_report(&report).tgid, Some(Who::Hook.process().tgid));
        assert_eq!(report.hook_duration(), Some(secs(1.0)));
        assert_eq!(report.doubts, []);
    }
    let at_the_end = probed()
        .at_second(10.9)
        .watch_shows(&deleted(&own, 10.0, 30))
        .execs_command(Who::Hook, "check")
        .at_second(11.89)
        .exits_with_code(Who::Probe, 0)
        .at_second(11.9)
        .exits_with_code(Who::Hook, 0);
    let report = stopped_at(at_the_end, 11.92);
    assert_eq!(report.doubts, [Doubt::HookUncertain]);
}

/// A liveness probe that is written like the hook, each second.
#[test]
fn probes_like_the_hook_open_nothing_and_are_kept_within_bounds() {
    let own = with_hook(30, exec_hook("check"));
    let mut scene = Scene::running_in(&own);
    for number in 0..200_u32 {
        let mut process = Who::Probe.process();
        process.tgid = crate::event::Tgid(5000 + number);
        let exit = crate::event::Exit {
            process: process.clone(),
            status: crate::event::ExitStatus::Code(0),
            executed: true,
            pending: None,
            ns_reboot: None,
        };
        scene = scene
            .at_second(10.0 + f64::from(number))
            .happens(super::scene::exec_event(process, "check"))
            .happens(crate::event::EventKind::Exit(exit));
    }
    let told = |output: &Output| matches!(output, Output::Progress(_));
    assert!(!scene.said.iter().any(told));
    assert!(scene.processes() <= 33);
    let report = stopped_at(scene, 230.0);
    assert_eq!(report.hook, None);
}

#[test]
fn a_hook_of_a_probes_kill_is_known_without_any_word() {
    let own = with_hook(30, exec_hook("flush"));
    let scene = Scene::running_in(&own)
        .at_second(10.0)
        .execs_command(Who::Hook, "flush")
        .at_second(12.0)
        .exits_with_code(Who::Hook, 0);
    let report = stopped_at(scene, 12.1);
    assert_eq!(report.start_source, Start::Hook);
    assert_eq!(report.hook_duration(), Some(secs(2.0)));
}

pub(super) fn missing() -> Report {
    let own = with_hook(30, exec_hook("/no/such"));
    stopped_at(
        deleted_at_10(&own).at_second(10.1).fails_to_run(Who::Hook),
        10.2,
    )
}

#[test]
fn a_hook_without_its_program_is_missing() {
    let report = missing();
    assert_eq!(hook_of_report(&report).failure, Some(HookFailure::Missing));
    assert_eq!(hook_of_report(&report).argv, ["/no/such"]);
    assert_eq!(finding_kinds(&report), [FindingKind::HookMissing]);
    assert_eq!(report.outcome, Outcome::Graceful);
    let own = with_hook(30, exec_hook("/no/such"));
    let probe = Scene::running_in(&own)
        .at_second(8.0)
        .fails_to_run(Who::Probe)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 30));
    assert_eq!(stopped_at(probe, 10.1).hook, None);
    let early = Scene::running_in(&own)
        .at_second(8.0)
        .fails_to_run(Who::Probe);
    assert_eq!(stopped_at(early, 10.1).hook, None);
    let told_of_later = stopped_at(
        Scene::of_pod()
            .running()
            .at_second(10.1)
            .fails_to_run(Who::Hook)
            .at_second(10.2)
            .list_shows(&deleted(&own, 10.0, 30)),
        10.3,
    );
    assert_eq!(
        hook_of_report(&told_of_later).failure,
        Some(HookFailure::Missing)
    );
}

#[test]
fn without_a_deletion_it_is_the_one_failure_right_before_the_stop_signal() {
    let local = Scene::with_grace_and_hook(30, Some("/no/such")).running();
    let report = stopped_at(local.at_second(10.1).fails_to_run(Who::Hook), 10.2);
    assert_eq!(finding_kinds(&report), [FindingKind::HookMissing]);
    assert_eq!(doubts(&report), []);
    let cloned = Scene::with_grace_and_hook(30, Some("/no/such"))
        .running()
        .at_second(10.1);
    let report = stopped_at(cloned.fails_to_run_unattached(Who::Hook), 10.2);
    assert_eq!(finding_kinds(&report), [FindingKind::HookMissing]);
    assert_eq!(doubts(&report), []);
    let own = with_hook(30, exec_hook("/no/such"));
    let probed = Scene::running_in(&own)
        .at_second(5.0)
        .fails_to_run(Who::Probe)
        .at_second(10.1)
        .fails_to_run(Who::Hook);
    let report = stopped_at(probed, 10.2);
    assert_eq!(finding_kinds(&report), [FindingKind::HookMissing]);
    assert_eq!(doubts(&report), [Doubt::HookUncertain]);
}

#[test]
fn a_failure_of_which_only_the_kubelet_tells_is_reported() {
    let own = with_hook(30, exec_hook("/no/such"));
    let scene = Scene::running_in(&own)
        .at_second(10.1)
        .kubelet_reports(KubeletEventKind::LivenessFailed, 10.0)
        .kubelet_reports(KubeletEventKind::PreStopFailed, 10.0);
    let report = stopped_at(scene, 10.2);
    assert_eq!(hook_of_report(&report).failure, Some(HookFailure::Reported));
    assert_eq!(finding_kinds(&report), [FindingKind::HookFailed]);
}

#[test]
fn a_sleep_lasts_from_the_deletion_to_the_stop_signal() {
    let report = stopped_at(deleted_at_10(&with_hook(30, sleep_hook(5))), 15.03);
    assert_eq!(hook_of_report(&report).kind, HookKind::Sleep);
    assert_eq!(hook_of_report(&report).method, HookMethod::Inferred);
    assert_eq!(hook_of_report(&report).argv, ["sleep", "5s"]);
    assert_eq!(report.hook_duration(), Some(secs(5.03)));
    assert_eq!(report.findings, []);
    assert_eq!(report.doubts, []);
    assert_eq!(report.grace.unwrap().after_hook, secs(25.0));
}

/// The suite of Kubernetes itself showed this: the deletion was seen 14 ms after the kubelet had begun, and 50 s were left.
#[test]
fn a_pause_takes_all_of_its_seconds_off_the_grace_period() {
    let left = |stop: f64| {
        let own = with_hook(100, sleep_hook(50));
        let report = stopped_at(deleted_at_10(&own), stop);
        report.grace.unwrap().after_hook
    };
    assert_eq!(left(59.986), secs(50.0));
    assert_eq!(left(60.01), secs(50.0));
    // It was no whole pause.
    assert_eq!(left(40.5), secs(70.0));
}

/// After the deletion the kubelet waits up to a second for news of the pod before it begins.
#[test]
fn a_sleep_begins_with_the_kubelets_word() {
    let slept = |heard: f64, happened: f64| {
        let scene = deleted_at_10(&with_hook(30, sleep_hook(5)))
            .at_second(heard)
            .kubelet_reports(KubeletEventKind::Stopping, happened);
        stopped_at(scene, 16.03)
    };
    let report = slept(11.02, 11.0);
    assert_eq!(report.hook_duration(), Some(secs(5.01)));
    assert_eq!(report.started_at, seconds(10.0));
    assert_eq!(report.start_source, Start::Deletion);
    // The word was late: the pause was as long as configured all the same.
    assert_eq!(slept(11.8, 11.0).hook_duration(), Some(secs(5.0)));
    let cut_off = Scene::running_in(&with_hook(30, sleep_hook(20)))
        .at_second(10.0)
        .watch_shows(&deleted(&with_hook(30, sleep_hook(20)), 10.0, 3))
        .at_second(11.02)
        .kubelet_reports(KubeletEventKind::Stopping, 11.0);
    let report = stopped_at(cut_off, 14.03);
    assert_eq!(hook_of_report(&report).started_at, Some(seconds(11.02)));
    assert!(hook_of_report(&report).running_at_stop_signal);
    let asked = deleted_at_10(&with_hook(5, http_hook(8080)))
        .at_second(11.02)
        .kubelet_reports(KubeletEventKind::Stopping, 11.0);
    let report = stopped_at(asked, 14.9);
    assert_eq!(report.hook_duration(), Some(secs(3.88)));
    assert_eq!(report.findings, []);
}

#[test]
fn a_sleep_goes_on_after_the_exit() {
    let report = deleted_at_10(&with_hook(30, sleep_hook(5)))
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::ExitedEarly);
    assert_eq!(hook_of_report(&report).ended_at, None);
    assert!(!hook_of_report(&report).running_at_stop_signal);
}

#[test]
fn a_sleep_longer_than_the_grace_is_running_at_the_stop_signal() {
    let own = with_hook(30, sleep_hook(20));
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 4))
        .at_second(14.02)
        .stop(IGNORED)
        .at_second(16.03)
        .kill_by_another()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert!(hook_of_report(&report).running_at_stop_signal);
    assert_eq!(report.hook_duration(), None);
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
    assert_eq!(
        finding_kinds(&report),
        [FindingKind::SignalIgnored, FindingKind::HookOverran]
    );
    assert_eq!(
        report.findings[1].evidence,
        "The preStop sleep hook (20s) was still running when SIGTERM came, 4.020 s after its start; of the grace period of 4.000 s, 2.000 s were left for the exit."
    );
}

#[test]
fn a_sleep_that_leaves_less_than_the_floor_overran() {
    let report = Scene::running_in(&with_hook(6, sleep_hook(5)))
        .at_second(10.0)
        .watch_shows(&deleted(&with_hook(6, sleep_hook(5)), 10.0, 6))
        .at_second(15.03)
        .stop(IGNORED)
        .at_second(17.05)
        .kill_by_another()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
    assert!(report.grace.as_ref().unwrap().floor_used);
    assert_eq!(
        finding_kinds(&report),
        [FindingKind::SignalIgnored, FindingKind::HookOverran]
    );
}

/// RestartAllContainers: no hook, and the least that the kubelet leaves.
#[test]
fn a_restart_of_all_containers_has_no_hook() {
    let report = Scene::running_in(&with_hook(30, sleep_hook(5)))
        .at_second(10.2)
        .kubelet_reports(KubeletEventKind::Restarted, 10.0)
        .at_second(10.3)
        .stop(IGNORED)
        .at_second(12.31)
        .kill_by_another()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.hook, None);
    assert_eq!(report.kill.unwrap().cause, KillCause::GraceExpired);
}

#[test]
fn a_request_begins_with_the_kubelets_connection() {
    let own = with_hook(30, http_hook(8080));
    let scene = Scene::running_in(&own);
    let awaited = |output: &Output| {
        matches!(
            output,
            Output::Effect(Effect::AwaitConnect { port: 8080, .. })
        )
    };
    assert_eq!(scene.said.iter().filter(|said| awaited(said)).count(), 1);
    let report = stopped_at(
        scene
            .at_second(5.0)
            .connected()
            .at_second(10.0)
            .watch_shows(&deleted(&own, 10.0, 30))
            .at_second(10.25)
            .connected()
            .at_second(10.5)
            .connected(),
        12.25,
    );
    assert_eq!(hook_of_report(&report).kind, HookKind::HttpGet);
    assert_eq!(hook_of_report(&report).argv, ["httpGet", ":8080/stop"]);
    assert_eq!(report.hook_duration(), Some(secs(2.0)));
    assert_eq!(report.started_at, seconds(10.0));
    let without = stopped_at(deleted_at_10(&own), 12.25);
    assert_eq!(without.hook_duration(), Some(secs(2.25)));
    assert_eq!(without.findings, []);
}

#[test]
fn connections_to_a_probes_port_are_not_asked_for() {
    let mut own = with_hook(30, http_hook(8080));
    own.containers[0].probe_ports = vec![8080];
    let awaited = |output: &Output| matches!(output, Output::Effect(Effect::AwaitConnect { .. }));
    assert!(!Scene::running_in(&own).said.iter().any(awaited));
}

#[test]
fn a_request_that_uses_up_the_grace_is_running_at_the_stop_signal() {
    let report = stopped_at(deleted_at_10(&with_hook(5, http_hook(8080))), 15.02);
    assert!(hook_of_report(&report).running_at_stop_signal);
    assert_eq!(finding_kinds(&report), [FindingKind::HookOverran]);
}

#[test]
fn a_request_that_failed_is_told_by_the_kubelet() {
    let scene = deleted_at_10(&with_hook(30, http_hook(8080)))
        .at_second(10.1)
        .kubelet_reports(KubeletEventKind::PreStopFailed, 10.0);
    let report = stopped_at(scene, 10.2);
    assert_eq!(hook_of_report(&report).failure, Some(HookFailure::Reported));
    assert_eq!(finding_kinds(&report), [FindingKind::HookFailed]);
    assert_eq!(
        report.findings[0].evidence,
        "The preStop httpGet hook (:8080/stop) failed: the kubelet got no answer to its request (`FailedPreStopHook`)."
    );
}

#[test]
fn a_tcp_hook_is_refused() {
    let report = stopped_at(deleted_at_10(&with_hook(30, PreStop::TcpSocket)), 10.1);
    assert_eq!(
        hook_of_report(&report).failure,
        Some(HookFailure::Unsupported)
    );
    assert_eq!(report.hook_duration(), None);
    assert_eq!(finding_kinds(&report), [FindingKind::HookFailed]);
}

fn sidecar(grace: u64, hook: Option<PreStop>) -> Pod {
    let mut own = pod_with_grace(grace);
    own.containers = vec![
        container("proxy", Role::Sidecar, 0),
        container("app", Role::Main, 1),
    ];
    own.containers[0].pre_stop = hook;
    own
}

/// A sidecar whose pod was deleted at the 10th second and whose main container went at this one.
fn main_gone_at(own: &Pod, at: f64) -> Scene {
    Scene::running_in(own)
        .at_second(2.0)
        .other_running(1)
        .at_second(10.0)
        .watch_shows(&deleted(own, 10.0, own.grace.as_secs()))
        .at_second(at)
        .other_stops(1)
}

fn of_sidecar(scene: Scene) -> Report {
    let (_, reports) = scene.removed().finish();
    let is_sidecar = |one: &Report| one.pod.as_ref().unwrap().role == Some(Role::Sidecar);
    reports.into_iter().find(is_sidecar).expect("a report")
}

#[test]
fn a_sidecars_hook_does_not_include_the_wait_for_others() {
    let stop = |scene: Scene, at: f64| {
        of_sidecar(
            scene
                .at_second(at)
                .stop(HANDLED)
                .exits_with_code(Who::Main, 0),
        )
    };
    let slept = stop(main_gone_at(&sidecar(30, Some(sleep_hook(3))), 18.0), 18.1);
    assert_eq!(slept.hook_duration(), Some(secs(3.0)));
    let asked = stop(
        main_gone_at(&sidecar(30, Some(http_hook(8080))), 18.0),
        18.1,
    );
    assert_eq!(asked.hook_duration(), None);
    assert!(!hook_of_report(&asked).running_at_stop_signal);
    let decided = stop(
        main_gone_at(&sidecar(30, Some(http_hook(8080))), 12.0),
        18.1,
    );
    assert_eq!(decided.hook_duration(), Some(secs(8.1)));
    assert_eq!(doubts(&decided), []);
}

#[test]
fn the_wait_for_others_is_taken_from_a_sidecars_grace() {
    let killed = |own: &Pod, gone: f64, stop: f64, waited: f64| {
        of_sidecar(
            main_gone_at(own, gone)
                .at_second(stop)
                .stop(IGNORED)
                .at_second(stop + waited)
                .kill_by_another()
                .dies_by_signal(Who::Main, 9),
        )
    };
    let report = killed(&sidecar(30, None), 18.5, 18.6, 22.01);
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
    assert_eq!(report.grace.unwrap().after_hook, secs(22.0));
    let report = killed(&sidecar(30, Some(sleep_hook(3))), 18.5, 18.6, 22.01);
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
    assert_eq!(report.grace.unwrap().after_hook, secs(22.0));
    let report = killed(&sidecar(30, None), 18.5, 18.6, 15.01);
    assert_eq!(report.kill.unwrap().cause, KillCause::Other);
    let floor = killed(&sidecar(8, None), 18.0, 18.1, 2.01);
    assert_eq!(floor.kill.unwrap().cause, KillCause::GraceExpired);
    assert!(floor.grace.unwrap().floor_used);
}

/// The hook of a sidecar runs with the others', its stop signal comes after theirs, and no deletion may be known.
#[test]
fn a_sidecars_exec_hook_is_not_forgotten_while_it_waits() {
    let own = sidecar(30, Some(exec_hook("drain")));
    let report = of_sidecar(
        Scene::running_in(&own)
            .at_second(10.0)
            .execs_command(Who::Hook, "drain")
            .at_second(11.0)
            .exits_with_code(Who::Hook, 0)
            .at_second(25.0)
            .stop(HANDLED)
            .exits_with_code(Who::Main, 0),
    );
    assert_eq!(report.hook_duration(), Some(secs(1.0)));
}

/// The process of the runtime for the hook ends with this status, when the container has so many processes of 20.
fn fails_near_limit(current: u64, refused: u64) -> Report {
    let own = with_hook(30, exec_hook("flush"));
    let scene = deleted_at_10(&own).at_second(10.1).fails_to_run(Who::Hook);
    let asked = |output: &Output| matches!(output, Output::Effect(Effect::ReadProcessLimit { .. }));
    assert!(scene.said.iter().any(asked));
    let limit = ProcessLimit {
        current,
        max: 20,
        refused,
    };
    stopped_at(scene.reports_process_limit(limit), 10.2)
}

#[test]
fn a_hook_that_the_limit_of_processes_kept_from_its_program_is_not_missing() {
    let report = fails_near_limit(18, 3);
    assert_eq!(
        hook_of_report(&report).failure,
        Some(HookFailure::NotStarted)
    );
    assert_eq!(finding_kinds(&report), [FindingKind::HookFailed]);
    assert!(
        evidence(&report, FindingKind::HookFailed)
            .contains("at its limit of processes (18 of 20, and 3 were refused by then)")
    );
    for (current, refused) in [(3, 3), (20, 0)] {
        let report = fails_near_limit(current, refused);
        assert_eq!(finding_kinds(&report), [FindingKind::HookMissing]);
    }
}
