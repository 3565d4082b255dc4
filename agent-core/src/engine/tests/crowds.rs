//! A hook among many other processes of its container.

use std::time::Duration;

use super::scene::{CONTAINER, DOCKER, HANDLED, Scene, Who, config, made, words};
use crate::config::Selector;
use crate::event::EventKind;
use crate::report::{Doubt, KillCause};
use crate::time::Timestamp;

/// A container with a hook, of which two processes are remembered beside the main one's.
fn with_room_for_two() -> Scene {
    let mut config = config(vec![Selector {
        cgroup: "/system.slice/*".to_owned(),
        grace: Some(Duration::from_secs(5)),
        stop_signal: None,
        pre_stop: Some(words("sleep 3")),
    }]);
    config.limits.processes_max = 3;
    Scene::of(config).tells(made(CONTAINER, DOCKER))
}

/// A preStop hook that runs beside visitors, as many of them as there is room.
#[test]
fn visitors_do_not_push_the_hook_out() {
    let report = with_room_for_two()
        .running()
        .at(5.0)
        .execs(Who::Visitor, "sleep 600")
        .at(10.0)
        .execs(Who::Hook, "sleep 3")
        .at(11.0)
        .execs(Who::Probe, "curl")
        .at(13.0)
        .exits(Who::Hook, 0)
        .stop(HANDLED)
        .at(15.01)
        .kill()
        .dies(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.hook_duration(), Some(Duration::from_secs(3)));
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
    assert_eq!(report.doubts, []);
}

/// Who comes after it may get its pid.
#[test]
fn a_later_process_with_the_pid_of_the_hook_does_not_hide_it() {
    let mut again = Who::Hook.process();
    again.start = Timestamp(13_500_000_000);
    let report = Scene::with(5, Some("sleep 3"))
        .running()
        .at(10.0)
        .execs(Who::Hook, "sleep 3")
        .at(13.0)
        .exits(Who::Hook, 0)
        .stop(HANDLED)
        .at(13.6)
        .happens(EventKind::Attach(again))
        .at(15.01)
        .kill()
        .dies(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.hook_duration(), Some(Duration::from_secs(3)));
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::GraceExpired);
    assert_eq!(report.doubts, []);
}

/// Of a pod that is not known yet, each of them may be the hook.
#[test]
fn a_hook_that_may_have_been_forgotten_is_a_doubt() {
    // Not yet at their program: nobody can tell what they are.
    let report = with_room_for_two()
        .running()
        .at(10.0)
        .attached(Who::Visitor)
        .attached(Who::Probe)
        .attached(Who::Hook)
        .at(13.0)
        .stop(HANDLED)
        .at(15.01)
        .kill()
        .dies(Who::Main, 9)
        .removed()
        .report();
    assert!(report.doubts.contains(&Doubt::ProcessesForgotten));
    assert!(Doubt::ProcessesForgotten.is_incomplete());
}
