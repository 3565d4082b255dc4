//! What a program calls itself does not make it a sandbox: what was executed first does, and what a status names is none.

use super::scene::{
    CONTAINER, DOCKER, FATAL, Scene, Who, cgroup_created, config, event_input, exec_event,
    found_process, signal_sent,
};
use super::stage;
use crate::event::{EventKind, Exit, ExitStatus, Process};
use crate::input::{Input, ProcessFound};
use crate::signal::Signal;

const PODMAN: &str = "/machine.slice/machine-libpod_pod_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.slice/libpod-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope";

fn process_with_comm(comm: &str) -> Process {
    Process {
        comm: comm.to_owned(),
        ..Who::Main.process()
    }
}

fn tracked_scene(path: &str) -> Scene {
    Scene::with_config(config(Vec::new())).receives(cgroup_created(CONTAINER, path))
}

/// It executes these programs, one after the other, then calls itself so, and is killed.
fn run_until_killed(scene: Scene, programs: &[&str], comm: &str) -> Scene {
    let scene = scene.at_second(1.0).attached(Who::Main);
    let scene = programs.iter().fold(scene, |scene, command| {
        let program = command.split(' ').next().unwrap_or_default();
        let program = program.rsplit('/').next().unwrap_or_default();
        let at = scene.now;
        scene.receives(event_input(
            at,
            exec_event(process_with_comm(program), command),
        ))
    });
    is_killed(scene, comm)
}

fn is_killed(scene: Scene, comm: &str) -> Scene {
    let mut stop = signal_sent(Who::Runc, Who::Main, 9, FATAL);
    if let EventKind::Signal(sent) = &mut stop {
        sent.target = process_with_comm(comm);
    }
    let exit = EventKind::Exit(Exit {
        process: process_with_comm(comm),
        status: ExitStatus::Signal {
            signal: Signal::KILL,
            core_dumped: false,
        },
        executed: true,
        pending: None,
        ns_reboot: None,
    });
    scene.at_second(10.0).happens(stop).happens(exit).removed()
}

#[test]
fn a_name_that_a_program_gives_itself_hides_nothing() {
    for path in [&*stage::path(0), PODMAN, DOCKER] {
        run_until_killed(tracked_scene(path), &["/app"], "pause").report();
        run_until_killed(tracked_scene(path), &["/app", "/pause"], "pause").report();
        run_until_killed(tracked_scene(path), &["/app -P", "/app"], "catatonit").report();
        run_until_killed(tracked_scene(path), &["/app", "/catatonit -P"], "catatonit").report();
        // The program's own first word is the choice of whoever executes it, its file is not.
        run_until_killed(tracked_scene(path), &["/app"], "app").report();
    }
}

#[test]
fn what_executed_a_sandboxs_program_first_is_a_sandbox_whatever_it_calls_itself() {
    for (path, program) in [
        (&*stage::path(0), "/pause"),
        (PODMAN, "/pause"),
        (PODMAN, "/catatonit -P"),
    ] {
        for comm in ["pause", "app"] {
            run_until_killed(tracked_scene(path), &[program], comm).no_report();
            run_until_killed(tracked_scene(path), &["/usr/bin/runc init", program], comm)
                .no_report();
        }
    }
    run_until_killed(tracked_scene(DOCKER), &["/pause"], "pause").report();
    run_until_killed(tracked_scene(DOCKER), &["/catatonit -P"], "catatonit").report();
}

/// The sandboxes of a node that is a container itself.
#[test]
fn a_sandbox_in_another_container_is_one() {
    let path = format!("{DOCKER}{}", stage::path(0));
    run_until_killed(tracked_scene(&path), &["/pause"], "pause").no_report();
    run_until_killed(tracked_scene(&path), &["/app"], "pause").report();
}

fn found_as(comm: &str, argv: &[&str]) -> Scene {
    let process = ProcessFound {
        comm: comm.to_owned(),
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        ..found_process(Who::Main)
    };
    Scene::with_config(config(Vec::new()))
        .receives(Input::CgroupFound {
            cgroup: CONTAINER,
            parent: crate::event::CgroupId(1),
            path: stage::path(0),
        })
        .receives(Input::Processes {
            container: CONTAINER,
            processes: vec![process],
        })
}

#[test]
fn of_one_that_was_there_before_it_counts_what_it_was_then() {
    is_killed(found_as("app", &["/app"]), "pause").report();
    is_killed(found_as("pause", &["/app"]), "pause").report();
    is_killed(found_as("pause", &["/pause"]), "app").no_report();
    // It was seen to execute its program, and is looked at later.
    let later = ProcessFound {
        comm: "pause".to_owned(),
        argv: vec!["/pause".to_owned()],
        ..found_process(Who::Main)
    };
    let scene = tracked_scene(&stage::path(0)).running().at_second(5.0);
    let scene = scene.receives(Input::Processes {
        container: CONTAINER,
        processes: vec![later],
    });
    is_killed(scene, "pause").report();
}
