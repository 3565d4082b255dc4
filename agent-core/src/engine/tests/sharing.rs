//! What one container makes the engine remember is missing to nobody else.

use super::scene::{CONTAINER, HANDLED, Scene, Who, cgroup_created};
use super::stage::{self, deleted, exec_hook, pod_with_grace, with_hook};
use crate::event::{CgroupId, Event, EventKind, Exec, Process, Tgid};
use crate::input::Input;
use crate::pod::Role;
use crate::report::{Doubt, HookKind};

/// Container `number` within the scenario's own one executes programs with long command lines, until nothing more of them is
/// remembered.
fn flooded(mut scene: Scene, within: &str, first: u64) -> Scene {
    for number in first..first + 10 {
        let inner = CgroupId(number);
        scene = scene.receives(cgroup_created(
            inner,
            &format!("{within}/docker/{number:064x}"),
        ));
        for process in 0..300_u32 {
            let tgid = u32::try_from(number).unwrap() * 1000 + process;
            let exec = EventKind::Exec(Exec {
                process: Process {
                    tgid: Tgid(tgid),
                    container: Some(inner),
                    ..Who::Visitor.process()
                },
                argv: vec!["x".repeat(511)],
                argv_cut: true,
            });
            let at = scene.now;
            scene = scene.receives(Input::Event(Event {
                at,
                container: Some(inner),
                cgroup: inner,
                kind: exec,
            }));
        }
    }
    scene
}

fn stopped_with_hook(scene: Scene) -> Scene {
    scene
        .at_second(10.1)
        .execs_command(Who::Hook, "flush")
        .at_second(12.1)
        .exits_with_code(Who::Hook, 0)
        .at_second(12.2)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
}

#[test]
fn a_container_that_fills_its_share_is_doubted_itself() {
    let own = with_hook(30, exec_hook("flush"));
    let scene = flooded(Scene::running_in(&own).at_second(5.0), &stage::path(0), 100);
    let scene = scene.at_second(10.0).watch_shows(&deleted(&own, 10.0, 30));
    let (_, all) = stopped_with_hook(scene).finish();
    let report = all.iter().find(|one| one.subject.cgroup == CONTAINER);
    let report = report.unwrap();
    assert_eq!(report.pod.as_ref().unwrap().name, "web-1");
    assert!(report.doubts.contains(&Doubt::ProcessesForgotten));
    assert!(report.main.as_ref().unwrap().argv.len() == 2);
}

#[test]
fn a_container_beside_one_that_fills_its_share_is_not() {
    let mut own = with_hook(30, exec_hook("flush"));
    own.containers.push(stage::container("bad", Role::Main, 1));
    let scene = Scene::running_in(&own).other_running(1).at_second(5.0);
    let scene = flooded(scene, &stage::path(1), 100);
    let scene = scene.at_second(10.0).watch_shows(&deleted(&own, 10.0, 30));
    let (_, all) = stopped_with_hook(scene).finish();
    let report = all.iter().find(|one| one.subject.cgroup == CONTAINER);
    let report = report.unwrap();
    assert_eq!(report.doubts, []);
    assert_eq!(report.hook.as_ref().unwrap().kind, HookKind::Exec);
}

#[test]
fn what_is_forgotten_is_free_again() {
    let own = pod_with_grace(30);
    let mut scene = Scene::running_in(&own).at_second(5.0);
    for round in 0..3 {
        let first = 100 + round * 10;
        scene = flooded(scene, &stage::path(0), first);
        for number in first..first + 10 {
            let at = scene.now;
            scene = scene.receives(Input::Event(Event {
                at,
                container: Some(CgroupId(number)),
                cgroup: CgroupId(number),
                kind: EventKind::CgroupRemoved,
            }));
        }
    }
    let own = with_hook(30, exec_hook("flush"));
    let scene = scene.at_second(10.0).watch_shows(&deleted(&own, 10.0, 30));
    let (_, all) = stopped_with_hook(scene).finish();
    let report = all.iter().find(|one| one.subject.cgroup == CONTAINER);
    assert_eq!(report.unwrap().doubts, []);
}

/// Whoever is in a container may signal all processes of its inner containers, from outside of these.
#[test]
fn signals_to_inner_containers_are_bounded_and_a_loss_is_said() {
    let own = pod_with_grace(30);
    let scene = flooded(Scene::running_in(&own).at_second(5.0), &stage::path(0), 100);
    let mut scene = scene.at_second(10.0).watch_shows(&deleted(&own, 10.0, 30));
    for number in (1..32).filter(|number| ![9, 15, 17].contains(number)) {
        for _again in 0..20 {
            scene = scene.sends_signal(Who::Child, Who::Main, number, HANDLED);
        }
    }
    let (_, all) = scene
        .at_second(11.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .finish();
    let report = all.iter().find(|one| one.subject.cgroup == CONTAINER);
    let report = report.unwrap();
    assert!(report.stop_signal.is_some());
    assert!(report.doubts.contains(&Doubt::RecordsLost));
}
