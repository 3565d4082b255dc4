//! The diagnoses of connections, the endpoints beside them, and what is none.

use super::findings::evidence;
use super::network::{
    ABORT_ON_CLOSE, ABORT_ON_DATA, Counts, NO_SOCKET, STATE, received, reset_class, seconds,
};
use super::scene::{HANDLED, IGNORED, Scene, Who, finding_kinds, reports};
use super::stage::{deleted, exec_hook, pod_with_grace, sleep_hook, with_hook};
use crate::connection::{Mode, Phase, ResetClass, Scope};
use crate::pod::{KubeletEventKind, Pod};
use crate::report::{Endpoint, FindingKind, Report, Trigger};

fn last_report(scene: Scene, counts: Counts) -> Report {
    reports(&scene.at_second(30.0).counts(counts).said).remove(0)
}

/// A pod that is deleted at the 10th second, gets its stop signal soon after, and is gone at the 11th.
fn deleted_pod(pod: &Pod) -> Scene {
    Scene::counted_in(pod)
        .endpoint(true, false)
        .at_second(10.0)
        .watch_shows(&deleted(pod, 10.0, 30))
        .at_second(10.3)
        .stop(HANDLED)
        .at_second(10.9)
        .exits_with_code(Who::Main, 0)
        .at_second(11.0)
        .removed()
}

fn report_of(scene: Scene, counts: Counts) -> Report {
    reports(&scene.at_second(12.05).counts(counts).said).remove(0)
}

fn stopped_pod(counts: Counts) -> Report {
    report_of(deleted_pod(&pod_with_grace(30)), counts)
}

fn advice(report: &Report, kind: FindingKind) -> &str {
    let finding = report.findings.iter().find(|one| one.kind == kind);
    &finding.expect("the finding is there").advice
}

/// Connections that were refused after the listener was closed at 10.4 s.
fn refused() -> Counts {
    Counts::default()
        .with_phase(Phase::Stopping, |counts| counts.refused = 9)
        .with_phase(Phase::Closing, |counts| {
            counts.refused = 3;
            counts.refused_in_pod = 2;
        })
        .last_listener_closed_at(10.4)
        .accepted_at(10.35)
        .refused_at(12.01)
}

pub(super) fn race_report() -> Report {
    let scene = Scene::counted_in(&pod_with_grace(30))
        .endpoint(true, false)
        .at_second(10.0)
        .watch_shows(&deleted(&pod_with_grace(30), 10.0, 30))
        .at_second(10.25)
        .endpoint(false, true)
        .at_second(10.3)
        .stop(HANDLED)
        .at_second(10.9)
        .exits_with_code(Who::Main, 0)
        .at_second(11.0)
        .removed();
    report_of(scene, refused())
}

pub(super) fn reset_report() -> Report {
    let counts = Counts::default()
        .with_phase(Phase::Stopping, |counts| counts.finished = 5)
        .with_phase(Phase::Closing, |counts| {
            counts.finished = 3;
            counts.cut = 9;
        })
        .resets(
            reset_class(Phase::Running, Mode::Active, ABORT_ON_CLOSE),
            1000,
        )
        .resets(reset_class(Phase::Closing, Mode::Active, ABORT_ON_CLOSE), 7)
        .resets(reset_class(Phase::Closing, Mode::Active, STATE), 2)
        .resets(reset_class(Phase::Closing, Mode::Passive, ABORT_ON_DATA), 1)
        .resets(reset_class(Phase::Closing, Mode::Passive, NO_SOCKET), 50)
        .last_listener_closed_at(10.9);
    stopped_pod(counts)
}

#[test]
fn refused_connections_are_a_race_with_the_endpoints() {
    let report = race_report();
    assert_eq!(finding_kinds(&report), [FindingKind::EndpointRace]);
    assert_eq!(
        evidence(&report, FindingKind::EndpointRace),
        "12 connections were refused, with a listener closed 400.0 ms after the beginning of the termination; the last one came 2.010 s after the beginning; the EndpointSlices had it as not ready 250.0 ms after the beginning; there was no preStop hook; 2 were more refused at other ports of the pod, of which container cannot be told."
    );
    assert_eq!(
        advice(&report, FindingKind::EndpointRace),
        "Add a preStop sleep of at least 4 s, so that it goes on listening until no connections are sent to it any more."
    );
    assert_eq!(
        report.endpoint,
        Some(Endpoint {
            unready_at: Some(seconds(10.25)),
            terminating_at: Some(seconds(10.25)),
        })
    );
}

#[test]
fn the_advice_knows_hook_and_grace() {
    let scene = |pod: &Pod| {
        Scene::counted_in(pod)
            .at_second(10.0)
            .watch_shows(&deleted(pod, 10.0, 5))
            .at_second(12.01)
            .stop(HANDLED)
            .at_second(12.9)
            .exits_with_code(Who::Main, 0)
            .removed()
            .at_second(14.0)
    };
    let own = with_hook(5, sleep_hook(2));
    let counts = refused().last_listener_closed_at(12.1).refused_at(13.5);
    let report = reports(&scene(&own).counts(counts).said).remove(0);
    assert_eq!(
        advice(&report, FindingKind::EndpointRace),
        "Lengthen the preStop sleep to at least 5 s, so that it goes on listening until no connections are sent to it any more, and raise the grace period to 7 s, since it covers the sleep and the exit together."
    );
    assert!(
        evidence(&report, FindingKind::EndpointRace).contains("; its preStop hook took 2.010 s; ")
    );
}

/// It listened for the whole second of its exit, and nobody came in the end: no more would have come.
#[test]
fn the_sleep_covers_the_endpoints_and_says_when_it_is_the_least() {
    let counts = || {
        Counts::default()
            .with_phase(Phase::Stopping, |counts| counts.refused = 2)
            .last_listener_closed_at(10.4)
            .refused_at(10.5)
    };
    let exact = stopped_pod(counts());
    assert!(advice(&exact, FindingKind::EndpointRace).starts_with("Add a preStop sleep of 2 s, "));
    let cut_off = stopped_pod(counts().refused_at(10.7));
    assert!(
        advice(&cut_off, FindingKind::EndpointRace)
            .starts_with("Add a preStop sleep of at least 2 s, ")
    );
    let slow = report_of(
        deleted_pod(&pod_with_grace(30))
            .at_second(11.5)
            .endpoint(false, true),
        counts(),
    );
    assert!(advice(&slow, FindingKind::EndpointRace).starts_with("Add a preStop sleep of 3 s, "));
}

/// `nginx -s quit; sleep 15` as a hook.
#[test]
fn a_hook_that_closes_the_listener_is_too_long_already() {
    let own = with_hook(30, exec_hook("quit"));
    let scene = Scene::counted_in(&own)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 30))
        .at_second(10.1)
        .execs_command(Who::Hook, "quit")
        .at_second(25.0)
        .exits_with_code(Who::Hook, 0)
        .stop(HANDLED)
        .at_second(25.1)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(26.15);
    let counts = Counts::default()
        .with_phase(Phase::Hook, |counts| counts.refused = 8)
        .last_listener_closed_at(10.2)
        .refused_at(12.5);
    let report = reports(&scene.counts(counts).said).remove(0);
    assert!(
        advice(&report, FindingKind::EndpointRace).starts_with(
            "It stops listening before the stop signal: have it wait 4 s before that, "
        )
    );
}

#[test]
fn without_kubernetes_the_advice_speaks_of_no_hook() {
    let scene = Scene::counted()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.9)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(12.0);
    let report = reports(&scene.counts(refused()).said).remove(0);
    assert_eq!(
        advice(&report, FindingKind::EndpointRace),
        "Let it go on listening for at least 4 s after it is told to stop, or take it out of the load balancer that long before."
    );
    assert!(!evidence(&report, FindingKind::EndpointRace).contains("hook"));
}

/// Accepted after the stop signal, answered, and closed with a FIN.
#[test]
fn a_server_that_drains_is_told_nothing() {
    let counts = Counts::default()
        .with_phase(Phase::Hook, |counts| counts.accepted = 20)
        .with_phase(Phase::Stopping, |counts| {
            counts.accepted = 40;
            counts.finished = 90;
        })
        .accepted_at(10.8)
        .last_listener_closed_at(10.85)
        .resets(received(Phase::Stopping), 3)
        .resets(
            reset_class(Phase::Stopping, Mode::Passive, ABORT_ON_DATA),
            30,
        );
    let report = stopped_pod(counts);
    assert_eq!(finding_kinds(&report), []);
    let said = report.connections.unwrap();
    assert_eq!((said.accepted_in_hook, said.accepted_after), (20, 40));
}

#[test]
fn who_never_accepts_what_still_comes_loses_it_in_the_queue() {
    let counts = Counts::default()
        .with_phase(Phase::Stopping, |counts| counts.accepted = 6)
        .with_phase(Phase::Closing, |counts| counts.cut = 4)
        .resets(reset_class(Phase::Closing, Mode::Active, STATE), 4)
        .accepted_at(10.8)
        .last_listener_closed_at(10.9);
    let report = stopped_pod(counts);
    assert_eq!(
        finding_kinds(&report),
        [FindingKind::EndpointRace, FindingKind::ConnectionsReset]
    );
    assert!(
        evidence(&report, FindingKind::EndpointRace)
            .starts_with("6 connections came after the stop signal, and 4 that it had not accepted were reset; the last one came 800.0 ms after")
    );
}

/// A port that it listened on once and that somebody still asks for.
#[test]
fn what_is_refused_all_the_time_does_not_come_of_the_stop() {
    let noise = refused().with_phase(Phase::Running, |counts| counts.refused = 12);
    assert_eq!(finding_kinds(&stopped_pod(noise)), []);
    let still_listening = refused();
    let report = stopped_pod(Counts(crate::connection::SocketCounts {
        last_listener_closed_at: None,
        ..still_listening.0
    }));
    assert_eq!(finding_kinds(&report), []);
}

#[test]
fn what_is_refused_in_the_pod_alone_is_nobodys() {
    let counts = Counts::default()
        .with_phase(Phase::Closing, |counts| counts.refused_in_pod = 9)
        .resets(
            ResetClass {
                scope: Scope::Pod,
                ..reset_class(Phase::Closing, Mode::Passive, NO_SOCKET)
            },
            9,
        )
        .last_listener_closed_at(10.9)
        .refused_at(11.5);
    let report = stopped_pod(counts);
    assert_eq!(finding_kinds(&report), []);
    assert_eq!(report.connections.unwrap().refused_in_pod, 9);
}

/// The kubelet goes on with its readiness probes.
#[test]
fn probes_are_no_arrivals() {
    let mut probed = pod_with_grace(30);
    probed.containers[0].probe_ports = vec![8080];
    let counts = || {
        Counts::default()
            .with_phase(Phase::Stopping, |counts| {
                counts.accepted = 3;
                counts.accepted_from_node = 2;
                counts.refused = 4;
                counts.refused_from_node = 4;
            })
            .with_phase(Phase::Closing, |counts| counts.cut = 2)
            .resets(reset_class(Phase::Closing, Mode::Active, STATE), 2)
            .accepted_at(10.4)
            .node_at(12.0)
            .last_listener_closed_at(10.5)
    };
    let report = report_of(deleted_pod(&probed), counts());
    assert_eq!(finding_kinds(&report), []);
    let said = report.connections.unwrap();
    assert_eq!(
        (said.accepted_after, said.refused, said.from_node()),
        (1, 0, 6)
    );
    assert_eq!((said.accepted_from_node, said.refused_from_node), (2, 4));
    assert_eq!(said.last_arrival_at, Some(seconds(10.4)));

    let report = stopped_pod(counts());
    let said = report.connections.clone().unwrap();
    assert_eq!(
        (said.accepted_after, said.refused, said.from_node()),
        (3, 4, 0)
    );
    assert_eq!(said.last_arrival_at, Some(seconds(12.0)));
    assert!(finding_kinds(&report).contains(&FindingKind::EndpointRace));
}

#[test]
fn resets_are_told_by_what_they_were() {
    let report = reset_report();
    assert_eq!(finding_kinds(&report), [FindingKind::ConnectionsReset]);
    assert_eq!(
        evidence(&report, FindingKind::ConnectionsReset),
        "Since its termination began it reset connections: 7 that were closed with unread data, 2 that waited in the accept queue of a listener that was closed (or were closed with SO_LINGER 0), 1 for which data came after its exit had closed them; 17 were established at the stop signal and 12 at the exit."
    );
    assert!(advice(&report, FindingKind::ConnectionsReset).starts_with("Stop accepting, read"));
}

#[test]
fn a_kernel_that_tells_no_reasons_is_not_guessed_for() {
    let unknown = ResetClass {
        reason: None,
        ..reset_class(Phase::Closing, Mode::Unknown, 0)
    };
    let counts = |cut| {
        Counts::default()
            .with_phase(Phase::Closing, |counts| counts.cut = cut)
            .resets(unknown, 4)
            .resets(received(Phase::Closing), 3)
    };
    assert_eq!(
        finding_kinds(&stopped_pod(counts(0))),
        [],
        "a word after the close"
    );
    assert_eq!(
        finding_kinds(&stopped_pod(counts(3))),
        [],
        "the peers' doing"
    );
    let report = stopped_pod(counts(5));
    assert_eq!(finding_kinds(&report), [FindingKind::ConnectionsReset]);
    assert!(
        evidence(&report, FindingKind::ConnectionsReset)
            .contains(" 4 for a reason that this kernel does not tell; ")
    );
}

#[test]
fn who_was_not_stopped_gets_no_advice_on_stopping() {
    let scene = Scene::counted()
        .running()
        .at_second(10.0)
        .dies_by_signal(Who::Main, 11)
        .removed();
    let counts = refused()
        .with_phase(Phase::Closing, |counts| counts.cut = 9)
        .resets(reset_class(Phase::Closing, Mode::Active, ABORT_ON_CLOSE), 7);
    let report = reports(&scene.at_second(12.0).counts(counts).said).remove(0);
    assert_eq!(finding_kinds(&report), []);
}

/// The endpoints go on to send connections to a container that is to come back.
#[test]
fn a_restart_is_no_race_with_the_endpoints() {
    let scene = Scene::counted_in(&pod_with_grace(30))
        .at_second(10.0)
        .kubelet_reports(KubeletEventKind::LivenessFailed, 10.0)
        .at_second(10.3)
        .stop(HANDLED)
        .at_second(10.9)
        .exits_with_code(Who::Main, 0)
        .at_second(11.0)
        .removed();
    let report = report_of(scene, refused());
    assert_eq!(report.trigger, Trigger::Liveness);
    assert_eq!(finding_kinds(&report), []);
}

#[test]
fn who_was_killed_without_a_word_gets_no_advice_on_stopping() {
    let counts = || {
        refused()
            .with_phase(Phase::Closing, |counts| counts.cut = 9)
            .resets(reset_class(Phase::Closing, Mode::Active, ABORT_ON_CLOSE), 7)
    };
    let kinds = |scene: Scene, counts| {
        let report = reports(
            &scene
                .dies_by_signal(Who::Main, 9)
                .removed()
                .at_second(14.0)
                .counts(counts)
                .said,
        );
        finding_kinds(&report[0])
    };
    let untold = || Scene::counted().running().at_second(10.0).kill_by_runtime();
    assert_eq!(
        kinds(untold(), counts()),
        [FindingKind::KilledWithoutStopSignal]
    );
    let deaf = || {
        Scene::counted()
            .running()
            .at_second(10.0)
            .stop(IGNORED)
            .at_second(13.0)
            .kill_by_runtime()
    };
    assert_eq!(kinds(deaf(), counts()), [FindingKind::SignalIgnored]);
    let slow = || {
        Scene::counted()
            .running()
            .at_second(10.0)
            .stop(HANDLED)
            .at_second(13.0)
            .kill_by_runtime()
    };
    assert_eq!(
        kinds(slow(), counts()),
        [
            FindingKind::TooSlow,
            FindingKind::EndpointRace,
            FindingKind::ConnectionsReset
        ]
    );
    assert_eq!(
        kinds(slow(), counts().last_listener_closed_at(13.01)),
        [FindingKind::TooSlow, FindingKind::ConnectionsReset],
        "it listened until it was killed"
    );
}

#[test]
fn nothing_is_said_before_the_numbers_are_complete() {
    let scene = deleted_pod(&pod_with_grace(30))
        .counts(refused())
        .at_second(11.5);
    let progress = scene.said.iter().filter_map(|output| match output {
        crate::output::Output::Progress(report) => Some(report.findings.len()),
        _ => None,
    });
    assert_eq!(progress.max(), Some(0));
}

#[test]
fn the_endpoints_are_those_of_this_termination() {
    // Unready and ready again while it ran; late, and before its pod.
    let own = pod_with_grace(30);
    let scene = Scene::counted_in(&own)
        .at_second(5.0)
        .endpoint(false, false)
        .at_second(6.0)
        .endpoint(true, false)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 30))
        .at_second(10.3)
        .stop(HANDLED)
        .at_second(10.4)
        .endpoint(false, true)
        .at_second(10.6)
        .endpoint(true, false);
    let told = |said: &[crate::output::Output]| {
        said.iter().rev().find_map(|output| match output {
            crate::output::Output::Progress(report) => report.endpoint.clone(),
            _ => None,
        })
    };
    let expected = Endpoint {
        unready_at: Some(seconds(10.4)),
        terminating_at: Some(seconds(10.4)),
    };
    assert_eq!(told(&scene.said), Some(expected));

    let unready_before = Scene::counted_in(&own)
        .at_second(5.0)
        .endpoint(false, false)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 30));
    let report = last_report(
        unready_before.exits_with_code(Who::Main, 0).removed(),
        Counts::default(),
    );
    assert_eq!(report.endpoint.unwrap().unready_at, Some(seconds(5.0)));
}

#[test]
fn endpoints_that_come_before_their_pod_are_kept() {
    let mut config = super::network::counting();
    config.pods = true;
    let scene = Scene::with_config(config)
        .receives(super::scene::cgroup_created(
            super::scene::CONTAINER,
            &super::stage::path(0),
        ))
        .at_second(0.4)
        .endpoint(false, false)
        .at_second(0.5)
        .watch_shows(&pod_with_grace(30))
        .running()
        .at_second(10.0)
        .exits_with_code(Who::Main, 1)
        .removed();
    let report = last_report(scene, Counts::default());
    assert_eq!(report.endpoint.unwrap().unready_at, Some(seconds(0.4)));
    let without = last_report(
        Scene::counted_in(&pod_with_grace(30))
            .at_second(10.0)
            .exits_with_code(Who::Main, 1)
            .removed(),
        Counts::default(),
    );
    assert_eq!(without.endpoint, None);
}
