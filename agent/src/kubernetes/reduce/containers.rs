//! The containers of a pod: what they are, their hooks, stop signals, probes, and the ids that the runtime gave them.

use agent_core::pod::{PodContainer, PreStop, Role};
use agent_core::signal::Signal;
use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::seconds;

/// All containers, in the order of the spec: init containers and sidecars, main ones, ephemeral ones.
pub(super) fn reduce_containers(
    spec: &api::PodSpec,
    status: Option<&api::PodStatus>,
) -> Vec<PodContainer> {
    let init_statuses = status.and_then(|status| status.init_container_statuses.as_deref());
    let statuses = status.and_then(|status| status.container_statuses.as_deref());
    let ephemeral_statuses =
        status.and_then(|status| status.ephemeral_container_statuses.as_deref());
    let init = spec.init_containers.iter().flatten().map(|container| {
        let role = match container.restart_policy.as_deref() {
            Some("Always") => Role::Sidecar,
            Some(_) | None => Role::Init,
        };
        reduce_container(container, role, init_statuses)
    });
    let main = spec
        .containers
        .iter()
        .map(|container| reduce_container(container, Role::Main, statuses));
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|container| {
        // They can have neither hooks nor probes.
        PodContainer {
            ids: container_ids(status_of(&container.name, ephemeral_statuses)),
            ..without_status(&container.name, Role::Ephemeral)
        }
    });
    init.chain(main).chain(ephemeral).collect()
}

fn without_status(name: &str, role: Role) -> PodContainer {
    PodContainer {
        name: name.to_owned(),
        role,
        ids: Vec::new(),
        pre_stop: None,
        stop_signal: None,
        liveness_grace: None,
        startup_grace: None,
        probe_ports: Vec::new(),
    }
}

fn reduce_container(
    container: &api::Container,
    role: Role,
    statuses: Option<&[api::ContainerStatus]>,
) -> PodContainer {
    let status = status_of(&container.name, statuses);
    let lifecycle = container.lifecycle.as_ref();
    let grace = |probe: Option<&api::Probe>| {
        probe
            .and_then(|probe| probe.termination_grace_period_seconds)
            .map(seconds)
    };
    PodContainer {
        ids: container_ids(status),
        pre_stop: lifecycle
            .and_then(|lifecycle| lifecycle.pre_stop.as_ref())
            .and_then(|handler| pre_stop(handler, container)),
        // What the runtime reported counts more than what it was asked for.
        stop_signal: status
            .and_then(|status| status.stop_signal.as_deref())
            .or_else(|| lifecycle?.stop_signal.as_deref())
            .and_then(signal),
        liveness_grace: grace(container.liveness_probe.as_ref()),
        startup_grace: grace(container.startup_probe.as_ref()),
        probe_ports: probe_ports(container),
        ..without_status(&container.name, role)
    }
}

fn status_of<'a>(
    name: &str,
    statuses: Option<&'a [api::ContainerStatus]>,
) -> Option<&'a api::ContainerStatus> {
    statuses?.iter().find(|status| status.name == name)
}

/// The present id first, then those that the states name: of a container that was restarted the status keeps the last.
fn container_ids(status: Option<&api::ContainerStatus>) -> Vec<String> {
    let Some(status) = status else {
        return Vec::new();
    };
    let terminated = |state: &Option<api::ContainerState>| {
        state.as_ref()?.terminated.as_ref()?.container_id.clone()
    };
    let mut ids: Vec<String> = Vec::new();
    for id in [
        status.container_id.clone(),
        terminated(&status.state),
        terminated(&status.last_state),
    ]
    .into_iter()
    .flatten()
    {
        let id = id.split_once("://").map_or(id.as_str(), |(_, id)| id);
        if !id.is_empty() && !ids.iter().any(|known| known == id) {
            ids.push(id.to_owned());
        }
    }
    ids
}

fn pre_stop(handler: &api::LifecycleHandler, container: &api::Container) -> Option<PreStop> {
    if let Some(exec) = &handler.exec {
        return Some(PreStop::Exec {
            command: exec.command.clone().unwrap_or_default(),
        });
    }
    if let Some(get) = &handler.http_get {
        return Some(PreStop::HttpGet {
            host: get.host.clone().filter(|host| !host.is_empty()),
            port: resolve_port(&get.port, container),
            path: get.path.clone().unwrap_or_else(|| "/".to_owned()),
        });
    }
    if let Some(sleep) = &handler.sleep {
        return Some(PreStop::Sleep {
            duration: seconds(sleep.seconds),
        });
    }
    handler
        .tcp_socket
        .as_ref()
        .map(|_socket| PreStop::TcpSocket)
}

/// As the kubelet resolves it: the container's own port of that name, else the text as a number:
/// <https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/lifecycle/handlers.go>.
fn resolve_port(port: &IntOrString, container: &api::Container) -> Option<u16> {
    match port {
        IntOrString::Int(number) => u16::try_from(*number).ok(),
        IntOrString::String(name) => container
            .ports
            .iter()
            .flatten()
            .find(|port| port.name.as_deref() == Some(name))
            .and_then(|port| u16::try_from(port.container_port).ok())
            .or_else(|| name.parse().ok()),
    }
}

fn probe_ports(container: &api::Container) -> Vec<u16> {
    let probes = [
        &container.liveness_probe,
        &container.readiness_probe,
        &container.startup_probe,
    ];
    let mut ports: Vec<u16> = probes
        .into_iter()
        .flatten()
        .filter_map(|probe| {
            let http = probe.http_get.as_ref().map(|get| &get.port);
            let tcp = probe.tcp_socket.as_ref().map(|socket| &socket.port);
            match http.or(tcp) {
                Some(named) => resolve_port(named, container),
                None => u16::try_from(probe.grpc.as_ref()?.port).ok(),
            }
        })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The names of the API: beside those of Linux three that other systems have, and real-time signals from both ends:
/// <https://github.com/kubernetes/api/blob/v0.37.2/core/v1/types.go>.
fn signal(name: &str) -> Option<Signal> {
    const RTMAX: u32 = 64;
    if let Some(below) = name.strip_prefix("SIGRTMAX") {
        let below: u32 = match below.strip_prefix('-') {
            Some(below) => below.parse().ok()?,
            None if below.is_empty() => 0,
            None => return None,
        };
        return Signal::try_from(RTMAX.checked_sub(below)?).ok();
    }
    let name = match name {
        "SIGRTMIN" => "SIGRTMIN+0",
        "SIGCLD" => "SIGCHLD",
        "SIGIOT" => "SIGABRT",
        "SIGPOLL" => "SIGIO",
        other => other,
    };
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Signal, signal};

    #[test]
    fn every_kind_of_signal_name_of_the_api_is_known() {
        let number = |name: &str| signal(name).map(Signal::number);
        assert_eq!(number("SIGUSR1"), Some(10));
        assert_eq!(number("SIGRTMIN"), Some(34));
        assert_eq!(number("SIGRTMIN+3"), Some(37));
        assert_eq!(number("SIGRTMAX"), Some(64));
        assert_eq!(number("SIGRTMAX-14"), Some(50));
        assert_eq!(number("SIGIOT"), Some(6));
        assert_eq!(number("SIGPOLL"), Some(29));
        assert_eq!(number("SIGRTMAX+1"), None);
        assert_eq!(number("CTRL_C"), None);
    }
}
