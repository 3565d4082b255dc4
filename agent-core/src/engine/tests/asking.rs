//! Clients, and those who only ask whether it is there: scrapers and health checks.

use super::findings::evidence;
use super::network::{Counts, STATE, reset_class, seconds};
use super::scene::{HANDLED, Scene, Who, finding_kinds, reports};
use super::stage::{deleted, pod_with_grace};
use crate::connection::{BySide, Mode, PeerCounts, Phase, Side};
use crate::report::{FindingKind, Report};

/// A worker of a pod that is deleted at 100 s, closes its port at 100.1 s and drains for 20 s.
fn drained(counts: Counts) -> Report {
    let scene = Scene::counted_in(&pod_with_grace(30))
        .endpoint(true, false)
        .at_second(100.0)
        .watch_shows(&deleted(&pod_with_grace(30), 100.0, 30))
        .at_second(100.1)
        .stop(HANDLED)
        .at_second(120.1)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(121.15);
    let counts = counts.last_listener_closed_at(100.2).stopping_since(100.1);
    reports(&scene.counts(counts).said).remove(0)
}

const fn refused(count: u64) -> PeerCounts {
    PeerCounts {
        accepted: 0,
        refused: count,
    }
}

const fn accepted(count: u64) -> PeerCounts {
    PeerCounts {
        accepted: count,
        refused: 0,
    }
}

/// Refused every 5 s, with a timer that is a little late.
const EVERY_5_S: [f64; 8] = [83.0, 88.0, 93.01, 98.0, 103.02, 108.0, 113.0, 118.05];

fn advice(report: &Report) -> &str {
    let finding = report.findings.iter();
    let mut race = finding.filter(|one| one.kind == FindingKind::EndpointRace);
    &race.next().expect("the finding is there").advice
}

#[test]
fn a_scraper_is_no_race_with_the_endpoints() {
    let report = drained(
        Counts::default()
            .with_phase(Phase::Running, |counts| counts.accepted = 20)
            .with_phase(Phase::Stopping, |counts| counts.refused = 4)
            .with_peer(
                (7, 9100),
                &EVERY_5_S,
                &[
                    (Phase::Running, accepted(20)),
                    (Phase::Stopping, refused(4)),
                ],
            )
            .refused_at(118.05),
    );
    assert_eq!(finding_kinds(&report), []);
    let said = report.connections.unwrap();
    assert_eq!(said.refused, 4, "the number is what was counted");
    assert_eq!(said.last_arrival_at, None);
    let poller = &said.pollers[0];
    assert_eq!(poller.address.to_string(), "10.0.0.7");
    assert_eq!((poller.port, poller.accepted, poller.refused), (9100, 0, 4));
    assert_eq!(poller.every.as_secs(), 5);
}

/// It kept one connection open, so that it was never seen to connect before.
#[test]
fn a_scraper_shows_by_the_times_at_which_it_is_refused() {
    let report = drained(
        Counts::default()
            .with_phase(Phase::Stopping, |counts| counts.refused = 4)
            .with_peer(
                (7, 9100),
                &[103.0, 108.0, 113.0, 118.0],
                &[(Phase::Stopping, refused(4))],
            )
            .refused_at(118.0),
    );
    assert_eq!(finding_kinds(&report), []);
}

#[test]
fn clients_are_told_of_without_the_scraper_beside_them() {
    let report = drained(
        Counts::default()
            .with_phase(Phase::Stopping, |counts| counts.refused = 10)
            .with_peer(
                (7, 9100),
                &EVERY_5_S,
                &[
                    (Phase::Running, accepted(20)),
                    (Phase::Stopping, refused(4)),
                ],
            )
            .with_peer(
                (8, 8080),
                &[99.0, 99.9, 100.3, 100.31, 101.0, 101.2],
                &[
                    (Phase::Running, accepted(90)),
                    (Phase::Stopping, refused(6)),
                ],
            )
            .refused_at(118.05),
    );
    assert_eq!(finding_kinds(&report), [FindingKind::EndpointRace]);
    assert_eq!(
        evidence(&report, FindingKind::EndpointRace),
        "6 connections were refused, with a listener closed 200.0 ms after the beginning of the termination; the last one came 1.200 s after the beginning; not counted are 4 from 10.0.0.7 to port 9100 every 5.000 s, as scrapers and health checks come; the EndpointSlices still had it as ready; there was no preStop hook."
    );
    assert!(
        advice(&report).starts_with("Add a preStop sleep of 3 s"),
        "{}",
        advice(&report)
    );
    let said = report.connections.unwrap();
    assert_eq!(said.last_arrival_at, Some(seconds(101.2)));
    assert!(!said.last_arrival_unclear);
}

/// Twice is no interval, and nothing says that clients use this port.
#[test]
fn who_came_too_seldom_may_be_a_health_check() {
    let report = drained(
        Counts::default()
            .with_phase(Phase::Stopping, |counts| counts.refused = 2)
            .with_peer((7, 9100), &[105.0, 115.0], &[(Phase::Stopping, refused(2))])
            .refused_at(115.0),
    );
    assert_eq!(
        evidence(&report, FindingKind::EndpointRace),
        "2 connections were refused, with a listener closed 200.0 ms after the beginning of the termination; the last one came 15.000 s after the beginning; they may be health checks or scrapes: they came from 1 address, too seldom to tell, to a port that no client was seen to use; the EndpointSlices still had it as ready; there was no preStop hook."
    );
    assert!(
        advice(&report)
            .starts_with("A scraper or a health check needs nothing. If these were clients: "),
        "{}",
        advice(&report)
    );
    assert!(report.connections.unwrap().last_arrival_unclear);
}

/// A client that came once is one if others come to that port at all times.
#[test]
fn a_port_that_clients_use_makes_a_client() {
    let report = drained(
        Counts::default()
            .with_phase(Phase::Stopping, |counts| counts.refused = 1)
            .with_peer(
                (8, 8080),
                &[90.0, 90.1, 95.0, 95.7, 98.0],
                &[(Phase::Running, accepted(90))],
            )
            .with_peer((9, 8080), &[101.0], &[(Phase::Stopping, refused(1))])
            .refused_at(101.0),
    );
    assert!(
        advice(&report).starts_with("Add a preStop sleep of 2 s"),
        "{}",
        advice(&report)
    );
}

/// So many came that not all are remembered.
#[test]
fn those_who_gave_their_place_away_are_clients() {
    let report = drained(
        Counts::default()
            .with_phase(Phase::Stopping, |counts| counts.refused = 100)
            .with_peer((9, 8080), &[101.0], &[(Phase::Stopping, refused(1))])
            .refused_at(104.0),
    );
    assert!(
        advice(&report).starts_with("Add a preStop sleep of 5 s"),
        "{}",
        advice(&report)
    );
}

/// Whoever asks without a pause is a client, however regularly.
#[test]
fn a_load_is_no_health_check() {
    let report = drained(
        Counts::default()
            .with_phase(Phase::Stopping, |counts| counts.refused = 6)
            .with_peer(
                (9, 8080),
                &[100.3, 100.4, 100.5, 100.6, 100.7, 100.8],
                &[(Phase::Stopping, refused(6))],
            )
            .refused_at(100.8),
    );
    assert_eq!(finding_kinds(&report), [FindingKind::EndpointRace]);
    assert!(report.connections.unwrap().pollers.is_empty());
}

/// What waited in the queue and was reset was a health check's.
#[test]
fn a_health_check_in_the_queue_is_no_reset_that_hurts() {
    let report = drained(
        Counts::default()
            .with_phase(Phase::Stopping, |counts| {
                counts.accepted = 4;
                counts.cut = 4;
                counts.by_side = Some(BySide {
                    aborted: 4,
                    ..BySide::default()
                });
            })
            .resets(
                crate::connection::ResetClass {
                    side: Side::Accepted,
                    ..reset_class(Phase::Stopping, Mode::Active, STATE)
                },
                4,
            )
            .with_peer(
                (7, 9100),
                &EVERY_5_S,
                &[
                    (Phase::Running, accepted(20)),
                    (Phase::Stopping, accepted(4)),
                ],
            )
            .accepted_at(118.05),
    );
    assert_eq!(finding_kinds(&report), []);
}
