//! Sequences of events that a machine can produce, made up by somebody who had not written the engine.

use super::scene::{
    CONTAINER, DOCKER, HANDLED, SERVICE, Scene, Sent, Who, cgroup_created, config, exec_event,
    signal_sent,
};
use super::stage::seconds;
use crate::config::Selector;
use crate::event::{Delivery, EventKind, Exit, ExitStatus, Handler, Process, SignalSent, Tgid};
use crate::input::{Input, ProcessFound};
use crate::report::Report;
use crate::signal::Signal;
use crate::time::Timestamp;
use std::time::Duration;

pub(super) use super::scene::{found_running, mains_and_outcomes, populated};

mod before_the_agent;
mod exec_stop;
mod hooks_at_work;
mod left_over;
mod programs_of_a_service;
mod restarts_and_losses;
mod signals_beside_a_stop;
mod signals_of_systemd;
mod stops_of_pods;
mod who_stopped_a_container;

pub(super) const HUP: u32 = 1;
pub(super) const INT: u32 = 2;
pub(super) const QUIT: u32 = 3;
pub(super) const ABRT: u32 = 6;
pub(super) const USR1: u32 = 10;
pub(super) const TERM: u32 = 15;
pub(super) const CONT: u32 = 18;
pub(super) const WINCH: u32 = 28;
pub(super) const RTMIN3: u32 = 37;

/// A process of a service that systemd started.
pub(super) fn unit(tgid: u32, at: f64) -> Process {
    Process {
        tgid: Tgid(tgid),
        ns_tgid: tgid,
        start: seconds(at),
        parent_tgid: Tgid(1),
        parent_comm: "systemd".to_owned(),
        ..Who::Plain.process()
    }
}

/// A process of a service that another one of it started.
pub(super) fn forked(tgid: u32, at: f64, parent: u32) -> Process {
    Process {
        parent_tgid: Tgid(parent),
        parent_outside: false,
        ..unit(tgid, at)
    }
}

pub(super) fn systemd() -> Process {
    Process {
        tgid: Tgid(1),
        ns_tgid: 1,
        ns_level: 0,
        ns_inum: 1,
        start: Timestamp(0),
        container: None,
        parent_tgid: Tgid(0),
        parent_outside: true,
        parent_comm: "swapper/0".to_owned(),
        comm: "systemd".to_owned(),
    }
}

pub(super) fn sent(from: &Process, to: &Process, number: u32, how: Sent) -> EventKind {
    let EventKind::Signal(told) = signal_sent(Who::Runc, Who::Plain, number, how) else {
        panic!("a signal");
    };
    EventKind::Signal(SignalSent {
        target: to.clone(),
        sender: from.clone(),
        unkillable: to.ns_level > 0 && to.ns_tgid == 1,
        ..told
    })
}

pub(super) fn ended(process: &Process, status: ExitStatus) -> EventKind {
    EventKind::Exit(Exit {
        process: process.clone(),
        status,
        executed: true,
        pending: None,
        ns_reboot: None,
    })
}

pub(super) fn code(code: u8) -> ExitStatus {
    ExitStatus::Code(code)
}

pub(super) fn by(number: u32) -> ExitStatus {
    ExitStatus::Signal {
        signal: Signal::try_from(number).unwrap(),
        core_dumped: false,
    }
}

pub(super) fn found(processes: &[ProcessFound]) -> Input {
    Input::Processes {
        container: CONTAINER,
        processes: processes.to_vec(),
    }
}

pub(super) fn lost(since: f64, until: f64) -> Input {
    Input::Lost {
        outermost: None,
        records: 1,
        between: Some((seconds(since), seconds(until))),
    }
}

/// The service's main process runs since the first second.
pub(super) fn main() -> Process {
    unit(400, 1.0)
}

pub(super) fn runs() -> Scene {
    runs_in(Scene::service())
}

pub(super) fn runs_in(scene: Scene) -> Scene {
    scene
        .at_second(1.0)
        .happens(populated(true))
        .happens(EventKind::Attach(main()))
        .at_second(1.001)
        .happens(exec_event(main(), "/app --serve"))
}

pub(super) fn stops(scene: Scene, how: Sent) -> Scene {
    scene
        .happens(sent(&systemd(), &main(), TERM, how))
        .happens(sent(
            &systemd(),
            &main(),
            CONT,
            Sent {
                result: Delivery::Ignored,
                handler: Handler::Default,
                ..HANDLED
            },
        ))
}

pub(super) fn is_certain(report: &Report) -> bool {
    report.doubts.is_empty()
}

impl Scene {
    pub(super) fn sends_from(self, from: &Process, to: &Process, number: u32, how: Sent) -> Self {
        self.happens(sent(from, to, number, how))
    }
}

fn configured(glob: &str, path: &str, grace: Option<u64>, stop_signal: Option<u32>) -> Scene {
    let selector = Selector {
        cgroup: glob.to_owned(),
        grace: grace.map(Duration::from_secs),
        stop_signal: stop_signal.map(|number| Signal::try_from(number).unwrap()),
        pre_stop: None,
    };
    Scene::with_config(config(vec![selector])).receives(cgroup_created(CONTAINER, path))
}

pub(super) fn service(grace: Option<u64>, stop_signal: Option<u32>) -> Scene {
    configured(SERVICE, SERVICE, grace, stop_signal)
}

pub(super) fn docker(grace: Option<u64>, stop_signal: Option<u32>) -> Scene {
    configured("/system.slice/*", DOCKER, grace, stop_signal)
}
