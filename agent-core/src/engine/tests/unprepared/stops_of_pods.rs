//! Stops of pods, beside those of others.

use super::super::scene::{
    BY_KERNEL, CONTAINER, FATAL, HANDLED, QUEUED, Scene, Who, doubts, finding_kinds, signal_sent,
};
use super::super::stage::{deleted, pod_with_grace, seconds};
use super::{INT, QUIT, RTMIN3, TERM, by, is_certain};
use crate::event::{EventKind, Exit, SignalSent};
use crate::input::Input;
use crate::pod::KubeletEventKind;
use crate::report::{FindingKind, Outcome, Trigger};
use crate::signal::{Signal, SignalSet};
use std::time::Duration;

/// A liveness probe fails, and the pod is deleted while the container drains.
#[test]
fn a_deletion_in_the_middle_of_a_liveness_kill() {
    let own = pod_with_grace(30);
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .kubelet_reports(KubeletEventKind::LivenessFailed, 10.0)
        .at_second(10.02)
        .stop(HANDLED)
        .at_second(15.0)
        .watch_shows(&deleted(&own, 15.0, 30))
        .at_second(20.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.trigger, Trigger::Liveness);
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(
        report.stop_signal_to_exit(),
        Some(Duration::from_millis(9980))
    );
}

/// It crashes by itself right before the pod is deleted.
#[test]
fn a_crash_right_before_a_deletion() {
    let own = pod_with_grace(30);
    let report = Scene::running_in(&own)
        .at_second(9.99)
        .exits_with_code(Who::Main, 1)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 30))
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Crashed);
    assert_eq!(report.trigger, Trigger::Crashed);
}

/// grace 0 in the spec: SIGKILL two seconds after SIGTERM.
#[test]
fn a_grace_of_nothing_has_the_floor() {
    let own = pod_with_grace(0);
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 0))
        .at_second(10.02)
        .stop(HANDLED)
        .at_second(12.04)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(doubts(&report), []);
}

/// The program is killed by a person while the kubelet waits.
#[test]
fn a_person_kills_in_the_grace_period() {
    let own = pod_with_grace(30);
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 30))
        .at_second(10.02)
        .stop(HANDLED)
        .at_second(14.6)
        .kill_by_another()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::KilledByOther);
    assert_eq!(doubts(&report), []);
}

/// The image's stop signal is SIGQUIT, of which the status does not tell; it drains for longer than 90 s.
#[test]
fn a_long_drain_of_a_pod_after_sigquit() {
    let own = pod_with_grace(300);
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 300))
        .at_second(10.02)
        .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED)
        .at_second(130.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(doubts(&report), []);
}

/// systemd in a pod: SIGRTMIN+3 of the image, and it powers off.
#[test]
fn systemd_in_a_pod_powers_off() {
    let own = pod_with_grace(30);
    let EventKind::Signal(told) = signal_sent(Who::Runc, Who::Main, RTMIN3, QUEUED) else {
        panic!("a signal");
    };
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 30))
        .at_second(10.02)
        .happens(EventKind::Signal(SignalSent {
            blocked: true,
            ..told
        }))
        .at_second(12.0)
        .sends_signal(Who::Main, Who::Main, 9, BY_KERNEL)
        .happens(EventKind::Exit(Exit {
            process: Who::Main.process(),
            status: by(9),
            executed: true,
            pending: Some(SignalSet(0)),
            ns_reboot: Signal::try_from(INT).ok(),
        }))
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(doubts(&report), []);
}

/// A container that is restarted by its own crash while the pod is not deleted, and is stopped later, in a cgroup of its own.
#[test]
fn a_deletion_during_the_start_of_the_container() {
    let own = pod_with_grace(30);
    let report = Scene::of_pod()
        .at_second(0.5)
        .watch_shows(&own)
        .at_second(10.0)
        .attached(Who::Main)
        .at_second(10.01)
        .watch_shows(&deleted(&own, 10.0, 30))
        .at_second(10.05)
        .execs_command(Who::Main, "/app")
        .at_second(10.06)
        .stop(FATAL)
        .dies_by_signal(Who::Main, TERM)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.trigger, Trigger::Deleted);
}

/// A probe's grace period counts although the pod is deleted in the middle of it.
#[test]
fn a_deletion_in_the_middle_of_a_liveness_kill_with_a_grace_of_its_own() {
    let mut own = pod_with_grace(30);
    own.containers[0].liveness_grace = Some(Duration::from_secs(4));
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .kubelet_reports(KubeletEventKind::LivenessFailed, 10.0)
        .at_second(10.02)
        .stop(HANDLED)
        .at_second(12.0)
        .watch_shows(&deleted(&own, 12.0, 30))
        .at_second(14.03)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.trigger, Trigger::Liveness);
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(doubts(&report), []);
}

/// The agent is started again in the middle of a pod's stop, which ends with SIGKILL.
#[test]
fn the_agent_starts_in_the_middle_of_a_pods_stop() {
    let own = pod_with_grace(30);
    let report = Scene::of_pod()
        .at_second(20.0)
        .receives(Input::Tracked {
            container: CONTAINER,
            since: seconds(20.0),
        })
        .list_shows(&deleted(&own, 10.0, 30))
        .finds_processes(&[Who::Main])
        .at_second(40.03)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert!(!is_certain(&report), "{:?}", report.outcome);
}

/// A person kills the main process of a pod that nobody asked to stop, and the kubelet says nothing.
#[test]
fn a_person_kills_a_pods_process() {
    let own = pod_with_grace(30);
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .kill_by_another()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::ForceKilled);
    assert_eq!(doubts(&report), []);
}

/// A `kubectl exec` sends SIGTERM to PID 1 of a pod's container, and its drain takes a second.
#[test]
fn a_kubectl_exec_stops_it() {
    let own = pod_with_grace(30);
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .execs_command(Who::Visitor, "kill 1")
        .sends_signal(Who::Visitor, Who::Main, TERM, HANDLED)
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert!(finding_kinds(&report).contains(&FindingKind::StoppedFromInside));
    assert_eq!(report.stop_signal_to_exit(), Some(Duration::from_secs(1)));
}

/// The same right before the pod is deleted: the kubelet's SIGTERM finds it in its drain.
#[test]
fn a_kubectl_exec_stops_it_before_the_deletion() {
    let own = pod_with_grace(30);
    let report = Scene::running_in(&own)
        .at_second(10.0)
        .execs_command(Who::Visitor, "kill 1")
        .sends_signal(Who::Visitor, Who::Main, TERM, HANDLED)
        .at_second(12.0)
        .watch_shows(&deleted(&own, 12.0, 30))
        .at_second(12.02)
        .stop(HANDLED)
        .at_second(13.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.trigger, Trigger::Deleted);
    assert!(report.started_at >= seconds(12.0));
}
