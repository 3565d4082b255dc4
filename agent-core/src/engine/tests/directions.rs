//! Whose connections were reset: those of clients, half closed ones among them, the container's own, and those that it
//! closed when nothing was under way.

use super::findings::evidence;
use super::network::{ABORT_ON_CLOSE, ABORT_ON_DATA, Counts, NO_SOCKET, received, reset_class};
use super::scene::{HANDLED, Scene, Who, finding_kinds, reports};
use crate::connection::{BySide, Mode, Phase, PhaseCounts, ResetClass, Side};
use crate::report::{FindingKind, Report};

fn stopped(counts: Counts) -> Report {
    let scene = Scene::counted()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(11.6);
    let counts = counts
        .with_phase(Phase::Hook, |one| {
            one.by_side = one.by_side.or(Some(BySide::default()));
        })
        .stopping_since(10.0);
    reports(&scene.counts(counts).said).remove(0)
}

fn with_side(side: Side, class: ResetClass<u32>) -> ResetClass<u32> {
    ResetClass { side, ..class }
}

fn set_by_side(change: impl Fn(&mut BySide)) -> impl Fn(&mut PhaseCounts) {
    move |counts| {
        let mut sides = BySide::default();
        change(&mut sides);
        counts.by_side = Some(sides);
    }
}

fn advice(report: &Report, kind: FindingKind) -> &str {
    let finding = report.findings.iter().find(|one| one.kind == kind);
    &finding.expect("the finding is there").advice
}

/// A pure client that leaves an answer of its database unread.
#[test]
fn the_resets_of_a_client_are_its_own() {
    let unread = reset_class(Phase::Closing, Mode::Active, ABORT_ON_CLOSE);
    let counts = Counts::default()
        .with_phase(Phase::Closing, |counts| {
            counts.cut = 2;
            set_by_side(|sides| {
                sides.cut_initiated = 2;
                sides.aborted_initiated = 2;
            })(counts);
        })
        .resets(with_side(Side::Initiated, unread), 2);
    let report = stopped(counts);
    assert_eq!(finding_kinds(&report), [FindingKind::ConnectionsReset]);
    assert_eq!(
        evidence(&report, FindingKind::ConnectionsReset),
        "Since its termination began it reset connections of its own, to others: 2 that were closed with unread data."
    );
    let advice = advice(&report, FindingKind::ConnectionsReset);
    assert!(
        advice.starts_with("Nobody who connected to this container is affected"),
        "{advice}"
    );
    let said = report.connections.unwrap();
    assert_eq!((said.at_exit, said.initiated_at_exit), (2, 2));
    assert_eq!(said.resets[0].class.side, Side::Initiated);
}

#[test]
fn clients_come_first_where_both_were_reset() {
    let unread = reset_class(Phase::Closing, Mode::Active, ABORT_ON_CLOSE);
    let counts = Counts::default()
        .with_phase(Phase::Closing, |counts| {
            counts.cut = 7;
            set_by_side(|sides| {
                sides.cut_initiated = 5;
                sides.aborted_initiated = 5;
                sides.aborted = 2;
            })(counts);
        })
        .resets(with_side(Side::Initiated, unread), 5)
        .resets(with_side(Side::Accepted, unread), 2);
    let report = stopped(counts);
    assert_eq!(
        evidence(&report, FindingKind::ConnectionsReset),
        "Since its termination began it reset connections: 2 that were closed with unread data; 2 were established at the stop signal and 2 at the exit; since its termination began it reset connections of its own, to others: 5 that were closed with unread data."
    );
    assert!(advice(&report, FindingKind::ConnectionsReset).starts_with("Stop accepting"));
}

/// A client that has sent its request and its FIN, and waits.
#[test]
fn half_closed_connections_are_reset_too() {
    let unread = with_side(
        Side::Accepted,
        reset_class(Phase::Closing, Mode::Active, ABORT_ON_CLOSE),
    );
    let counts = Counts::default()
        .with_phase(Phase::Running, |counts| counts.finished = 3)
        .with_phase(
            Phase::Closing,
            set_by_side(|sides| {
                sides.aborted = 3;
                sides.aborted_half_closed = 3;
            }),
        )
        .resets(unread, 3);
    let report = stopped(counts);
    assert_eq!(
        evidence(&report, FindingKind::ConnectionsReset),
        "Since its termination began it reset connections: 3 that were closed with unread data; 3 of them were half closed by the client, which may have waited for an answer; 0 were established at the stop signal and 0 at the exit."
    );
}

/// Resets that came from clients are nobody's fault here, however many there are.
#[test]
fn what_the_peers_reset_hides_nothing() {
    let unread = with_side(
        Side::Accepted,
        reset_class(Phase::Closing, Mode::Active, ABORT_ON_CLOSE),
    );
    let counts = Counts::default()
        .with_phase(Phase::Closing, |counts| {
            counts.cut = 2;
            set_by_side(|sides| sides.aborted = 2)(counts);
        })
        .resets(unread, 2)
        .resets(with_side(Side::Accepted, received(Phase::Closing)), 50);
    assert_eq!(
        finding_kinds(&stopped(counts)),
        [FindingKind::ConnectionsReset]
    );
}

fn raced_class(phase: Phase, reason: u32) -> ResetClass<u32> {
    ResetClass {
        side: Side::Accepted,
        idle_closed: true,
        ..reset_class(phase, Mode::Passive, reason)
    }
}

pub(super) fn closed_idle() -> Report {
    stopped(
        Counts::default()
            .with_phase(Phase::Stopping, |counts| counts.finished = 9)
            .resets(raced_class(Phase::Running, NO_SOCKET), 4)
            .resets(raced_class(Phase::Stopping, ABORT_ON_DATA), 2)
            .resets(raced_class(Phase::Closing, NO_SOCKET), 1),
    )
}

#[test]
fn requests_for_connections_that_were_closed_idle_are_a_race() {
    let report = closed_idle();
    assert_eq!(finding_kinds(&report), [FindingKind::IdleCloseRace]);
    assert_eq!(
        evidence(&report, FindingKind::IdleCloseRace),
        "Since its termination began it closed idle connections, and for 3 of them data came from the client, most likely the next request, which was answered with a reset; the same happened 4 times while it ran."
    );
    assert!(advice(&report, FindingKind::IdleCloseRace).starts_with("Keep idle connections open"));
    let never_before = stopped(Counts::default().resets(raced_class(Phase::Closing, NO_SOCKET), 1));
    assert!(advice(&never_before, FindingKind::IdleCloseRace).starts_with("A client cannot know"));
}

/// Outside of a termination they are counted, and no fault of it.
#[test]
fn what_was_closed_idle_while_it_ran_is_no_finding_of_a_termination() {
    let report = stopped(Counts::default().resets(raced_class(Phase::Running, NO_SOCKET), 4));
    assert_eq!(finding_kinds(&report), []);
}
