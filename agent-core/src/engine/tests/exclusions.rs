//! What looks like a part of a termination and is none (docs: the exclusions of the metric definitions).

use super::scene::{
    BY_KERNEL, CONTAINER, DOCKER, FATAL, HANDLED, IGNORED, Scene, Sent, Who, cgroup_created,
    config, doubts, event_input, exec_event, finding_kinds, found_process, signal_sent,
};
use crate::event::{EventKind, Exit, ExitStatus, Handler, Process};
use crate::input::{Input, ProcessFound};
use crate::report::{Doubt, FindingKind, KillCause, Outcome};

/// A dying init makes the kernel send SIGKILL to what is left in its namespace.
#[test]
fn sigkill_by_the_teardown_of_the_namespace_is_no_kill() {
    let report = Scene::container()
        .running()
        .at_second(5.0)
        .execs_command(Who::Probe, "probe")
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .sends_signal(Who::Main, Who::Probe, 9, BY_KERNEL)
        .dies_by_signal(Who::Probe, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!((report.kill, report.kills_repeated), (None, 0));
}

/// Go's `dieFromSignal` resets the handler and raises the signal again; the kernel ignores it for PID 1.
#[test]
fn a_self_raise_is_no_stop_signal() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.1)
        .sends_signal(
            Who::Main,
            Who::Main,
            15,
            Sent {
                code: -6,
                ..IGNORED
            },
        )
        .sends_signal(
            Who::Main,
            Who::Main,
            15,
            Sent {
                code: -6,
                ..IGNORED
            },
        )
        .at_second(10.2)
        .exits_with_code(Who::Main, 2)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.stop_signals_repeated, 0);
    assert_eq!(report.findings, []);
    Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Main, Who::Main, 15, IGNORED)
        .no_report();
}

/// A worker of a service gets a signal of its own: that is not the service's stop, even if nobody knows the main process yet.
#[test]
fn a_signal_to_a_process_that_is_not_watched_is_no_stop() {
    for number in [15, 9] {
        let mut sent = signal_sent(Who::Runc, Who::Plain, number, HANDLED);
        if let EventKind::Signal(sent) = &mut sent {
            sent.watched = false;
        }
        Scene::service().at_second(10.0).happens(sent).no_report();
    }
}

/// Since 6.1 a signal to a dying group is reported as ignored; before, as delivered.
#[test]
fn a_signal_to_a_dying_group_is_no_stop_signal() {
    let since_6_1 = Sent {
        exiting: true,
        ..IGNORED
    };
    let with_handler = Sent {
        exiting: true,
        ..HANDLED
    };
    for sent in [since_6_1, with_handler, FATAL] {
        let report = Scene::container()
            .running()
            .at_second(10.0)
            .stop(sent)
            .at_second(10.001)
            .exits_with_code(Who::Main, 0)
            .removed()
            .report();
        assert_eq!(report.outcome, Outcome::Completed, "{sent:?}");
        assert_eq!(report.stop_signal, None);
    }
}

#[test]
fn sigkill_to_one_that_was_exiting_by_itself_is_no_kill() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(20.0)
        .kill_by_runtime()
        .at_second(20.001)
        .exits_with_code(Who::Main, 0)
        .at_second(20.01)
        .sends_signal(
            Who::Runc,
            Who::Main,
            9,
            Sent {
                exiting: true,
                ..IGNORED
            },
        )
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!((report.kill, report.kills_repeated), (None, 0));
}

/// CRI-O sends SIGKILL again and again until the container is gone.
#[test]
fn repeated_sigkills_are_one_kill() {
    let mut scene = Scene::with_grace_and_hook(2, None)
        .running()
        .at_second(10.0)
        .stop(IGNORED)
        .at_second(12.01)
        .kill_by_runtime();
    for step in 1..=30_u32 {
        scene = scene
            .at_second(12.01 + f64::from(step) * 0.02)
            .kill_by_runtime();
    }
    let report = scene.dies_by_signal(Who::Main, 9).removed().report();
    assert_eq!(report.outcome, Outcome::SignalIgnored);
    assert_eq!(report.kills_repeated, 30);
    assert_eq!(report.kill.unwrap().cause, KillCause::GraceExpired);
}

#[test]
fn repeated_stop_signals_are_counted() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(11.0)
        .stop(HANDLED)
        .at_second(12.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.stop_signals_repeated, 1);
    assert_eq!(report.stop_signal_to_exit().unwrap().as_secs(), 2);
}

/// A pod's sandbox is killed without a stop signal, always.
/// A container whose program is called `pause`, below this path.
fn pause_at(path: &str) -> Scene {
    let pause = || Process {
        comm: "pause".to_owned(),
        ..Who::Main.process()
    };
    let mut killed = signal_sent(Who::Runc, Who::Main, 9, FATAL);
    if let EventKind::Signal(sent) = &mut killed {
        sent.target = pause();
    }
    Scene::with_config(config(Vec::new()))
        .receives(cgroup_created(CONTAINER, path))
        .at_second(1.0)
        .happens(exec_event(pause(), "/pause"))
        .at_second(10.0)
        .happens(killed)
        .happens(EventKind::Exit(Exit {
            process: pause(),
            status: ExitStatus::Code(2),
            executed: true,
            pending: None,
            ns_reboot: None,
        }))
        .removed()
}

#[test]
fn the_sandbox_of_a_pod_is_no_subject_and_a_container_of_docker_is_one_by_any_name() {
    pause_at(&super::stage::path(0)).no_report();
    let report = pause_at(DOCKER).report();
    assert_eq!(report.main.unwrap().comm, "pause");
}

#[test]
fn exits_of_probes_are_no_termination() {
    let mut scene = Scene::with_grace_and_hook(30, Some("/bin/sh -c stop")).running();
    for probe in 1..=5_u32 {
        scene = scene
            .at_second(f64::from(probe) * 10.0)
            .execs_command(Who::Probe, "/bin/sh -c probe")
            .at_second(f64::from(probe) * 10.0 + 0.2)
            .exits_with_code(Who::Probe, 1);
    }
    scene.no_report();
}

/// Signals to a probe (its timeout) are none for the container.
#[test]
fn signals_to_a_probe_are_no_termination() {
    Scene::container()
        .running()
        .at_second(5.0)
        .execs_command(Who::Probe, "probe")
        .sends_signal(Who::Runc, Who::Probe, 15, HANDLED)
        .sends_signal(Who::Runc, Who::Probe, 9, FATAL)
        .dies_by_signal(Who::Probe, 9)
        .no_report();
}

/// In a shared pid namespace the main process is not PID 1; SIGTERM's default action ends it, and the first that entered
/// is the main one.
#[test]
fn in_a_shared_pid_namespace_the_first_that_entered_is_the_main_process() {
    let report = Scene::container()
        .at_second(1.0)
        .attached(Who::Plain)
        .execs_command(Who::Plain, "/app")
        .at_second(5.0)
        .execs_command(Who::Hook, "debug")
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Plain, 15, HANDLED)
        .at_second(20.01)
        .sends_signal(Who::Runc, Who::Plain, 9, FATAL)
        .sends_signal(Who::Runc, Who::Hook, 9, FATAL)
        .dies_by_signal(Who::Plain, 9)
        .dies_by_signal(Who::Hook, 9)
        .removed()
        .report();
    assert_eq!(report.main.unwrap().tgid, Who::Plain.process().tgid);
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(report.doubts, [Doubt::GraceUnknown]);
}

/// When the sandbox of a shared pid namespace dies, the kernel kills the main processes of all its containers.
#[test]
fn the_death_of_a_shared_namespaces_init_is_the_kernels_kill() {
    let report = Scene::container()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(10.0)
        .sends_signal(Who::Pause, Who::Plain, 9, BY_KERNEL)
        .dies_by_signal(Who::Plain, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::KilledByOther);
    assert_eq!(report.kill.as_ref().unwrap().cause, KillCause::Kernel);
    assert_eq!(doubts(&report), [Doubt::KernelKillUnexplained]);
}

/// The kernel's own signals (a terminal's hang-up, a resize) are nobody's wish to stop.
#[test]
fn a_stop_signal_by_the_kernel_is_none() {
    Scene::container()
        .running()
        .at_second(10.0)
        .stop(Sent {
            code: 128,
            ..HANDLED
        })
        .no_report();
}

/// `runc create`: a helper is attached, makes the main process, and goes.
#[test]
fn the_runtimes_helper_is_not_the_main_process() {
    let (said, reports) = Scene::container()
        .at_second(1.0)
        .attached(Who::Stage)
        .at_second(1.01)
        .exits_with_code(Who::Stage, 0)
        .at_second(1.02)
        .finds_processes(&[Who::Main])
        .at_second(4.0)
        .execs_command(Who::Main, "/app")
        .at_second(10.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .finish();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].main.as_ref().unwrap().tgid.0, 100);
    assert_eq!(reports[0].doubts, []);
    let withdrawn =
        |output: &crate::output::Output| matches!(output, crate::output::Output::Withdrawn { .. });
    assert!(!said.iter().any(withdrawn), "{said:#?}");
}

/// Recorded on a loaded node: the stage is found by its look into the cgroup, and the program starts more than a second
/// after its exit.
#[test]
fn a_stage_of_the_runtime_that_was_found_is_not_the_main_process() {
    let mut stage = found_process(Who::Stage);
    stage.argv = super::scene::split_words("/usr/bin/runc init");
    let begun = || {
        let scene = Scene::container();
        let stage = Input::Processes {
            container: CONTAINER,
            processes: vec![stage.clone()],
        };
        scene
            .at_second(1.0)
            .receives(stage)
            .at_second(1.1)
            .exits_with_code(Who::Stage, 0)
    };
    let report = begun()
        .at_second(2.5)
        .execs_command(Who::Main, "/app")
        .finds_processes(&[Who::Main])
        .at_second(10.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.main.unwrap().argv, ["/app"]);
    assert_eq!(report.doubts, []);
    begun().receives(Input::Shutdown).no_report();
    begun().at_second(60.0).no_report();
    let after_all = begun()
        .at_second(60.0)
        .execs_command(Who::Main, "/app")
        .at_second(70.0);
    let report = after_all
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.main.unwrap().argv, ["/app"]);
}

#[test]
fn a_container_found_just_before_its_end_is_seen_late() {
    let scene = Scene::with_config(config(Vec::new()))
        .receives(Input::CgroupFound {
            cgroup: CONTAINER,
            parent: crate::event::CgroupId(1),
            path: DOCKER.to_owned(),
        })
        .receives(Input::ScanFinished)
        .at_second(0.5)
        .finds_processes(&[Who::Main]);
    let report = scene
        .at_second(9.0)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::ForceKilled);
    assert_eq!(doubts(&report), [Doubt::SeenLate]);
    assert!(report.doubts[0].is_incomplete());
}

#[test]
fn a_container_found_long_before_its_end_is_certain() {
    let report = Scene::with_config(config(Vec::new()))
        .receives(Input::CgroupFound {
            cgroup: CONTAINER,
            parent: crate::event::CgroupId(1),
            path: DOCKER.to_owned(),
        })
        .at_second(0.5)
        .finds_processes(&[Who::Main])
        .at_second(200.0)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.doubts, []);
}

#[test]
fn a_main_process_known_by_a_signal_only_is_doubted() {
    let report = Scene::container()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(doubts(&report), [Doubt::SeenLate, Doubt::MainUncertain]);
}

#[test]
fn several_found_processes_without_an_init_are_doubted() {
    let report = Scene::service()
        .at_second(1.0)
        .finds_processes(&[Who::Plain, Who::Daemon])
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Plain, 15, HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Plain, 1)
        .removed()
        .report();
    assert_eq!(doubts(&report), [Doubt::MainUncertain]);
}

/// A probe that is written like the hook begins a termination that comes to nothing.
#[test]
fn a_probe_like_the_hook_is_taken_back() {
    let mut scene = Scene::with_grace_and_hook(30, Some("check")).running();
    for probe in 1..=4_u32 {
        scene = scene
            .at_second(f64::from(probe) * 10.0)
            .execs_command(Who::Probe, "check")
            .at_second(f64::from(probe) * 10.0 + 0.3)
            .exits_with_code(Who::Probe, 0);
    }
    scene.no_report();
}

#[test]
fn the_hook_is_the_last_of_those_that_look_like_it() {
    let report = Scene::with_grace_and_hook(30, Some("check"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Probe, "check")
        .at_second(10.2)
        .exits_with_code(Who::Probe, 0)
        .at_second(12.0)
        .execs_command(Who::Hook, "check")
        .at_second(12.5)
        .exits_with_code(Who::Hook, 0)
        .stop(HANDLED)
        .at_second(13.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(
        report.hook.as_ref().unwrap().tgid,
        Some(Who::Hook.process().tgid)
    );
    assert_eq!(doubts(&report), [Doubt::HookUncertain]);
    let later = Scene::with_grace_and_hook(30, Some("check"))
        .running()
        .at_second(10.0)
        .execs_command(Who::Probe, "check")
        .exits_with_code(Who::Probe, 0)
        .at_second(30.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(later.hook, None);
}

/// The stop signal was lost: an exit soon after must not be called a crash without a doubt.
#[test]
fn a_loss_is_in_every_report_that_it_may_concern() {
    let open = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .receives(Input::Lost {
            outermost: None,
            records: 3,
            between: None,
        })
        .at_second(11.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(doubts(&open), [Doubt::RecordsLost]);
    let soon = Scene::container()
        .running()
        .at_second(10.0)
        .receives(Input::Lost {
            outermost: None,
            records: 3,
            between: None,
        })
        .finds_processes(&[Who::Main])
        .at_second(12.0)
        .exits_with_code(Who::Main, 1)
        .removed()
        .report();
    assert_eq!(doubts(&soon), [Doubt::RecordsLost]);
    let long_after = Scene::container()
        .running()
        .at_second(10.0)
        .receives(Input::Lost {
            outermost: None,
            records: 3,
            between: None,
        })
        .finds_processes(&[Who::Main])
        .at_second(120.0)
        .exits_with_code(Who::Main, 1)
        .removed()
        .report();
    assert_eq!(doubts(&long_after), []);
}

#[test]
fn an_exit_among_the_lost_records_is_noticed() {
    let report = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(10.0)
        .receives(Input::Lost {
            outermost: None,
            records: 1,
            between: None,
        })
        .finds_processes(&[])
        .report();
    assert_eq!(report.outcome, Outcome::Unknown);
    assert_eq!(doubts(&report), [Doubt::RecordsLost, Doubt::ExitMissing]);
}

/// The kernel side names the surrounding service until it knows the container inside.
#[test]
fn an_event_counts_for_the_very_cgroup_before_the_surrounding_one() {
    let inner = crate::event::CgroupId(70);
    let path = format!("{}{DOCKER}", super::scene::SERVICE);
    let scene = Scene::service()
        .at_second(1.0)
        .execs_command(Who::Plain, "/k3s")
        .receives(cgroup_created(inner, &path));
    let mut exit = event_input(
        scene.now,
        EventKind::Exit(Exit {
            process: Who::Main.process(),
            status: ExitStatus::Code(1),
            executed: true,
            pending: None,
            ns_reboot: None,
        }),
    );
    if let Input::Event(event) = &mut exit {
        event.cgroup = inner;
    }
    let report = scene
        .receives(Input::Processes {
            container: inner,
            processes: vec![found_process(Who::Main)],
        })
        .at_second(100.0)
        .receives(exit)
        .report();
    assert_eq!(report.subject.cgroup, inner);
    assert_eq!(report.outcome, Outcome::Crashed);
}

#[test]
fn a_handler_set_to_ignore_is_the_finding_even_if_it_exits_later() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(Sent {
            handler: Handler::Ignore,
            ..IGNORED
        })
        .at_second(13.3)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&report), [FindingKind::SignalIgnored]);
}

#[test]
fn a_signal_to_one_that_is_dumping_core_is_no_stop_signal() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(Sent {
            exiting: true,
            ..HANDLED
        })
        .at_second(10.5)
        .dies_by_signal(Who::Main, 11)
        .removed()
        .report();
    assert_eq!(report.trigger, crate::report::Trigger::Crashed);
    assert_eq!(report.stop_signal, None);
}

#[test]
fn a_stop_signal_after_sigkill_is_none() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .kill_by_runtime()
        .at_second(10.5)
        .stop(HANDLED)
        .at_second(10.6)
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::ForceKilled);
    assert_eq!(report.stop_signal, None);
}

#[test]
fn the_init_of_a_namespace_is_the_main_process_even_if_another_entered_before() {
    let report = Scene::container()
        .at_second(1.0)
        .attached(Who::Stage)
        .execs_command(Who::Stage, "runc init")
        .execs_command(Who::Main, "/app")
        .at_second(10.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.main.unwrap().tgid, Who::Main.process().tgid);
    assert_eq!(report.outcome, Outcome::Graceful);
}

#[test]
fn a_helper_that_went_without_exec_gives_way_at_once() {
    let report = Scene::container()
        .at_second(1.0)
        .attached(Who::Stage)
        .at_second(1.01)
        .exits_with_code(Who::Stage, 0)
        .at_second(1.02)
        .execs_command(Who::Plain, "/app")
        .at_second(1.5)
        .sends_signal(Who::Runc, Who::Plain, 15, HANDLED)
        .at_second(1.6)
        .exits_with_code(Who::Plain, 0)
        .removed()
        .report();
    assert_eq!(report.main.unwrap().tgid, Who::Plain.process().tgid);
    assert_eq!(report.outcome, Outcome::Graceful);
}

/// From critest, with crun in a pod whose containers share their pid namespace: the stop came before the program was executed.
#[test]
fn of_those_that_ran_no_program_the_last_to_leave_is_the_main_process() {
    let leaves = |who: Who, status: ExitStatus| {
        EventKind::Exit(Exit {
            process: who.process(),
            status,
            executed: false,
            pending: None,
            ns_reboot: None,
        })
    };
    let sees = |who: &[Who]| Input::Processes {
        container: CONTAINER,
        processes: who
            .iter()
            .map(|who| ProcessFound {
                argv: super::scene::split_words("/usr/bin/crun create"),
                ..found_process(*who)
            })
            .collect(),
    };
    for main in [Who::Plain, Who::Main] {
        let killed = ExitStatus::Signal {
            signal: crate::signal::Signal::try_from(15).unwrap(),
            core_dumped: false,
        };
        let report = Scene::container()
            .at_second(1.0)
            // What the helper has made is still its child.
            .receives(sees(&[Who::Stage]))
            .at_second(1.01)
            .happens(leaves(Who::Stage, ExitStatus::Code(0)))
            .at_second(1.02)
            .receives(sees(&[main]))
            .at_second(1.05)
            .sends_signal(Who::Runc, main, 15, HANDLED)
            .at_second(1.08)
            .happens(leaves(main, killed))
            .removed()
            .report();
        assert_eq!(report.main.unwrap().tgid, main.process().tgid);
        assert_eq!(report.outcome, Outcome::Graceful);
        assert_eq!(report.exit.unwrap().status, killed);
    }
}

/// Seen with real runtimes: the look at the container began before the helper's exit and was told after it.
#[test]
fn what_exited_while_the_container_was_looked_at_is_not_found() {
    let report = Scene::container()
        .at_second(1.0)
        .attached(Who::Stage)
        .finds_processes(&[Who::Plain])
        .at_second(1.01)
        .exits_with_code(Who::Stage, 0)
        .at_second(1.02)
        .finds_processes(&[Who::Stage, Who::Plain])
        .at_second(2.0)
        .execs_command(Who::Plain, "/app")
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Plain, 15, HANDLED)
        .exits_with_code(Who::Plain, 0)
        .removed()
        .report();
    assert_eq!(report.main.unwrap().tgid, Who::Plain.process().tgid);
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(report.doubts, []);
}

/// As the kubelet does when it cleans up a pod's cgroup: to all, dead or alive.
#[test]
fn a_sigkill_that_the_kernel_threw_away_is_no_kill() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, 9, IGNORED)
        .at_second(11.0)
        .kill_by_runtime()
        .dies_by_signal(Who::Main, 9)
        .removed()
        .report();
    assert_eq!(report.kill.unwrap().at, report.started_at);
    assert_eq!(report.started_at.0, 11_000_000_000);
}

#[test]
fn a_number_that_was_used_again_is_another_process() {
    let mut old = Who::Main.process();
    old.start = crate::time::Timestamp(1);
    Scene::container()
        .running()
        .at_second(10.0)
        .happens(EventKind::Exit(Exit {
            process: old.clone(),
            status: ExitStatus::Code(1),
            executed: true,
            pending: None,
            ns_reboot: None,
        }))
        .happens(EventKind::Attach(old))
        .at_second(20.0)
        .no_report();
    let mut new = Who::Main.process();
    new.start = crate::time::Timestamp(30_000_000_000);
    let report = Scene::container()
        .running()
        .at_second(31.0)
        .happens(EventKind::Attach(new.clone()))
        .at_second(40.0)
        .happens(EventKind::Exit(Exit {
            process: new.clone(),
            status: ExitStatus::Code(1),
            executed: true,
            pending: None,
            ns_reboot: None,
        }))
        .report();
    assert_eq!(report.main.unwrap().start, new.start);
}
