//! Pods for scenarios: a pod of one container, changed as the scenario needs it, and how it is told of.

use std::time::Duration;

use super::scene::{CONTAINER, Scene, Who, cgroup_created, config, event_input, split_words};
use crate::event::{CgroupId, Event, EventKind, Exec, Exit, ExitStatus, Process, SignalSent, Tgid};
use crate::input::Input;
use crate::pod::{
    Deletion, KubeletEvent, KubeletEventKind, Pod, PodContainer, PreStop, Role, Workload,
};
use crate::time::Timestamp;

pub(super) const UID: &str = "11111111-2222-3333-4444-555555555555";

/// The id of container `number` of a pod; the scenario's own is number 0.
pub(super) fn container_id(number: u8) -> String {
    format!("{number:02x}").repeat(32)
}

pub(super) fn cgroup(number: u8) -> CgroupId {
    CgroupId(CONTAINER.0 + u64::from(number))
}

pub(super) fn path(number: u8) -> String {
    let pod = UID.replace('-', "_");
    format!(
        "/kubepods.slice/kubepods-pod{pod}.slice/cri-containerd-{}.scope",
        container_id(number)
    )
}

pub(super) fn seconds(at: f64) -> Timestamp {
    Timestamp(0).after(Duration::from_secs_f64(at))
}

pub(super) fn container(name: &str, role: Role, number: u8) -> PodContainer {
    PodContainer {
        name: name.to_owned(),
        role,
        ids: vec![container_id(number)],
        pre_stop: None,
        stop_signal: None,
        liveness_grace: None,
        startup_grace: None,
        probe_ports: Vec::new(),
    }
}

/// A pod with this grace and container 0, `app`.
pub(super) fn pod_with_grace(grace: u64) -> Pod {
    Pod {
        uid: UID.to_owned(),
        cgroup_uid: None,
        namespace: "shop".to_owned(),
        name: "web-1".to_owned(),
        workload: Workload {
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
        },
        grace: Duration::from_secs(grace),
        deletion: None,
        disruption: None,
        ips: vec!["10.0.0.5".parse().unwrap()],
        runtime_class: None,
        containers: vec![container("app", Role::Main, 0)],
    }
}

pub(super) fn exec_hook(command: &str) -> PreStop {
    PreStop::Exec {
        command: split_words(command),
    }
}

pub(super) fn sleep_hook(seconds: u64) -> PreStop {
    PreStop::Sleep {
        duration: Duration::from_secs(seconds),
    }
}

pub(super) fn http_hook(port: u16) -> PreStop {
    PreStop::HttpGet {
        host: None,
        port: Some(port),
        path: "/stop".to_owned(),
    }
}

pub(super) fn with_hook(grace: u64, hook: PreStop) -> Pod {
    let mut pod = pod_with_grace(grace);
    pod.containers[0].pre_stop = Some(hook);
    pod
}

/// The same pod, to be deleted since this second.
pub(super) fn deleted(pod: &Pod, requested: f64, grace: u64) -> Pod {
    Pod {
        deletion: Some(Deletion {
            requested_at: seconds(requested),
            grace: Duration::from_secs(grace),
        }),
        ..pod.clone()
    }
}

/// A main process of container `number`.
pub(super) fn main_of(number: u8) -> Process {
    Process {
        tgid: Tgid(100 + 1000 * u32::from(number)),
        container: Some(cgroup(number)),
        ..Who::Main.process()
    }
}

impl Scene {
    /// The container 0 of a pod that nobody has told of yet.
    pub(super) fn of_pod() -> Self {
        let mut config = config(Vec::new());
        config.pods = true;
        Self::with_config(config).receives(cgroup_created(CONTAINER, &path(0)))
    }

    /// The running container of this pod.
    pub(super) fn running_in(pod: &Pod) -> Self {
        Self::of_pod().at_second(0.5).watch_shows(pod).running()
    }

    /// The watch shows the pod.
    pub(super) fn watch_shows(self, pod: &Pod) -> Self {
        self.pod_shown(pod, false)
    }

    /// A list shows the pod.
    pub(super) fn list_shows(self, pod: &Pod) -> Self {
        self.pod_shown(pod, true)
    }

    fn pod_shown(self, pod: &Pod, listed: bool) -> Self {
        let input = Input::Pod {
            pod: Box::new(pod.clone()),
            seen_at: self.now,
            listed,
        };
        self.receives(input)
    }

    /// The pod's object goes away.
    pub(super) fn pod_gone(self) -> Self {
        let input = Input::PodGone {
            uid: UID.to_owned(),
            seen_at: self.now,
            listed: false,
        };
        self.receives(input)
    }

    /// The kubelet says something of the container `app`, and that it happened at this second.
    pub(super) fn kubelet_reports(self, kind: KubeletEventKind, happened: f64) -> Self {
        let input = Input::Kubelet {
            event: KubeletEvent {
                pod_uid: UID.to_owned(),
                container: Some("app".to_owned()),
                kind,
                happened_at: seconds(happened),
            },
            seen_at: self.now,
        };
        self.receives(input)
    }

    /// A process enters for an exec and cannot run its program.
    pub(super) fn fails_to_run(self, who: Who) -> Self {
        let mut process = who.process();
        process.start = self.now;
        self.happens(EventKind::Attach(process))
            .fails_to_run_unattached(who)
    }

    /// The same of one that was cloned into the container's cgroup.
    pub(super) fn fails_to_run_unattached(self, who: Who) -> Self {
        let mut process = who.process();
        process.start = self.now;
        self.happens(EventKind::Exit(Exit {
            process,
            status: ExitStatus::Code(1),
            executed: false,
            pending: None,
            ns_reboot: None,
        }))
    }

    /// Container `number` of the pod is made and runs.
    pub(super) fn other_running(self, number: u8) -> Self {
        let now = self.now;
        let exec = EventKind::Exec(Exec {
            process: main_of(number),
            argv: split_words("other"),
            argv_cut: false,
        });
        self.receives(cgroup_created(cgroup(number), &path(number)))
            .receives(of_other(number, now, exec))
    }

    /// The main process of container `number` gets SIGTERM and exits.
    pub(super) fn other_stops(self, number: u8) -> Self {
        let now = self.now;
        let mut stop = super::scene::signal_sent(Who::Runc, Who::Main, 15, super::scene::HANDLED);
        if let EventKind::Signal(SignalSent { target, .. }) = &mut stop {
            *target = main_of(number);
        }
        let exit = EventKind::Exit(Exit {
            process: main_of(number),
            status: ExitStatus::Code(0),
            executed: true,
            pending: None,
            ns_reboot: None,
        });
        self.receives(of_other(number, now, stop))
            .receives(of_other(number, now, exit))
            .receives(of_other(number, now, EventKind::CgroupRemoved))
    }

    /// Somebody outside connects to the port of the hook.
    pub(super) fn connected(self) -> Self {
        let connect = EventKind::Connect(crate::event::Connect {
            process: Who::Runc.process(),
            address: "10.0.0.5".parse().unwrap(),
            port: 8080,
        });
        let input = event_input(self.now, connect);
        self.receives(input)
    }
}

fn of_other(number: u8, at: Timestamp, kind: EventKind) -> Input {
    Input::Event(Event {
        at,
        container: Some(cgroup(number)),
        cgroup: cgroup(number),
        kind,
    })
}
