//! Which of several signals was the stop signal is known in hindsight, and what was counted after each goes where it
//! belongs.

use super::network::{Counts, received, reset_class};
use super::scene::{HANDLED, IGNORED, Scene, Who, doubts, reports};
use super::stage::{deleted, pod_with_grace};
use crate::connection::{AfterSignal, Connections, Direction, Mode, Phase, PhaseCounts};
use crate::output::Output;
use crate::report::{Doubt, Report};

const QUIT: u32 = 3;
const WINCH: u32 = 28;

fn finished(count: u64) -> impl Fn(&mut AfterSignal) {
    move |after| after.counts.finished = count
}

fn finished_in(count: u64) -> impl Fn(&mut PhaseCounts) {
    move |counts| counts.finished = count
}

/// A main process that gets these signals from outside, exits at 40 s and is gone.
fn signalled(signals: &[(f64, u32)]) -> Scene {
    let scene = signals
        .iter()
        .fold(Scene::counted().running(), |scene, (at, signal)| {
            scene
                .at_second(*at)
                .sends_signal(Who::Runc, Who::Main, *signal, HANDLED)
        });
    scene
        .at_second(40.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(41.05)
}

fn report(scene: Scene, counts: Counts) -> Report {
    reports(&scene.counts(counts).said).remove(0)
}

fn connections(scene: Scene, counts: Counts) -> Connections {
    report(scene, counts)
        .connections
        .expect("they were counted")
}

/// The numbers at the edges: established at the stop signal, and finished between it and the exit.
fn edge_counts(connections: &Connections) -> (u64, u64) {
    (connections.at_stop_signal, connections.finished)
}

/// Somebody asks for a thread dump; the program is stopped later.
#[test]
fn what_followed_a_dump_was_while_it_ran() {
    let counts = Counts::default()
        .with_phase(Phase::Running, finished_in(100))
        .after_signal(1, 10.0, finished(10))
        .stopping_since(30.0)
        .with_phase(Phase::Stopping, finished_in(2))
        .with_phase(Phase::Closing, finished_in(1));
    let said = connections(signalled(&[(10.0, QUIT), (30.0, 15)]), counts);
    assert_eq!(edge_counts(&said), (3, 2));
}

/// nginx by its image's stop signal, of which nobody told.
#[test]
fn what_followed_the_stop_signal_of_the_image_was_while_it_stopped() {
    let counts = || {
        Counts::default()
            .after_signal(1, 10.0, finished(10))
            .with_phase(Phase::Closing, finished_in(1))
    };
    let said = connections(signalled(&[(10.0, QUIT)]), counts());
    assert_eq!(edge_counts(&said), (11, 10));
    // A window is resized before it and after it.
    let counts = Counts::default()
        .after_signal(1, 5.0, finished(1000))
        .after_signal(2, 10.0, finished(10))
        .after_signal(3, 12.0, finished(5))
        .with_phase(Phase::Closing, finished_in(1));
    let all = [(5.0, WINCH), (10.0, QUIT), (12.0, WINCH)];
    let said = connections(signalled(&all), counts);
    // The first of them that could have stopped it counts, and WINCH is httpd's.
    assert_eq!(edge_counts(&said), (1016, 1015));
    let said = connections(
        Scene::counted()
            .running()
            .at_second(5.0)
            .sends_signal(Who::Runc, Who::Main, WINCH, IGNORED)
            .at_second(10.0)
            .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED)
            .at_second(12.0)
            .sends_signal(Who::Runc, Who::Main, WINCH, IGNORED)
            .at_second(40.0)
            .exits_with_code(Who::Main, 0)
            .removed()
            .at_second(41.05),
        Counts::default()
            .after_signal(1, 5.0, finished(1000))
            .after_signal(2, 10.0, finished(10))
            .after_signal(3, 12.0, finished(5))
            .with_phase(Phase::Closing, finished_in(1)),
    );
    assert_eq!(edge_counts(&said), (16, 15));
}

/// The kernel side says when, a moment before the record.
#[test]
fn an_interval_begins_a_moment_before_its_record() {
    let counts = Counts::default()
        .after_signal(1, 9.999_99, finished(10))
        .with_phase(Phase::Closing, finished_in(1));
    let said = connections(signalled(&[(10.0, QUIT)]), counts);
    assert_eq!(edge_counts(&said), (11, 10));
}

/// More signals than places: nothing is guessed.
#[test]
fn a_stop_signal_without_a_place_leaves_the_numbers_unknown() {
    let full = |last: f64| {
        let places = [(1, 5.0), (2, 5.1), (3, 5.2), (0, last)];
        let counts = places
            .iter()
            .fold(Counts::default(), |counts, (place, since)| {
                counts.after_signal(*place, *since, finished(1))
            });
        counts.unplaced_at(10.0)
    };
    let ignored = Scene::counted()
        .running()
        .at_second(5.0)
        .sends_signal(Who::Runc, Who::Main, WINCH, IGNORED)
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED)
        .at_second(40.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(41.05);
    let unknown = report(ignored, full(5.3));
    assert_eq!(unknown.connections, None);
    assert_eq!(doubts(&unknown), [Doubt::ConnectionsMissing]);
    // The configured one has a place of its own.
    let terminated = signalled(&[(5.0, WINCH), (30.0, 15)]);
    let counts = full(5.3)
        .stopping_since(30.0)
        .with_phase(Phase::Stopping, finished_in(2));
    let known = report(terminated, counts);
    assert_eq!(doubts(&known), []);
    assert_eq!(edge_counts(&known.connections.unwrap()), (2, 2));
}

/// Twenty of them, and nothing came of any; years later it is stopped by the next.
#[test]
fn signals_that_stopped_nothing_are_void_and_what_followed_them_was_while_it_ran() {
    let reset = received(Phase::Stopping);
    let counts = || {
        Counts::default().after_signal(1, 10.0, |after| {
            after.counts.finished = 10;
            after.resets = vec![(reset, 3)];
        })
    };
    let scene = Scene::counted()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED)
        .at_second(50.0)
        .counts(counts());
    let told = |scene: &Scene| {
        let resets = scene.said.iter().filter_map(|output| match output {
            Output::Resets { resets, .. } => Some(resets.clone()),
            _ => None,
        });
        let all = resets.flatten();
        all.map(|one| (one.class.phase, one.count))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&scene), [], "nobody knows to which phase they belong");
    let scene = scene.at_second(100.5).counts(counts());
    assert_eq!(told(&scene), [(Phase::Running, 3)]);
    assert_eq!(scene.voided(), [0.0, 10.0]);
    // The place is used again.
    let again = Counts::default()
        .after_signal(1, 200.0, |after| {
            after.counts.finished = 14;
            after.resets = vec![(reset, 8)];
        })
        .with_phase(Phase::Closing, finished_in(1));
    let scene = scene
        .at_second(200.0)
        .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED)
        .at_second(210.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(211.05)
        .counts(again);
    let said = reports(&scene.said).remove(0).connections.unwrap();
    assert_eq!(edge_counts(&said), (5, 4));
    assert_eq!(said.resets_in_shutdown(Direction::Received), 5);
    let running = said
        .resets
        .iter()
        .filter(|one| one.class.phase == Phase::Running);
    assert_eq!(running.map(|one| one.count).sum::<u64>(), 3);
    assert_eq!(told(&scene), [(Phase::Running, 3), (Phase::Stopping, 5)]);
}

/// A grace period of 150 s is known: a drain of 120 s after a signal that is not the configured one is one.
#[test]
fn a_signal_is_not_void_before_a_known_grace_period_is_over() {
    let mut config = super::network::counting();
    config.selectors = vec![crate::config::Selector {
        cgroup: "/system.slice/*".to_owned(),
        grace: Some(std::time::Duration::from_secs(150)),
        stop_signal: None,
        pre_stop: None,
    }];
    let scene = Scene::with_config(config)
        .receives(super::scene::cgroup_created(
            super::scene::CONTAINER,
            super::scene::DOCKER,
        ))
        .running()
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED);
    assert_eq!(scene.at_second(165.0).voided(), [0.0]);
}

#[test]
fn a_signal_that_came_as_the_pod_was_deleted_may_be_the_stop_signal() {
    let scene = Scene::counted_in(&pod_with_grace(30))
        .at_second(9.99)
        .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED)
        .at_second(10.0)
        .watch_shows(&deleted(&pod_with_grace(30), 10.0, 30));
    assert_eq!(
        scene.voided(),
        [0.0, 0.0],
        "it was seen before the deletion was"
    );
    let counts = Counts::default()
        .after_signal(1, 9.99, finished(4))
        .with_phase(Phase::Closing, finished_in(1));
    let scene = scene
        .at_second(12.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(13.05);
    assert_eq!(edge_counts(&connections(scene, counts)), (5, 4));
}

/// A dump while the hook runs: what followed it was in the hook.
#[test]
fn what_followed_a_dump_in_the_hook_was_in_the_hook() {
    let counts = Counts::default()
        .with_phase(Phase::Hook, |counts| counts.accepted = 1)
        .after_signal(1, 11.0, |after| after.counts.accepted = 2)
        .stopping_since(20.0)
        .with_phase(Phase::Stopping, |counts| counts.accepted = 4);
    let scene = Scene::counted_in(&pod_with_grace(30))
        .at_second(10.0)
        .watch_shows(&deleted(&pod_with_grace(30), 10.0, 30))
        .at_second(11.0)
        .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED)
        .at_second(20.0)
        .stop(HANDLED)
        .at_second(21.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(22.05);
    let said = connections(scene, counts);
    assert_eq!((said.accepted_in_hook, said.accepted_after), (3, 4));
}

#[test]
fn marks_after_a_signal_are_of_the_phase_that_their_time_tells() {
    let at = |scene: Scene, second: f64, port: u16| {
        let mut reset = super::network::a_reset(port);
        reset.after_signal = true;
        reset.class = reset_class(Phase::Stopping, Mode::Active, super::network::STATE);
        scene
            .at_second(second)
            .happens(crate::event::EventKind::Reset(reset))
    };
    let scene = Scene::counted().running().at_second(10.0).sends_signal(
        Who::Runc,
        Who::Main,
        QUIT,
        HANDLED,
    );
    let scene = at(scene, 11.0, 1).at_second(20.0).stop(HANDLED);
    let scene = at(scene, 21.0, 2)
        .at_second(22.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(23.05);
    let said = connections(scene, Counts::default().stopping_since(20.0));
    let marks: Vec<_> = said
        .marks
        .iter()
        .map(|mark| (mark.class.phase, mark.peer.unwrap().port()))
        .collect();
    assert_eq!(marks, [(Phase::Stopping, 2)], "the other one was before");
}

/// An agent that stops tells what it has of resets, wherever they belong.
#[test]
fn nothing_that_waits_for_hindsight_is_lost() {
    let counts = Counts::default().after_signal(1, 10.0, |after| {
        after.resets = vec![(received(Phase::Stopping), 3)];
    });
    let scene = Scene::counted()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED)
        .at_second(11.0)
        .counts(counts)
        .receives(crate::input::Input::Shutdown);
    let told = scene.said.iter().any(|output| match output {
        Output::Resets { resets, .. } => resets.iter().any(|one| one.count == 3),
        _ => false,
    });
    assert!(told);
}

/// A process of the container stops it, which the kernel side hears of late, and not at all after another signal.
#[test]
fn a_stop_from_inside_after_another_signal_leaves_the_numbers_unknown() {
    let stopped = |dumped: bool| {
        let scene = Scene::counted().running().at_second(10.0);
        let scene = if dumped {
            scene.sends_signal(Who::Stranger, Who::Main, WINCH, IGNORED)
        } else {
            scene
        };
        let scene = scene
            .at_second(30.0)
            .sends_signal(Who::Child, Who::Main, 15, HANDLED)
            .at_second(31.0)
            .exits_with_code(Who::Main, 0)
            .removed()
            .at_second(32.05);
        let counts = Counts::default().with_phase(Phase::Stopping, finished_in(2));
        let counts = if dumped {
            counts.after_signal(1, 10.0, finished(1))
        } else {
            counts
        };
        report(scene, counts)
    };
    let (plain, dumped) = (stopped(false), stopped(true));
    for report in [&plain, &dumped] {
        assert_eq!(
            report.stop_signal.as_ref().map(|stop| stop.at.0),
            Some(30_000_000_000)
        );
    }
    assert_eq!(edge_counts(&plain.connections.unwrap()), (2, 2));
    assert_eq!(dumped.connections, None);
    assert!(dumped.doubts.contains(&Doubt::ConnectionsMissing));
}
