//! What a container is to be stopped with: grace periods, stop signal, hook. From its pod where there is one, else from
//! the selector that matches its path.
//!
//! Where both exist the pod counts, for it is what the kubelet acts by; a selector fills in what a pod cannot tell (the
//! stop signal of an image, if the kubelet does not say it in the status) and what it does not tell yet.

use std::time::Duration;

use crate::config::Selector;
use crate::pod::{PodContainer, PreStop, Role};
use crate::pod_facts::PodFacts;
use crate::signal::Signal;

/// The longest grace period to count with: a hundred years. The API takes any number of seconds, and the sum of two of the
/// longest is none any more.
pub(crate) const GRACE_MAX: Duration = Duration::from_hours(100 * 365 * 24);

/// What a container is to be stopped with, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spec {
    /// Its name in its pod.
    pub(crate) name: Option<String>,
    /// What it is in its pod.
    pub(crate) role: Option<Role>,
    /// Of the pod, or the selector.
    pub(crate) grace: Option<Duration>,
    /// Of its liveness probe.
    pub(crate) liveness_grace: Option<Duration>,
    /// Of its startup probe.
    pub(crate) startup_grace: Option<Duration>,
    /// The stop signal, if it is configured.
    pub(crate) stop_signal: Option<Signal>,
    /// The hook.
    pub(crate) hook: Option<PreStop>,
}

impl Spec {
    pub(crate) fn new(
        selector: Option<&Selector>,
        pod: Option<&PodFacts>,
        container_id: Option<&str>,
    ) -> Self {
        let own = pod.and_then(|pod| pod.container(container_id?));
        let exec = |command: &Vec<String>| PreStop::Exec {
            command: command.clone(),
        };
        let bounded = |grace: Duration| grace.min(GRACE_MAX);
        let selected_hook = selector.and_then(|one| one.pre_stop.as_ref()).map(exec);
        Self {
            name: own.map(|own| own.name.clone()),
            role: own.map(|own| own.role),
            grace: pod
                .map(|pod| pod.pod.grace)
                .or_else(|| selector.and_then(|one| one.grace))
                .map(bounded),
            liveness_grace: own.and_then(|own| own.liveness_grace).map(bounded),
            startup_grace: own.and_then(|own| own.startup_grace).map(bounded),
            stop_signal: own
                .and_then(|own| own.stop_signal)
                .or_else(|| selector.and_then(|one| one.stop_signal)),
            hook: own.map_or(selected_hook, |own| own.pre_stop.clone()),
        }
    }

    /// The command line of an exec hook.
    pub(crate) fn hook_command(&self) -> Option<&[String]> {
        match self.hook.as_ref()? {
            PreStop::Exec { command } => Some(command),
            PreStop::HttpGet { .. } | PreStop::Sleep { .. } | PreStop::TcpSocket => None,
        }
    }

    /// How long the hook pauses, if it is a pause.
    pub(crate) fn hook_pause(&self) -> Option<Duration> {
        match self.hook.as_ref()? {
            PreStop::Sleep { duration } => Some(*duration),
            PreStop::HttpGet { .. } | PreStop::Exec { .. } | PreStop::TcpSocket => None,
        }
    }
}

/// The port that a hook's request goes to in the pod, if no probe goes there too.
pub(crate) fn awaited_port(container: &PodContainer, pod: &PodFacts) -> Option<u16> {
    let Some(PreStop::HttpGet {
        host: None,
        port: Some(port),
        ..
    }) = &container.pre_stop
    else {
        return None;
    };
    let mut all = pod.pod.containers.iter();
    let probed = all.any(|one| one.probe_ports.contains(port));
    (!probed).then_some(*port)
}
