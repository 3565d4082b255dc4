//! What one outermost container does concerns those inside of it, and no other.

use crate::event::{CgroupId, EventKind};
use crate::input::Input;
use crate::output::{DropReason, Effect, Output};
use crate::report::{Doubt, Outcome};
use crate::time::Timestamp;

use super::scene::{
    CONTAINER, DOCKER, HANDLED, SERVICE, Scene, Who, cgroup_created, config, doubts,
};

/// Another container, which nobody touches.
const OTHER: CgroupId = CgroupId(8);

/// The path of a container with this number in the cgroup with this path.
fn inside(path: &str, number: u64) -> String {
    format!("{path}/docker-{number:064x}.scope")
}

/// Each container that is to be tracked, and whose share pays for it.
fn tracked_payers(scene: &Scene) -> Vec<(u64, u64)> {
    let pays = scene.said.iter().filter_map(|output| match output {
        Output::Effect(Effect::Track {
            container,
            outermost,
            ..
        }) => Some((container.0, outermost.0)),
        _ => None,
    });
    pays.collect()
}

fn lost_of(outermost: CgroupId) -> Input {
    Input::Lost {
        outermost: Some(outermost),
        records: 7,
        between: Some((Timestamp(9_000_000_000), Timestamp(10_000_000_000))),
    }
}

#[test]
fn a_loss_of_one_container_is_in_no_report_of_another() {
    let stopped = |lost: CgroupId| {
        Scene::container()
            .running()
            .receives(cgroup_created(OTHER, &inside("/system.slice", 8)))
            .at_second(10.0)
            .receives(lost_of(lost))
            .finds_processes(&[Who::Main])
            .stop(HANDLED)
            .at_second(10.5)
            .exits_with_code(Who::Main, 0)
            .removed()
            .report()
    };
    let others = stopped(OTHER);
    assert_eq!(others.outcome, Outcome::Graceful);
    assert_eq!(doubts(&others), []);
    assert_eq!(doubts(&stopped(CONTAINER)), [Doubt::RecordsLost]);
}

#[test]
fn a_loss_of_a_container_is_in_the_reports_of_those_inside() {
    let (outer, path) = (CgroupId(70), inside("/system.slice", 70));
    let report = Scene::with_config(config(Vec::new()))
        .receives(cgroup_created(outer, &path))
        .receives(cgroup_created(CONTAINER, &inside(&path, 1)))
        .running()
        .at_second(10.0)
        .receives(lost_of(outer))
        .finds_processes(&[Who::Main])
        .stop(HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(doubts(&report), [Doubt::RecordsLost]);
}

#[test]
fn only_those_that_a_loss_may_concern_are_looked_at_again() {
    let scene = Scene::container()
        .receives(cgroup_created(OTHER, &inside("/system.slice", 8)))
        .at_second(10.0)
        .receives(lost_of(OTHER));
    let inspected = scene.said.iter().filter_map(|output| match output {
        Output::Effect(Effect::Inspect { container }) => Some(*container),
        _ => None,
    });
    assert_eq!(inspected.collect::<Vec<_>>(), [OTHER]);
    let rescan = Output::Effect(Effect::Rescan { at_once: false });
    assert!(scene.said.contains(&rescan));
}

/// A container that is found before the one around it is its own outermost one until then.
#[test]
fn the_kernel_side_is_told_whose_share_pays() {
    let (outer, path) = (CgroupId(70), inside("/system.slice", 70));
    let service = format!("{SERVICE}{DOCKER}");
    let scene = Scene::with_config(config(Vec::new()))
        .receives(cgroup_created(CONTAINER, &inside(&path, 1)))
        .receives(cgroup_created(outer, &path))
        .receives(cgroup_created(CgroupId(71), &inside(&path, 2)))
        .receives(cgroup_created(CgroupId(9), SERVICE))
        .receives(cgroup_created(OTHER, &service));
    assert_eq!(
        tracked_payers(&scene),
        [(7, 7), (70, 70), (7, 70), (71, 70), (9, 9), (8, 8)]
    );
}

fn flood_with_cgroups(scene: Scene, outer: CgroupId, path: &str, count: u64) -> Scene {
    (0..count).fold(
        scene.receives(cgroup_created(outer, path)),
        |scene, number| {
            scene.receives(cgroup_created(
                CgroupId(1000 + number),
                &inside(path, number),
            ))
        },
    )
}

fn dropped(scene: &Scene, reason: DropReason) -> usize {
    let is_it = |output: &&Output| matches!(output, Output::Dropped { reason: found, .. } if *found == reason);
    scene.said.iter().filter(is_it).count()
}

/// One more container has a report that is right and certain.
fn measures_one_more(scene: Scene) {
    let report = scene
        .receives(cgroup_created(CONTAINER, DOCKER))
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(doubts(&report), []);
}

#[test]
fn a_container_full_of_containers_leaves_room_for_others() {
    let mut config = config(Vec::new());
    config.limits.containers_max = 200;
    let scene = flood_with_cgroups(
        Scene::with_config(config),
        OTHER,
        &inside("/system.slice", 8),
        300,
    );
    // An eighth of the table, with the container itself.
    assert_eq!(dropped(&scene, DropReason::ContainersShare), 300 - 24);
    assert_eq!(dropped(&scene, DropReason::ContainersFull), 0);
    measures_one_more(scene);
}

/// A user's session makes cgroups that are named like containers and lie in none, each below another cgroup of its own.
#[test]
fn a_session_full_of_containers_leaves_room_for_others() {
    let mut config = config(Vec::new());
    config.limits.containers_max = 200;
    let session = "/user.slice/user-1000.slice";
    let scene = (0..300).fold(Scene::with_config(config), |scene, number| {
        let parent = format!("{session}/user@1000.service/{number}");
        scene.receives(cgroup_created(
            CgroupId(1000 + number),
            &inside(&parent, number),
        ))
    });
    assert_eq!(dropped(&scene, DropReason::ContainersShare), 300 - 150);
    let other = "/user.slice/user-1001.slice";
    let scene = (300..600).fold(scene, |scene, number| {
        scene.receives(cgroup_created(
            CgroupId(1000 + number),
            &inside(other, number),
        ))
    });
    assert_eq!(dropped(&scene, DropReason::ContainersFull), 0);
    measures_one_more(scene);
}

#[test]
fn containers_without_a_place_are_looked_for_when_there_is_room() {
    let mut config = config(Vec::new());
    config.limits.containers_max = 2;
    let removed = |cgroup: CgroupId| {
        Input::Event(crate::event::Event {
            at: Timestamp(0),
            container: Some(cgroup),
            cgroup,
            kind: EventKind::CgroupRemoved,
        })
    };
    let rescans = |scene: &Scene| {
        let is_it = |output: &&Output| matches!(output, Output::Effect(Effect::Rescan { .. }));
        scene.said.iter().filter(is_it).count()
    };
    let scene = Scene::with_config(config)
        .receives(cgroup_created(CgroupId(1), &inside("/system.slice", 1)))
        .receives(cgroup_created(CgroupId(2), &inside("/system.slice", 2)))
        .receives(cgroup_created(CgroupId(3), &inside("/system.slice", 3)));
    assert_eq!(rescans(&scene), 0);
    let scene = scene.receives(removed(CgroupId(1)));
    assert_eq!(rescans(&scene), 1);
    // Nobody waits for a place any more.
    let scene = scene.receives(removed(CgroupId(2)));
    assert_eq!(rescans(&scene), 1);
}

/// A service that is started again has the path of the one before, of which something may still be open.
#[test]
fn a_container_with_the_path_of_an_older_one_has_a_share_of_its_own() {
    let again = CgroupId(70);
    let scene = Scene::service().receives(cgroup_created(again, SERVICE));
    assert_eq!(tracked_payers(&scene), [(7, 7), (70, 70)]);
}
