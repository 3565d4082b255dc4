//! Stops that began just before the agent saw the container.

use super::super::scene::{CONTAINER, Scene, Who};
use super::super::stage::seconds;
use super::{is_certain, lost};
use crate::input::Input;

/// The stop signal was lost, and SIGKILL came some milliseconds late, as it always does.
#[test]
fn a_lost_stop_signal_a_grace_period_and_a_moment_before_sigkill() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(9.97)
        .receives(lost(9.5, 9.97))
        .finds_processes(&[Who::Main])
        .at_second(20.0)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert!(!is_certain(&report), "{:?}", report.outcome);
}

/// The agent starts a moment after the stop signal.
#[test]
fn a_stop_signal_a_moment_before_the_agent_starts() {
    let report = Scene::with_grace_and_hook(10, None)
        .at_second(9.97)
        .receives(Input::Tracked {
            container: CONTAINER,
            since: seconds(9.97),
        })
        .finds_processes(&[Who::Main])
        .at_second(20.0)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert!(!is_certain(&report), "{:?}", report.outcome);
}

/// A grace period of 1 s: the kubelet leaves 2 s all the same.
#[test]
fn a_stop_signal_before_the_agent_starts_and_the_kubelets_floor() {
    let report = Scene::with_grace_and_hook(1, None)
        .at_second(10.0)
        .receives(Input::Tracked {
            container: CONTAINER,
            since: seconds(10.0),
        })
        .finds_processes(&[Who::Main])
        .at_second(11.55)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert!(!is_certain(&report), "{:?}", report.outcome);
}

/// The same with an end by itself: a drain that takes the whole of its grace period and a moment.
#[test]
fn a_drain_that_began_before_the_agent() {
    let report = Scene::with_grace_and_hook(10, None)
        .at_second(9.97)
        .receives(Input::Tracked {
            container: CONTAINER,
            since: seconds(9.97),
        })
        .finds_processes(&[Who::Main])
        .at_second(19.98)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert!(!is_certain(&report), "{:?}", report.outcome);
}
