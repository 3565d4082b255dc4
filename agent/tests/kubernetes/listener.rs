//! Listens to the Kubernetes thread as the pipeline does, and the objects that the tests put into the cluster.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use agent_core::input::Input;
use agent_core::pod::EndpointState;
use agent_core::report::Report;
use gracewatch::agent_event::AgentEvent;
use gracewatch::kubernetes::{Access, ApiUpdate, Channels, Kubernetes, Origin};
use serde_json::{Value, json};

/// For as long something that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// For as long something that must not come is waited for: longer than the first pauses between attempts.
const QUIET: Duration = Duration::from_millis(1500);

/// A running thread and what it told.
pub struct Listener {
    kubernetes: Kubernetes,
    ends: Channels,
    folder: PathBuf,
    failures: Vec<(&'static str, &'static str)>,
    watching: Vec<(&'static str, bool)>,
    waiting: Vec<Input>,
}

impl Listener {
    /// Starts the thread with a kubeconfig for this server, and the token `first`.
    pub fn start(server: SocketAddr) -> Self {
        Self::start_with(server, true)
    }

    /// The same, with or without the watch of EndpointSlices.
    pub fn start_with(server: SocketAddr, endpoint_slices: bool) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("gracewatch-api-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("token"), "first").unwrap();
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
            "clusters": [{"name": "fake", "cluster": {"server": format!("http://{server}")}}],
            "users": [{"name": "fake", "user": {"tokenFile": folder.join("token")}}],
        });
        let path = folder.join("config");
        std::fs::write(&path, config.to_string()).unwrap();
        let access = Access {
            origin: Origin::Kubeconfig {
                path,
                context: None,
            },
            node: "node-1".to_owned(),
            kubelet_events: true,
            endpoint_slices,
        };
        let (kubernetes, ends) = Kubernetes::start(access, true).unwrap();
        Self {
            kubernetes,
            ends,
            folder,
            failures: Vec::new(),
            watching: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Replaces the token, as the kubelet does in a pod.
    pub fn write_token(&self, token: &str) {
        std::fs::write(self.folder.join("token"), token).unwrap();
    }

    /// How often requests for this failed for this reason, as far as was listened.
    pub fn failures(&self, resource: &str, reason: &str) -> usize {
        self.failures
            .iter()
            .filter(|failure| **failure == (resource, reason))
            .count()
    }

    /// The next input.
    pub async fn next(&mut self) -> Input {
        while self.waiting.is_empty() {
            self.receive_fact(PATIENCE).await.expect("nothing was told");
        }
        self.waiting.remove(0)
    }

    /// The next input, which must be this pod.
    pub async fn expect_pod(&mut self, name: &str, was_listed: bool) -> Input {
        let told = self.next().await;
        assert!(
            matches!(&told, Input::Pod { pod, listed, .. } if pod.name == name && *listed == was_listed),
            "{name} was to come, listed: {was_listed}; but {told:?}"
        );
        told
    }

    /// The next input, which must be how this pod's endpoints stand.
    pub async fn endpoint(&mut self, pod: &str, state: EndpointState) {
        let told = self.next().await;
        assert!(
            matches!(&told, Input::Endpoint { uid, state: is, .. } if uid == pod && *is == state),
            "{pod} was to be {state:?}; but {told:?}"
        );
    }

    /// Waits until the watch of this stands like this.
    pub async fn until_watching(&mut self, resource: &'static str, connected: bool) {
        loop {
            let last = self.watching.iter().rev().find(|(of, _)| *of == resource);
            if last == Some(&(resource, connected)) {
                return;
            }
            self.receive_fact(PATIENCE)
                .await
                .expect("the watch did not change");
        }
    }

    /// Nothing comes any more.
    pub async fn nothing_more(&mut self) {
        let end = tokio::time::Instant::now() + QUIET;
        while self
            .receive_fact(end - tokio::time::Instant::now())
            .await
            .is_some()
        {}
        assert!(self.waiting.is_empty(), "told besides: {:?}", self.waiting);
    }

    /// Has Events written for a report.
    pub fn queue_events(&self, report: &Report) -> usize {
        self.ends.poster.as_ref().unwrap().queue_events(report)
    }

    /// Stops the thread as `run` does.
    pub fn stop(self) {
        drop(self.ends);
        self.kubernetes.stop();
        std::fs::remove_dir_all(self.folder).unwrap();
    }

    /// Takes one fact; `None` if none came in time.
    async fn receive_fact(&mut self, patience: Duration) -> Option<()> {
        let fact = tokio::time::timeout(patience, self.ends.facts.recv())
            .await
            .ok()?;
        match fact.expect("the thread ended") {
            ApiUpdate::Input(input) => self.waiting.push(*input),
            ApiUpdate::AgentEvent(AgentEvent::ApiFailed { resource, reason }) => {
                self.failures.push((resource, reason));
            }
            ApiUpdate::AgentEvent(AgentEvent::Watching {
                resource,
                connected,
            }) => self.watching.push((resource, connected)),
            ApiUpdate::AgentEvent(_) => {}
        }
        Some(())
    }
}

/// A running pod with one container.
pub fn running_pod(name: &str) -> Value {
    json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": "1"},
        "spec": {"nodeName": "node-1", "terminationGracePeriodSeconds": 30, "containers": [{"name": "web", "image": "web"}]},
        "status": {"containerStatuses": [{
            "name": "web",
            "image": "web",
            "imageID": "web",
            "ready": true,
            "restartCount": 0,
            "containerID": format!("containerd://{name}"),
        }]},
    })
}

/// The same pod, being deleted.
pub fn terminating(name: &str) -> Value {
    let mut pod = running_pod(name);
    pod["metadata"]["deletionTimestamp"] = json!("2030-01-01T00:00:30Z");
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    pod
}

/// An EndpointSlice with one endpoint: a pod's, on this node.
pub fn endpoint_slice(name: &str, node: &str, pod: &str, state: EndpointState) -> Value {
    json!({
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": "1"},
        "addressType": "IPv4",
        "endpoints": [{
            "addresses": ["10.0.0.1"],
            "nodeName": node,
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": pod, "uid": pod},
            "conditions": {
                "ready": state.ready,
                "serving": state.serving,
                "terminating": state.terminating,
            },
        }],
    })
}

/// An Event of a kubelet on the pod `a`, of now.
pub fn killing(name: &str, node: &str, message: &str) -> Value {
    let now = jiff::Timestamp::now();
    let second = jiff::Timestamp::from_second(now.as_second()).unwrap();
    json!({
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": "1"},
        "involvedObject": {
            "kind": "Pod",
            "namespace": "shop",
            "name": "a",
            "uid": "uid-a",
            "fieldPath": "spec.containers{web}",
        },
        "reason": "Killing",
        "message": message,
        "source": {"component": "kubelet", "host": node},
        "firstTimestamp": second.to_string(),
        "lastTimestamp": second.to_string(),
        "count": 1,
        "type": "Normal",
    })
}

/// A certain report of a pod's container with one finding.
pub fn report_with_a_finding() -> Report {
    let report = json!({
        "id": 1,
        "subject": {"cgroup": 7, "path": "/kubepods/poduid-a/web", "kind": "containerd", "name": "web", "pod_uid": "uid-a"},
        "pod": {
            "namespace": "shop",
            "name": "a",
            "uid": "uid-a",
            "workload": {"kind": "Deployment", "name": "shop"},
            "container": "web",
            "role": "main",
        },
        "main": null,
        "outcome": "signal_ignored",
        "trigger": "deleted",
        "started_at": 1,
        "start_source": "deletion",
        "hook": null,
        "stop_signal": null,
        "stop_signals_repeated": 0,
        "kill": null,
        "kills_repeated": 0,
        "exit": null,
        "released_at": null,
        "grace": null,
        "signals_inside": 0,
        "signals_outside": 0,
        "findings": [{"kind": "signal_ignored", "evidence": "It ignored SIGTERM.", "advice": "Handle it."}],
        "doubts": [],
    });
    serde_json::from_value(report).unwrap()
}
