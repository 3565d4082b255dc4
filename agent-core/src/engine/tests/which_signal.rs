//! Several signals before the end, of which one began the stop. Each was found by a random stop on the real kernel.

use super::scene::{
    BY_KERNEL, FATAL, HANDLED, IGNORED, Scene, Sent, Who, finding_kinds, is_unsure, stop_number,
};
use crate::report::{FindingKind, KillCause, Outcome, Report};

const TERM: u32 = 15;

/// A container with this grace period in seconds, whose main process gets these signals: when, from whom, which, and what comes
/// of it. Nothing is configured but the grace period.
fn scene_with_signals(grace: u64, signals: &[(f64, Who, u32, Sent)]) -> Scene {
    let running = Scene::with_grace_and_hook(grace, None).running();
    signals
        .iter()
        .fold(running, |scene, (at, who, number, sent)| {
            scene
                .at_second(*at)
                .sends_signal(*who, Who::Main, *number, *sent)
        })
}

fn killed(scene: Scene, at: f64, who: Who) -> Report {
    let scene = scene.at_second(at).sends_signal(who, Who::Main, 9, FATAL);
    scene.dies_by_signal(Who::Main, 9).removed().report()
}

#[test]
fn before_the_sigkill_of_a_person_the_signal_of_the_runtime_counts() {
    for number in [16, 3, 14] {
        let signals = [
            (10.0, Who::Runc, TERM, IGNORED),
            (10.3, Who::Stranger, number, IGNORED),
        ];
        let report = killed(scene_with_signals(2, &signals), 10.8, Who::Stranger);
        assert_eq!(stop_number(&report), Some(TERM));
        assert_eq!(report.outcome, Outcome::SignalIgnored);
        assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::Other);
        assert!(!finding_kinds(&report).contains(&FindingKind::WrongStopSignal));
    }
}

#[test]
fn a_drain_that_a_person_cuts_short_ignored_nothing() {
    let signals = [
        (10.0, Who::Runc, TERM, HANDLED),
        (10.5, Who::Stranger, 14, IGNORED),
    ];
    let report = killed(scene_with_signals(2, &signals), 10.8, Who::Stranger);
    assert_eq!(report.outcome, Outcome::KilledByOther);
    assert_eq!(stop_number(&report), Some(TERM));
    let before = [
        (9.0, Who::Stranger, 2, IGNORED),
        (10.0, Who::Runc, TERM, HANDLED),
    ];
    let report = killed(scene_with_signals(2, &before), 11.5, Who::Stranger);
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::Other);
}

#[test]
fn an_unusual_signal_of_the_runtime_before_the_sigkill_of_a_person_is_doubtful() {
    let signals = [
        (10.0, Who::Runc, 10, HANDLED),
        (10.5, Who::Stranger, 3, IGNORED),
    ];
    let report = killed(scene_with_signals(2, &signals), 10.8, Who::Stranger);
    assert_eq!(stop_number(&report), Some(10));
    assert!(is_unsure(&report));
}

#[test]
fn of_two_signals_of_the_runtime_the_one_a_grace_period_before_sigkill_counts() {
    let signals = [
        (10.0, Who::Runc, 12, HANDLED),
        (10.6, Who::Runc, 28, HANDLED),
    ];
    let report = killed(scene_with_signals(2, &signals), 12.01, Who::Runc);
    assert_eq!(stop_number(&report), Some(12));
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(finding_kinds(&report), [FindingKind::TooSlow]);
    assert!(!is_unsure(&report));
    let first_ignored = [
        (10.0, Who::Runc, 2, IGNORED),
        (11.0, Who::Runc, 30, HANDLED),
    ];
    let report = killed(scene_with_signals(2, &first_ignored), 12.01, Who::Runc);
    assert_eq!(report.outcome, Outcome::SignalIgnored);
}

#[test]
fn where_two_signals_of_the_runtime_fit_the_grace_period_it_is_doubtful() {
    let signals = [
        (10.0, Who::Runc, TERM, IGNORED),
        (11.1, Who::Runc, 30, HANDLED),
    ];
    let report = killed(scene_with_signals(1, &signals), 12.11, Who::Runc);
    assert!(is_unsure(&report));
}

/// It handled SIGTERM and went on, and died of the runtime's next signal.
#[test]
fn of_two_signals_of_the_runtime_the_fatal_one_may_be_the_stop_signal() {
    let signals = [
        (10.0, Who::Runc, TERM, HANDLED),
        (11.0, Who::Runc, 12, FATAL),
    ];
    let report = scene_with_signals(3, &signals)
        .dies_by_signal(Who::Main, 12)
        .removed()
        .report();
    assert!(is_unsure(&report));
}

/// SIGTERM is the usual one, and another one of the runtime's just before it came a grace period before SIGKILL as well.
#[test]
fn sigterm_just_after_another_signal_that_fits_is_doubtful() {
    for (number, sent) in [(1, HANDLED), (3, IGNORED), (28, HANDLED)] {
        let signals = [
            (10.0, Who::Runc, number, sent),
            (10.016, Who::Runc, TERM, IGNORED),
        ];
        let report = killed(scene_with_signals(2, &signals), 12.001, Who::Runc);
        assert_eq!(stop_number(&report), Some(TERM));
        assert!(is_unsure(&report));
    }
}

#[test]
fn a_sigterm_that_was_thrown_away_before_is_not_the_stop_signal_of_an_exit() {
    let signals = [
        (10.0, Who::Stranger, TERM, IGNORED),
        (12.5, Who::Runc, 3, HANDLED),
    ];
    let report = scene_with_signals(1, &signals)
        .at_second(12.6)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(stop_number(&report), Some(3));
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&report), []);
}

#[test]
fn a_sigterm_that_is_thrown_away_during_the_stop_is_not_the_stop_signal() {
    let signals = [
        (10.0, Who::Runc, 30, HANDLED),
        (10.4, Who::Stranger, TERM, IGNORED),
    ];
    let report = scene_with_signals(1, &signals)
        .at_second(10.6)
        .dies_by_signal(Who::Main, 6)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Crashed);
    assert!(is_unsure(&report));
    assert_ne!(stop_number(&report), Some(TERM));
}

#[test]
fn sigkill_from_inside_or_for_memory_does_not_hide_an_unusual_stop() {
    for (who, sent) in [(Who::Child, FATAL), (Who::Main, BY_KERNEL)] {
        let report = scene_with_signals(3, &[(10.0, Who::Runc, 12, HANDLED)])
            .at_second(10.5)
            .sends_signal(who, Who::Main, 9, sent)
            .dies_by_signal(Who::Main, 9)
            .removed()
            .report();
        assert_eq!(stop_number(&report), Some(12));
        assert!(is_unsure(&report));
    }
}

/// A language's runtime handles SIGSEGV; its own abort ends it, as PID 1, by one of the kernel's.
#[test]
fn a_signal_that_was_handled_long_ago_is_not_what_the_process_died_of() {
    let report = scene_with_signals(
        3,
        &[
            (8.0, Who::Child, 11, HANDLED),
            (10.0, Who::Runc, TERM, HANDLED),
        ],
    )
    .at_second(11.5)
    .sends_signal(Who::Main, Who::Main, 11, BY_KERNEL)
    .dies_by_signal(Who::Main, 11)
    .removed()
    .report();
    assert_eq!(report.outcome, Outcome::Crashed);
}

#[test]
fn of_two_sigterm_the_runtimes_began_the_stop() {
    let signals = [
        (10.0, Who::Runc, TERM, HANDLED),
        (10.1, Who::Stranger, TERM, HANDLED),
        (11.5, Who::Stranger, 2, FATAL),
    ];
    let report = scene_with_signals(2, &signals)
        .dies_by_signal(Who::Main, 2)
        .removed()
        .report();
    assert_eq!(report.stop_signal.as_ref().unwrap().sender.comm, "runc");
    assert_eq!(report.outcome, Outcome::KilledByOther);
}

#[test]
fn a_person_who_ends_a_drain_after_an_unusual_signal_is_told_apart() {
    let signals = [
        (10.0, Who::Runc, 2, HANDLED),
        (10.4, Who::Stranger, 3, FATAL),
    ];
    let report = scene_with_signals(3, &signals)
        .dies_by_signal(Who::Main, 3)
        .removed()
        .report();
    assert_eq!(stop_number(&report), Some(2));
    assert!(is_unsure(&report));
}

/// Another thread than the one that was looked at took it.
#[test]
fn a_fatal_signal_that_the_main_thread_blocks_is_not_too_late() {
    let mut kind = super::scene::signal_sent(Who::Runc, Who::Main, TERM, FATAL);
    if let crate::event::EventKind::Signal(signal) = &mut kind {
        signal.blocked = true;
    }
    let report = Scene::with_grace_and_hook(1, None)
        .running()
        .at_second(10.0)
        .happens(kind)
        .dies_by_signal(Who::Main, TERM)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(stop_number(&report), Some(TERM));
}

#[test]
fn a_sigterm_that_still_waits_began_the_stop_that_a_person_ends() {
    let mut waits = super::scene::signal_sent(Who::Runc, Who::Main, TERM, HANDLED);
    if let crate::event::EventKind::Signal(signal) = &mut waits {
        signal.blocked = true;
        signal.pending = Some(crate::signal::SignalSet(1 << (TERM - 1)));
    }
    let report = Scene::with_grace_and_hook(3, None)
        .running()
        .at_second(10.0)
        .happens(waits)
        .at_second(10.5)
        .sends_signal(Who::Stranger, Who::Main, 2, FATAL)
        .dies_by_signal(Who::Main, 2)
        .removed()
        .report();
    assert_eq!(stop_number(&report), Some(TERM));
    assert_eq!(report.outcome, Outcome::KilledByOther);
}

#[test]
fn a_sigterm_of_a_person_that_was_thrown_away_stopped_nothing() {
    let signals = [(10.0, Who::Stranger, TERM, IGNORED)];
    let aborts = scene_with_signals(3, &signals)
        .at_second(10.5)
        .dies_by_signal(Who::Main, 6)
        .removed();
    let report = aborts.report();
    assert_eq!(report.outcome, Outcome::Crashed);
    assert_eq!(report.trigger, crate::report::Trigger::Crashed);
    assert_eq!(report.other_signals.len(), 1);
}

#[test]
fn a_person_who_ends_a_program_that_did_not_notice_its_stop_is_doubtful() {
    let signals = [
        (10.0, Who::Runc, 28, IGNORED),
        (11.5, Who::Stranger, 10, FATAL),
    ];
    let report = scene_with_signals(3, &signals)
        .dies_by_signal(Who::Main, 10)
        .removed()
        .report();
    assert!(is_unsure(&report));
}

#[test]
fn of_two_signals_of_the_runtime_that_the_program_noticed_either_may_have_ended_it() {
    let signals = [
        (10.0, Who::Runc, 28, HANDLED),
        (10.5, Who::Runc, 30, HANDLED),
    ];
    let ends_with = |code| {
        let scene = scene_with_signals(3, &signals)
            .at_second(11.5)
            .exits_with_code(Who::Main, code);
        scene.removed().report()
    };
    assert!(is_unsure(&ends_with(0)));
    assert!(!is_unsure(&ends_with(128 + 30)));
}

#[test]
fn a_configured_signal_beside_another_one_that_fits_is_doubtful() {
    let config = |number: u32| {
        let selector = crate::config::Selector {
            cgroup: "/system.slice/*".to_owned(),
            grace: Some(std::time::Duration::from_secs(3)),
            stop_signal: crate::signal::Signal::try_from(number).ok(),
            pre_stop: None,
        };
        Scene::with_config(super::scene::config(vec![selector]))
            .receives(super::scene::cgroup_created(
                super::scene::CONTAINER,
                super::scene::DOCKER,
            ))
            .running()
    };
    let both = config(TERM)
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, TERM, IGNORED)
        .at_second(10.03)
        .sends_signal(Who::Runc, Who::Main, 30, HANDLED);
    assert!(is_unsure(&killed(both, 13.04, Who::Runc)));
    let late = config(10)
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, TERM, IGNORED)
        .at_second(12.95)
        .sends_signal(Who::Runc, Who::Main, 10, IGNORED);
    let report = killed(late, 13.01, Who::Runc);
    assert_eq!(stop_number(&report), Some(TERM));
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
    assert!(!is_unsure(&report));
    // The runtime may have been late.
    let before = config(TERM)
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, TERM, IGNORED)
        .at_second(10.5)
        .sends_signal(Who::Runc, Who::Main, 10, IGNORED);
    assert!(is_unsure(&killed(before, 14.0, Who::Runc)));
}

#[test]
fn of_two_signals_of_persons_the_later_one_may_have_ended_it() {
    let signals = [
        (10.0, Who::Stranger, TERM, HANDLED),
        (10.7, Who::Stranger, 29, HANDLED),
    ];
    let scene = scene_with_signals(2, &signals)
        .at_second(11.7)
        .exits_with_code(Who::Main, 0)
        .removed();
    assert!(is_unsure(&scene.report()));
}

#[test]
fn a_message_from_inside_before_an_abort_stopped_nothing() {
    let report = scene_with_signals(1, &[(10.0, Who::Child, 30, HANDLED)])
        .at_second(10.7)
        .dies_by_signal(Who::Main, 6)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Crashed);
    assert_eq!(stop_number(&report), None);
}

#[test]
fn an_unusual_signal_of_the_runtime_that_still_waits_is_doubtful() {
    let mut waits = super::scene::signal_sent(Who::Runc, Who::Main, 12, HANDLED);
    if let crate::event::EventKind::Signal(signal) = &mut waits {
        signal.blocked = true;
        signal.pending = Some(crate::signal::SignalSet(1 << 11));
    }
    let report = Scene::with_grace_and_hook(2, None)
        .running()
        .at_second(10.0)
        .happens(waits)
        .at_second(10.4)
        .exits_with_code(Who::Main, 1)
        .removed()
        .report();
    assert!(is_unsure(&report));
}
