//! Whose container it is: a path is anybody's word, the status of a pod is not.

use super::scene::{CONTAINER, HANDLED, Scene, Who, cgroup_created, config, doubts, reports};
use super::stage::{self, UID, container, container_id, deleted, main_of, pod_with_grace};
use crate::event::{CgroupId, Event, EventKind, Exec, Exit, ExitStatus, SignalSent};
use crate::input::Input;
use crate::pod::{Pod, PodContainer, Role};
use crate::report::{Doubt, Outcome, Report};
use crate::time::Timestamp;

/// What somebody else on the node makes: a cgroup with this id, path and container.
struct Copy {
    cgroup: CgroupId,
    path: String,
}

const LATER: CgroupId = CgroupId(500);
const EARLIER: CgroupId = CgroupId(3);

/// A cgroup of a user's, whose path has the UID of the pod, and the id of this container.
fn in_a_session(cgroup: CgroupId, number: u8) -> Copy {
    let manager = "/user.slice/user-1000.slice/user@1000.service";
    Copy {
        cgroup,
        path: format!(
            "{manager}/kubepods/burstable/pod{UID}/{}",
            container_id(number)
        ),
    }
}

impl Scene {
    fn copied(self, copy: &Copy) -> Self {
        let now = self.now;
        let exec = EventKind::Exec(Exec {
            process: main_of(7),
            argv: vec!["copy".to_owned()],
            argv_cut: false,
        });
        self.receives(cgroup_created(copy.cgroup, &copy.path))
            .receives(copy.event_input(now, exec))
    }

    fn copy_stops(self, copy: &Copy) -> Self {
        let now = self.now;
        let mut stop = super::scene::signal_sent(Who::Runc, Who::Main, 15, HANDLED);
        if let EventKind::Signal(SignalSent { target, .. }) = &mut stop {
            *target = main_of(7);
        }
        let exit = EventKind::Exit(Exit {
            process: main_of(7),
            status: ExitStatus::Code(0),
            executed: true,
            pending: None,
            ns_reboot: None,
        });
        self.receives(copy.event_input(now, stop))
            .receives(copy.event_input(now, exit))
            .receives(copy.event_input(now, EventKind::CgroupRemoved))
    }

    fn stops_cleanly(self) -> Self {
        self.stop(HANDLED).exits_with_code(Who::Main, 0).removed()
    }
}

impl Copy {
    fn event_input(&self, at: Timestamp, kind: EventKind) -> Input {
        Input::Event(Event {
            at,
            container: Some(self.cgroup),
            cgroup: self.cgroup,
            kind,
        })
    }
}

fn report_of(cgroup: CgroupId, all: &[Report]) -> Report {
    let mut its = all.iter().filter(|one| one.subject.cgroup == cgroup);
    let report = its.next().unwrap().clone();
    assert!(its.next().is_none());
    report
}

fn is_of_pod(report: &Report) {
    assert_eq!(report.pod.as_ref().unwrap().name, "web-1");
    assert_eq!(
        report.pod.as_ref().unwrap().container.as_deref(),
        Some("app")
    );
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(doubts(report), []);
}

fn is_of_nobody(report: &Report) {
    assert_eq!(report.pod, None);
    assert_eq!(report.grace, None);
    assert_eq!(doubts(report), [Doubt::PodUnknown]);
}

#[test]
fn an_id_that_no_status_names_is_no_container_of_the_pod() {
    let own = pod_with_grace(30);
    let copy = in_a_session(LATER, 9);
    let (_, all) = Scene::running_in(&own)
        .at_second(5.0)
        .copied(&copy)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 30))
        .copy_stops(&copy)
        .stops_cleanly()
        .finish();
    is_of_pod(&report_of(CONTAINER, &all));
    is_of_nobody(&report_of(LATER, &all));
}

#[test]
fn of_two_with_one_id_the_one_that_was_made_first_is_the_container() {
    let own = pod_with_grace(30);
    let copy = in_a_session(LATER, 0);
    let scene = || {
        Scene::running_in(&own)
            .at_second(5.0)
            .copied(&copy)
            .at_second(10.0)
    };
    let deletion = deleted(&own, 10.0, 30);
    let together = scene()
        .watch_shows(&deletion)
        .copy_stops(&copy)
        .stops_cleanly();
    let afterwards = scene()
        .watch_shows(&deletion)
        .stops_cleanly()
        .at_second(40.0)
        .copy_stops(&copy);
    for scene in [together, afterwards] {
        let (_, all) = scene.finish();
        is_of_pod(&report_of(CONTAINER, &all));
        is_of_nobody(&report_of(LATER, &all));
    }
}

/// Records were lost, and a scan finds the container after its copy.
#[test]
fn the_one_that_was_made_first_may_become_known_later() {
    let own = pod_with_grace(30);
    let copy = in_a_session(CONTAINER, 0);
    let real = Copy {
        cgroup: EARLIER,
        path: stage::path(0),
    };
    let mut config = config(Vec::new());
    config.pods = true;
    let (_, all) = Scene::with_config(config)
        .at_second(1.0)
        .watch_shows(&own)
        .copied(&copy)
        .at_second(2.0)
        .copied(&real)
        .at_second(10.0)
        .watch_shows(&deleted(&own, 10.0, 30))
        .copy_stops(&copy)
        .copy_stops(&real)
        .finish();
    is_of_pod(&report_of(EARLIER, &all));
    is_of_nobody(&report_of(CONTAINER, &all));
}

fn restarted(own: &Pod) -> Pod {
    let mut next = own.clone();
    next.containers[0].ids = vec![container_id(1), container_id(0)];
    next
}

#[test]
fn a_container_that_ends_before_a_status_names_it_waits_for_that() {
    let own = pod_with_grace(30);
    let ended = || {
        Scene::running_in(&own)
            .at_second(10.0)
            .exits_with_code(Who::Main, 1)
            .removed()
            .at_second(12.0)
            .other_running(1)
            .at_second(12.3)
            .other_stops(1)
    };
    let soon = ended().at_second(26.0).watch_shows(&restarted(&own));
    let (_, all) = soon.finish();
    let second = report_of(stage::cgroup(1), &all);
    assert_eq!(second.pod.unwrap().container.as_deref(), Some("app"));
    assert_eq!(second.doubts, []);
    let never = ended().at_second(27.4);
    is_of_nobody(&report_of(stage::cgroup(1), &reports(&never.said)));
}

#[test]
fn as_long_as_a_status_names_none_the_path_counts_and_is_doubted() {
    let mut unnamed = pod_with_grace(30);
    unnamed.containers[0].ids.clear();
    let ended = || Scene::running_in(&unnamed).at_second(10.0).stops_cleanly();
    let report = ended().report();
    assert_eq!(report.pod.unwrap().container.as_deref(), Some("app"));
    assert_eq!(report.doubts, [Doubt::PodUnknown]);
    let named = ended()
        .at_second(12.0)
        .watch_shows(&pod_with_grace(30))
        .report();
    assert_eq!(named.pod.unwrap().container.as_deref(), Some("app"));
    assert_eq!(named.doubts, []);
    let mut other = unnamed.clone();
    other.containers[0].ids = vec![container_id(3)];
    is_of_nobody(&ended().at_second(12.0).watch_shows(&other).report());
}

/// A sidecar waits for the exits of the others, so one of another container's would change its times.
#[test]
fn an_exit_of_a_copy_is_none_of_the_pods() {
    let mut own = pod_with_grace(30);
    let proxy = PodContainer {
        pre_stop: Some(stage::sleep_hook(2)),
        ..container("proxy", Role::Sidecar, 1)
    };
    own.containers.push(proxy);
    let copy = in_a_session(LATER, 0);
    let hook = |copied: bool| {
        let scene = Scene::running_in(&own).other_running(1).at_second(5.0);
        let scene = if copied { scene.copied(&copy) } else { scene };
        let scene = scene
            .at_second(10.0)
            .watch_shows(&deleted(&own, 10.0, 30))
            .at_second(10.1);
        let scene = scene.stops_cleanly().at_second(12.5);
        let scene = if copied {
            scene.copy_stops(&copy)
        } else {
            scene
        };
        report_of(
            stage::cgroup(1),
            &scene.at_second(13.0).other_stops(1).finish().1,
        )
        .hook
    };
    assert!(hook(false).is_some());
    assert_eq!(hook(true), hook(false));
}

/// A pod that crashes for days has had more containers than are remembered.
#[test]
fn the_newest_containers_of_a_pod_are_remembered() {
    let mut own = pod_with_grace(30);
    let mut scene = Scene::of_pod().at_second(0.5).watch_shows(&own);
    for number in 0..400_u32 {
        own.containers[0].ids = vec![format!("{number:064x}"), container_id(0)];
        scene = scene.watch_shows(&own);
    }
    own.containers[0].ids = vec![container_id(0)];
    is_of_pod(
        &scene
            .watch_shows(&own)
            .running()
            .at_second(10.0)
            .watch_shows(&deleted(&own, 10.0, 30))
            .stops_cleanly()
            .report(),
    );
}
