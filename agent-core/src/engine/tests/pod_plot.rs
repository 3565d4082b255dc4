//! What is told of pods: anything, and terminations of which API and kernel tell in any order.

use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use super::scene::{self, HANDLED, IGNORED, Sent, Who};
use super::stage;
use crate::event::{Event, EventKind, Exit, ExitStatus, Process};
use crate::input::Input;
use crate::journal::Entry;
use crate::pod::{
    Deletion, Disruption, EndpointState, KubeletEvent, KubeletEventKind, Pod, PodContainer,
    PreStop, Role,
};
use crate::time::Timestamp;

/// The pods of the containers 3 and 4, which are one's, and of one without containers.
const UIDS: [&str; 2] = [stage::UID, "aaaaaaaa-2222-3333-4444-555555555555"];

/// The path of a pod's container.
pub(super) fn path(container: u64) -> String {
    stage::path(u8::try_from(container).unwrap())
}

fn a_hook() -> impl Strategy<Value = Option<PreStop>> {
    select(vec![
        None,
        Some(stage::exec_hook("flush")),
        Some(stage::sleep_hook(2)),
        Some(stage::http_hook(8080)),
        Some(PreStop::TcpSocket),
    ])
}

fn a_container(number: u8) -> impl Strategy<Value = PodContainer> {
    let role = select(vec![Role::Main, Role::Sidecar, Role::Init]);
    (role, a_hook(), any::<bool>()).prop_map(move |(role, pre_stop, named)| {
        let one = stage::container(&format!("c{number}"), role, number);
        PodContainer {
            pre_stop,
            ids: one.ids.into_iter().filter(|_| named).collect(),
            liveness_grace: named.then_some(Duration::from_secs(1)),
            ..one
        }
    })
}

fn a_deletion() -> impl Strategy<Value = Option<Deletion>> {
    let some = (0_u64..60, select(vec![0_u64, 3, 30])).prop_map(|(at, grace)| Deletion {
        requested_at: Timestamp(at * 1_000_000_000),
        grace: Duration::from_secs(grace),
    });
    proptest::option::of(some)
}

fn any_pod() -> impl Strategy<Value = Pod> {
    let disruption = select(vec![
        None,
        Some(Disruption::Evicted),
        Some(Disruption::NodeShutdown),
    ]);
    let containers = (a_container(3), a_container(4));
    (
        select(UIDS.to_vec()),
        containers,
        a_deletion(),
        disruption,
        any::<bool>(),
    )
        .prop_map(
            |(uid, (first, second), deletion, disruption, mirrored)| Pod {
                uid: if mirrored { "mirror" } else { uid }.to_owned(),
                cgroup_uid: mirrored.then(|| uid.to_owned()),
                deletion,
                disruption,
                containers: vec![first, second],
                ..stage::pod_with_grace(3)
            },
        )
}

fn a_word() -> impl Strategy<Value = KubeletEvent> {
    let kind = select(vec![
        KubeletEventKind::Stopping,
        KubeletEventKind::LivenessFailed,
        KubeletEventKind::PreStopFailed,
        KubeletEventKind::Restarted,
    ]);
    let name = select(vec![None, Some("c3"), Some("c4")]);
    (select(UIDS.to_vec()), name, kind, 0_u64..60).prop_map(|(uid, name, kind, at)| KubeletEvent {
        pod_uid: uid.to_owned(),
        container: name.map(str::to_owned),
        kind,
        happened_at: Timestamp(at * 1_000_000_000),
    })
}

/// Something about a pod; when it was seen is told as a time of its own.
pub(super) fn anything() -> impl Strategy<Value = Input> {
    let seen_at = || (0_u64..60_000).prop_map(|millis| Timestamp(millis * 1_000_000));
    let pod = (any_pod(), seen_at(), any::<bool>()).prop_map(|(pod, seen_at, listed)| Input::Pod {
        pod: Box::new(pod),
        seen_at,
        listed,
    });
    let uid = select(vec![UIDS[0], UIDS[1], "mirror"]);
    let gone = (uid, seen_at(), any::<bool>()).prop_map(|(uid, seen_at, listed)| Input::PodGone {
        uid: uid.to_owned(),
        seen_at,
        listed,
    });
    let word = (a_word(), seen_at()).prop_map(|(event, seen_at)| Input::Kubelet { event, seen_at });
    let uid = select(vec![UIDS[0], UIDS[1], "mirror"]);
    let endpoint = (uid, any::<bool>(), seen_at())
        .prop_map(|(uid, ready, seen_at)| endpoint(uid, ready, seen_at));
    prop_oneof![3 => pod, 1 => gone, 2 => word, 1 => endpoint]
}

/// An endpoint that is ready, or terminating.
fn endpoint(uid: &str, ready: bool, seen_at: Timestamp) -> Input {
    Input::Endpoint {
        uid: uid.to_owned(),
        state: EndpointState {
            ready,
            serving: ready,
            terminating: !ready,
        },
        seen_at,
    }
}

/// The termination of a pod's container, of which API and kernel tell at the same moments.
#[derive(Clone, Debug)]
pub(super) struct PodPlot {
    hook: Option<PreStop>,
    word: KubeletEventKind,
    stop: Sent,
    status: ExitStatus,
    listed: bool,
}

pub(super) fn a_pod_plot() -> impl Strategy<Value = PodPlot> {
    let word = select(vec![
        KubeletEventKind::Stopping,
        KubeletEventKind::LivenessFailed,
        KubeletEventKind::PreStopFailed,
    ]);
    let status = prop_oneof![Just(ExitStatus::Code(0)), Just(ExitStatus::Code(3))];
    (
        a_hook(),
        word,
        select(vec![HANDLED, IGNORED]),
        status,
        any::<bool>(),
    )
        .prop_map(|(hook, word, stop, status, listed)| PodPlot {
            hook,
            word,
            stop,
            status,
            listed,
        })
}

/// How many of the facts of a stop come from the API.
const FROM_API: usize = 4;

impl PodPlot {
    /// All that is told of the stop comes at its end, in this order, in which the kernel's facts keep their own.
    pub(super) fn entries(&self, order: &[usize]) -> Vec<Entry> {
        let is_of_kernel = |place: &usize| *place >= FROM_API;
        let mut kernels = (FROM_API..order.len()).collect::<Vec<_>>().into_iter();
        let order: Vec<usize> = order
            .iter()
            .filter_map(|place| {
                if is_of_kernel(place) {
                    kernels.next()
                } else {
                    Some(*place)
                }
            })
            .collect();
        let at = stage::seconds;
        let main = Who::Main.process();
        let begin = [
            (0.5, EventKind::Attach(main.clone())),
            (0.6, scene::exec_event(main.clone(), "/app")),
        ];
        let made = Entry {
            at: at(0.1),
            input: scene::cgroup_created(scene::CONTAINER, &stage::path(0)),
        };
        let mut entries = vec![made];
        entries.extend(begin.map(|(when, kind)| Entry {
            at: at(when),
            input: scene::event_input(at(when), kind),
        }));
        let told = self.exit_inputs(&main);
        entries.extend(order.iter().map(|place| Entry {
            at: at(20.5),
            input: told[*place].clone(),
        }));
        entries
    }

    fn exit_inputs(&self, main: &Process) -> [Input; 9] {
        let at = stage::seconds;
        let event = |when, kind| scene::event_input(at(when), kind);
        let exit = |process: &Process, status| {
            EventKind::Exit(Exit {
                process: process.clone(),
                status,
                executed: true,
                pending: None,
                ns_reboot: None,
            })
        };
        let hook = Who::Hook.process();
        let mut own = stage::deleted(&stage::pod_with_grace(30), 10.0, 30);
        own.containers[0].pre_stop.clone_from(&self.hook);
        [
            Input::Pod {
                pod: Box::new(own),
                seen_at: at(10.2),
                listed: self.listed,
            },
            Input::Kubelet {
                event: KubeletEvent {
                    pod_uid: stage::UID.to_owned(),
                    container: Some("app".to_owned()),
                    kind: self.word,
                    happened_at: at(10.0),
                },
                seen_at: at(10.3),
            },
            endpoint(UIDS[0], false, at(10.35)),
            endpoint(UIDS[0], true, at(9.0)),
            event(10.4, scene::exec_event(hook.clone(), "flush")),
            event(12.4, exit(&hook, ExitStatus::Code(0))),
            event(
                12.5,
                scene::signal_sent(Who::Runc, Who::Main, 15, self.stop),
            ),
            event(13.0, exit(main, self.status)),
            Input::Event(Event {
                at: at(13.1),
                container: Some(scene::CONTAINER),
                cgroup: scene::CONTAINER,
                kind: EventKind::CgroupRemoved,
            }),
        ]
    }
}
