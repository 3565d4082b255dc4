//! A hook among many other processes of its container.

use std::time::Duration;

use super::scene::{CONTAINER, DOCKER, HANDLED, Scene, Who, cgroup_created, config, split_words};
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
        pre_stop: Some(split_words("sleep 3")),
    }]);
    config.limits.processes_max = 3;
    Scene::with_config(config).receives(cgroup_created(CONTAINER, DOCKER))
}

/// A preStop hook that runs beside visitors, as many of them as there is room.
#[test]
fn visitors_do_not_push_the_hook_out() {
    let report = with_room_for_two()
        .running()
        .at_second(5.0)
        .execs_command(Who::Visitor, "sleep 600")
        .at_second(10.0)
        .execs_command(Who::Hook, "sleep 3")
        .at_second(11.0)
        .execs_command(Who::Probe, "curl")
        .at_second(13.0)
        .exits_with_code(Who::Hook, 0)
        .stop(HANDLED)
        .at_second(15.01)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
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
    let report = Scene::with_grace_and_hook(5, Some("sleep 3"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "sleep 3")
        .at_second(13.0)
        .exits_with_code(Who::Hook, 0)
        .stop(HANDLED)
        .at_second(13.6)
        .happens(EventKind::Attach(again))
        .at_second(15.01)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
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
        .at_second(10.0)
        .attached(Who::Visitor)
        .attached(Who::Probe)
        .attached(Who::Hook)
        .at_second(13.0)
        .stop(HANDLED)
        .at_second(15.01)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert!(report.doubts.contains(&Doubt::ProcessesForgotten));
    assert!(Doubt::ProcessesForgotten.is_incomplete());
}
