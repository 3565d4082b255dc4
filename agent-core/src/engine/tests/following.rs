//! How containers are followed: what is asked for, restarts, daemons, bounds, the end of the agent.

use super::scene::{
    CONTAINER, DOCKER, HANDLED, IGNORED, SERVICE, Scene, Who, cgroup_created, config, doubts,
    finding_kinds, reports,
};
use crate::config::{ConfigError, Limits};
use crate::engine::Engine;
use crate::event::{CgroupId, Tgid};
use crate::input::Input;
use crate::output::{DropReason, Effect, Output};
use crate::report::{Doubt, Finding, FindingKind, Outcome};
use crate::signal::Signal;
use crate::time::Timestamp;

fn progress(said: &[Output]) -> Vec<(bool, bool, bool, bool, bool)> {
    let steps = |output: &Output| match output {
        Output::Progress(report) => {
            assert_eq!(report.outcome, Outcome::InProgress);
            Some((
                report.hook.is_some(),
                report.stop_signal.is_some(),
                report.kill.is_some(),
                report.exit.is_some(),
                report.released_at.is_some(),
            ))
        }
        _ => None,
    };
    said.iter().filter_map(steps).collect()
}

#[test]
fn each_step_is_told_once() {
    let (said, reports) = Scene::with_grace_and_hook(2, Some("flush"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Hook, "flush")
        .at_second(10.5)
        .exits_with_code(Who::Hook, 0)
        .at_second(10.6)
        .stop(IGNORED)
        .at_second(12.61)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .at_second(12.62)
        .becomes_empty()
        .at_second(12.63)
        .removed()
        .finish();
    assert_eq!(
        progress(&said),
        [
            (true, false, false, false, false),
            (true, false, false, false, false),
            (true, true, false, false, false),
            (true, true, true, false, false),
            (true, true, true, true, false),
            (true, true, true, true, true),
        ]
    );
    assert_eq!(reports.len(), 1);
    assert_eq!(finding_kinds(&reports[0]), [FindingKind::SignalIgnored]);
    let untrack = Output::Effect(Effect::Untrack {
        container: CONTAINER,
    });
    assert!(said.contains(&untrack));
    assert!(matches!(
        said.last(),
        Some(Output::Tracked { added: false, .. })
    ));
}

#[test]
fn a_container_is_tracked_with_its_signals_and_its_processes_are_watched() {
    let mut scene = Scene::service();
    scene = scene.finds_processes(&[Who::Plain, Who::Child]);
    let track = |output: &Output| match output {
        Output::Effect(Effect::Track {
            path,
            signals,
            begins,
            ..
        }) => Some((path.clone(), signals.clone(), begins.clone())),
        _ => None,
    };
    let (path, signals, begins) = scene.said.iter().find_map(track).unwrap();
    assert_eq!(path, SERVICE);
    assert!(signals.contains(&Signal::TERM) && signals.contains(&Signal::KILL));
    assert!(begins.iter().all(|signal| signals.contains(signal)));
    let watched: Vec<Tgid> = scene
        .said
        .iter()
        .filter_map(|output| match output {
            Output::Effect(Effect::Watch { tgid, .. }) => Some(*tgid),
            _ => None,
        })
        .collect();
    assert_eq!(watched, [Who::Plain.process().tgid]);
}

/// Type=forking: the first process goes with status 0, what it left behind is the service.
#[test]
fn a_daemon_that_forked_is_the_main_process() {
    let started = || {
        Scene::service()
            .at_second(1.0)
            .execs_command(Who::Plain, "/daemon")
            .at_second(1.5)
            .exits_with_code(Who::Plain, 0)
            .finds_processes(&[Who::Daemon])
    };
    started().no_report();
    let (said, reports) = started()
        .at_second(50.0)
        .sends_signal(Who::Runc, Who::Daemon, 15, HANDLED)
        .exits_with_code(Who::Daemon, 0)
        .becomes_empty()
        .finish();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].outcome, Outcome::Graceful);
    assert_eq!(reports[0].main.as_ref().unwrap().comm, "daemon");
    assert_eq!(doubts(&reports[0]), []);
    let inspects = said
        .iter()
        .filter(|output| matches!(output, Output::Effect(Effect::Inspect { .. })))
        .count();
    assert_eq!(inspects, 1, "one, for the exit that may be a daemon's");
}

/// `ExecStartPre=`: the cgroup is empty between it and the main process.
#[test]
fn what_runs_before_the_main_process_is_not_the_service() {
    let (_, reports) = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/prepare")
        .at_second(1.2)
        .exits_with_code(Who::Plain, 0)
        .becomes_empty()
        .finds_processes(&[])
        .at_second(1.21)
        .happens(crate::event::EventKind::CgroupPopulated { populated: true })
        .execs_command(Who::Daemon, "/app")
        .at_second(50.0)
        .sends_signal(Who::Runc, Who::Daemon, 15, HANDLED)
        .exits_with_code(Who::Daemon, 0)
        .becomes_empty()
        .finish();
    let comms: Vec<&str> = reports
        .iter()
        .map(|report| report.main.as_ref().unwrap().comm.as_str())
        .collect();
    assert_eq!(comms, ["daemon"]);
    assert_eq!(reports[0].outcome, Outcome::Graceful);
    assert_eq!(doubts(&reports[0]), []);
}

/// `ExecStop=`: systemd's control process sends the signal from inside the service's cgroup.
#[test]
fn a_control_process_of_systemd_speaks_for_it() {
    let stopped_by = |scene: Scene| {
        scene
            .execs_command(Who::Hook, "kill -TERM 101")
            .sends_signal(Who::Hook, Who::Plain, 15, HANDLED)
            .at_second(10.2)
            .exits_with_code(Who::Plain, 0)
            .becomes_empty()
            .report()
    };
    let service = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app");
    let report = stopped_by(service.at_second(10.0));
    assert_eq!(report.outcome, Outcome::Graceful);
    assert!(!report.stop_signal.unwrap().sender.outside);
    let container = Scene::container()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app");
    let report = stopped_by(container.at_second(10.0));
    assert_eq!(report.outcome, Outcome::Graceful);
    let inside = |finding: &Finding| finding.kind == FindingKind::StoppedFromInside;
    assert!(report.findings.iter().any(inside));
}

#[test]
fn a_service_that_completed_and_left_nothing_is_completed() {
    let report = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/job")
        .at_second(1.5)
        .exits_with_code(Who::Plain, 0)
        .finds_processes(&[])
        .at_second(1.6)
        .becomes_empty()
        .report();
    assert_eq!(report.outcome, Outcome::Completed);
    assert_eq!(report.doubts, []);
}

#[test]
fn an_exit_of_which_nobody_said_what_it_left_is_doubted() {
    let report = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/job")
        .at_second(1.5)
        .exits_with_code(Who::Plain, 0)
        .report();
    assert_eq!(report.outcome, Outcome::Completed);
    assert_eq!(doubts(&report), [Doubt::MainUncertain]);
}

#[test]
fn a_restart_in_the_same_cgroup_is_another_termination() {
    let again = |scene: Scene, at: f64, tgid: u32| {
        let mut process = Who::Plain.process();
        process.tgid = Tgid(tgid);
        process.start = Timestamp(0).after(std::time::Duration::from_secs_f64(at));
        let exit = crate::event::Exit {
            process: process.clone(),
            status: crate::event::ExitStatus::Code(1),
            executed: true,
            pending: None,
            ns_reboot: None,
        };
        scene
            .at_second(at)
            .happens(super::scene::exec_event(process, "/app"))
            .at_second(at + 5.0)
            .happens(crate::event::EventKind::Exit(exit))
            .becomes_empty()
    };
    let (_, reports) = again(again(Scene::service(), 10.0, 400), 20.0, 400).finish();
    let ids: Vec<u64> = reports.iter().map(|report| report.id).collect();
    assert_eq!(ids, [1, 2]);
    assert!(reports.iter().all(|one| one.outcome == Outcome::Crashed));
}

#[test]
fn the_report_is_finished_although_the_cgroup_lives_on() {
    let scene = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Plain, 15, HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Plain, 0)
        .at_second(11.6);
    let reports = reports(&scene.said);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].released_at, None);
}

#[test]
fn a_stop_signal_that_nothing_came_of_is_forgotten() {
    let report = Scene::with_grace_and_hook(30, None)
        .running()
        .at_second(10.0)
        .stop(IGNORED)
        .at_second(9000.0)
        .stop(HANDLED)
        .at_second(9001.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.total_duration().unwrap().as_secs(), 1);
    assert_eq!(report.stop_signals_repeated, 0);
}

#[test]
fn a_scan_that_does_not_find_a_container_ends_it() {
    let scene = Scene::container().running().at_second(10.0).stop(HANDLED);
    let report = scene.at_second(11.0).receives(Input::ScanFinished).report();
    assert_eq!(report.outcome, Outcome::Unknown);
    assert_eq!(doubts(&report), [Doubt::ExitMissing]);
    let found = Input::CgroupFound {
        cgroup: CONTAINER,
        parent: CgroupId(1),
        path: DOCKER.to_owned(),
    };
    Scene::container()
        .running()
        .at_second(10.0)
        .receives(found)
        .receives(Input::ScanFinished)
        .no_report();
}

#[test]
fn the_agents_end_closes_what_is_open_and_nothing_else() {
    let open = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(11.0)
        .receives(Input::Shutdown)
        .report();
    assert_eq!(open.outcome, Outcome::Unknown);
    assert_eq!(doubts(&open), [Doubt::AgentStopped]);
    let exited = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .receives(Input::Shutdown)
        .report();
    assert_eq!(exited.outcome, Outcome::Graceful);
    assert_eq!(doubts(&exited), [Doubt::AgentStopped]);
    Scene::container()
        .running()
        .at_second(10.0)
        .receives(Input::Shutdown)
        .no_report();
}

#[test]
fn too_many_containers_are_dropped_and_said() {
    let mut config = config(Vec::new());
    config.limits.containers_max = 1;
    let scene = Scene::with_config(config)
        .receives(cgroup_created(CONTAINER, DOCKER))
        .receives(cgroup_created(CgroupId(8), SERVICE));
    let dropped = Output::Dropped {
        reason: DropReason::ContainersFull,
        at: Timestamp(0),
    };
    assert!(scene.said.contains(&dropped));
}

#[test]
fn too_many_processes_are_dropped_and_said() {
    let mut config = config(Vec::new());
    config.limits.processes_max = 2;
    let scene = Scene::with_config(config)
        .receives(cgroup_created(CONTAINER, DOCKER))
        .running()
        .attached(Who::Hook)
        .attached(Who::Probe);
    let dropped = |output: &Output| {
        matches!(
            output,
            Output::Dropped {
                reason: DropReason::ProcessesFull,
                ..
            }
        )
    };
    assert!(scene.said.iter().any(dropped));
    let report = scene
        .at_second(9.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
}

#[test]
fn an_event_of_a_stranger_is_dropped_and_said() {
    let scene = Scene::with_config(config(Vec::new())).execs_command(Who::Main, "/app");
    assert_eq!(
        scene.said,
        [Output::Dropped {
            reason: DropReason::ContainerUnknown,
            at: Timestamp(0),
        }]
    );
}

#[test]
fn a_limit_of_nothing_is_refused() {
    let mut config = config(Vec::new());
    config.limits = Limits {
        containers_max: 0,
        ..Limits::default()
    };
    assert_eq!(
        Engine::new(config).unwrap_err(),
        ConfigError::ZeroLimit("containers_max")
    );
}

#[test]
fn a_container_inside_a_service_is_tracked_again_when_the_service_is_found_after_it() {
    let inner = CgroupId(70);
    let path = format!("{SERVICE}/x{DOCKER}");
    let scene = Scene::with_config(config(Vec::new()))
        .receives(cgroup_created(inner, &path))
        .receives(cgroup_created(CONTAINER, SERVICE));
    let tracked: Vec<CgroupId> = scene
        .said
        .iter()
        .filter_map(|output| match output {
            Output::Effect(Effect::Track { container, .. }) => Some(*container),
            _ => None,
        })
        .collect();
    assert_eq!(tracked, [inner, CONTAINER, inner]);
}

#[test]
fn a_container_made_while_a_scan_goes_on_is_not_taken_for_gone() {
    let scene = Scene::with_config(config(Vec::new()))
        .at_second(10.0)
        .receives(Input::CgroupFound {
            cgroup: CgroupId(8),
            parent: CgroupId(1),
            path: "/system.slice".to_owned(),
        })
        .at_second(10.1)
        .receives(cgroup_created(CONTAINER, DOCKER))
        .receives(Input::ScanFinished);
    let untrack = |output: &Output| matches!(output, Output::Effect(Effect::Untrack { .. }));
    assert!(!scene.said.iter().any(untrack));
}

#[test]
fn late_facts_are_waited_for_after_the_release() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .at_second(11.2)
        .removed()
        .at_second(11.9)
        .receives(Input::SignalCounts {
            container: CONTAINER,
            inside: 9,
            outside: 0,
            unrecorded: crate::input::Unrecorded::default(),
        })
        .report();
    assert_eq!(report.signals_inside, 9);
}

/// The counts come with the untracking; a cgroup that is removed late must not make them a 0.
#[test]
fn a_cgroup_that_lives_on_is_asked_for_its_counts() {
    let scene = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .becomes_empty();
    let asked = Output::Effect(Effect::Count {
        container: CONTAINER,
    });
    let times = scene.said.iter().filter(|said| **said == asked).count();
    assert_eq!(times, 2, "at the exit and at the release");
    let report = scene
        .receives(Input::SignalCounts {
            container: CONTAINER,
            inside: 9,
            outside: 0,
            unrecorded: crate::input::Unrecorded::default(),
        })
        .at_second(20.0)
        .report();
    assert_eq!(report.signals_inside, 9);
}

/// The ring buffer keeps the order of each processor, not of all.
#[test]
fn what_comes_late_is_put_where_it_belongs() {
    use super::scene::{event_input, exec_event, signal_sent};
    let at = |millis: u64| Timestamp(millis * 1_000_000);
    let report = Scene::container()
        .at_second(10.0)
        .attached(Who::Main)
        .receives(event_input(
            at(9_002),
            exec_event(Who::Main.process(), "/app"),
        ))
        .receives(event_input(
            at(9_001),
            exec_event(Who::Main.process(), "/entrypoint"),
        ))
        .at_second(20.0)
        .receives(event_input(
            at(19_002),
            signal_sent(Who::Runc, Who::Main, 15, HANDLED),
        ))
        .receives(event_input(
            at(19_001),
            signal_sent(Who::Runc, Who::Main, 15, HANDLED),
        ))
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.main.unwrap().argv, ["/app"]);
    assert_eq!(report.stop_signal.unwrap().at, at(19_001));
    assert_eq!(report.stop_signals_repeated, 1);
}
