//! The agent as its DaemonSet: installed from the manifests, asked over HTTP.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_core::report::Report;
use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, ensure};
use gracewatch_cluster::cluster::NODE;
use gracewatch_tests::harness::OrWrong as _;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde::Deserialize;

use crate::metrics::Page;
use crate::place::Place;
use crate::watch::{Watch, is_ready};

const NAMESPACE: &str = "gracewatch";
const DAEMON_SET: &str = "daemonset/gracewatch";
const POLL: Duration = Duration::from_millis(250);
const PORT: u16 = 8637;
/// How long its pods may take to be ready.
const READY_LIMIT: Duration = Duration::from_mins(2);
const HTTP_LIMIT: Duration = Duration::from_secs(30);

/// The agents of all nodes.
#[derive(Debug)]
pub(crate) struct Agents<'a> {
    place: &'a Place,
    watch: &'a Watch,
    /// The manifests, if they were applied here, to be taken away in the end.
    applied: Option<PathBuf>,
    http: ureq::Agent,
}

/// What an agent says of terminations.
#[derive(Debug, Deserialize)]
pub(crate) struct Terminations {
    clock: Clock,
    pub(crate) finished: Vec<Report>,
}

#[derive(Debug, Deserialize)]
struct Clock {
    wall_at_boot: u64,
}

impl Terminations {
    /// Nanoseconds since 1970 of a time of a report.
    pub(crate) const fn wall_time(&self, at: Timestamp) -> u64 {
        self.clock.wall_at_boot + at.0
    }
}

impl<'a> Agents<'a> {
    /// Installs the agent where it is not installed yet, and waits until it is ready on all nodes.
    pub(crate) fn install(place: &'a Place, watch: &'a Watch, manifests: &Path) -> Result<Self> {
        let kubectl = place.kubectl();
        let there = kubectl.output(&["get", "--namespace", NAMESPACE, DAEMON_SET]);
        let applied = there.is_err().then(|| manifests.to_owned());
        if let Some(manifests) = &applied {
            kubectl.output(&["apply", "-k", &manifests.display().to_string()])?;
        }
        wait_rolled_out(place)?;
        Ok(Self {
            place,
            watch,
            applied,
            http: ureq::Agent::config_builder()
                .timeout_global(Some(HTTP_LIMIT))
                .build()
                .into(),
        })
    }

    /// Changes the DaemonSet by a JSON patch, and waits until its pods are the new ones.
    pub(crate) fn patch_daemonset(&self, patch: &str) -> Result<()> {
        let set = ["--namespace", NAMESPACE, DAEMON_SET];
        let args = [
            &["patch"],
            set.as_slice(),
            &["--type=json", "--patch", patch],
        ]
        .concat();
        self.place.kubectl().output(&args)?;
        wait_rolled_out(self.place)
    }

    /// Turns feature gates on that are off by default, in a cluster of our own, and waits until the agent hears of the API
    /// again.
    pub(crate) fn enable(&self, gates: &[&str]) -> Result<()> {
        let own = self.place.own_cluster();
        let own = own.context("feature gates are those of a cluster of our own")?;
        own.cluster.enable(gates)?;
        let started = Instant::now();
        while !self.is_connected()? {
            ensure!(
                started.elapsed() < READY_LIMIT,
                "the agent does not hear of the API again"
            );
            sleep(POLL);
        }
        Ok(())
    }

    /// Whether every watch of the agent's delivers.
    fn is_connected(&self) -> Result<bool> {
        let page = self.metrics_page(NODE)?;
        let watches = page.values("gracewatch_watch_connected");
        Ok(!watches.is_empty() && watches.iter().all(|value| *value > 0.0))
    }

    /// Deletes the agent's pod on this node, and waits until the next one is ready.
    pub(crate) fn restart(&self, node: &str) -> Result<()> {
        let name = self.ready_pod(node)?.metadata.name.unwrap_or_default();
        let args = ["delete", "pod", "--namespace", NAMESPACE, &name];
        self.place.kubectl().output(&args)?;
        self.ready_pod(node).map(drop)
    }

    /// The pod of the agent on this node that is ready.
    pub(crate) fn ready_pod(&self, node: &str) -> Result<Pod> {
        let what = format!("a ready agent on node {node}");
        self.watch.wait_for_pod(&what, READY_LIMIT, |pod, gone| {
            let here = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            let is_agent = pod.metadata.namespace.as_deref() == Some(NAMESPACE);
            !gone
                && is_agent
                && here == Some(node)
                && is_ready(pod)
                && pod.metadata.deletion_timestamp.is_none()
        })
    }

    /// What the agent of this node says of terminations.
    pub(crate) fn terminations(&self, node: &str) -> Result<Terminations> {
        let text = self.get(node, "api/v1/terminations?limit=10000")?;
        serde_json::from_str(&text)
            .or_wrong(|| "the agent's terminations are not as they should be".to_owned())
    }

    /// Its metrics.
    pub(crate) fn metrics_page(&self, node: &str) -> Result<Page> {
        Ok(Page::parse(&self.get(node, "metrics")?))
    }

    /// How often the kubelet has started the agents of all nodes again, because they did not answer it or ended.
    pub(crate) fn restarts(&self) -> i32 {
        let statuses = self.statuses();
        statuses.iter().map(|status| status.restart_count).sum()
    }

    /// The exit codes of those that were started again.
    pub(crate) fn exit_codes(&self) -> Vec<i32> {
        let statuses = self.statuses();
        let ended = |status: &ContainerStatus| status.last_state.clone()?.terminated;
        statuses
            .iter()
            .filter_map(ended)
            .map(|ended| ended.exit_code)
            .collect()
    }

    fn statuses(&self) -> Vec<ContainerStatus> {
        let is_agent =
            |pod: &Pod, gone: bool| !gone && pod.metadata.namespace.as_deref() == Some(NAMESPACE);
        let statuses = self.watch.find_pods(is_agent).into_iter();
        let statuses = statuses.filter_map(|pod| pod.status?.container_statuses);
        statuses.flatten().collect()
    }

    /// The address of its pages.
    pub(crate) fn address(&self, node: &str) -> Result<String> {
        let pod = self.ready_pod(node)?;
        let status = pod.status.context("the agent's pod has no status")?;
        let ip = status.pod_ip.context("the agent's pod has no address")?;
        Ok(format!("http://{ip}:{PORT}"))
    }

    /// A page of the agent: from its address where that is ours to reach, else through the API server.
    fn get(&self, node: &str, page: &str) -> Result<String> {
        if self.place.own_cluster().is_some() {
            let url = format!("{}/{page}", self.address(node)?);
            let asked = self.http.get(&url).call();
            let read = asked.and_then(|mut response| response.body_mut().read_to_string());
            return read.or_wrong(|| format!("the agent does not answer {url}"));
        }
        let name = self.ready_pod(node)?.metadata.name.unwrap_or_default();
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}:{PORT}/proxy/{page}");
        self.place.kubectl().output(&["get", "--raw", &path])
    }
}

/// Waits until the agent is ready on all nodes.
fn wait_rolled_out(place: &Place) -> Result<()> {
    let kubectl = place.kubectl();
    let limit = format!("--timeout={}s", READY_LIMIT.as_secs());
    let ready = [
        "rollout",
        "status",
        "--namespace",
        NAMESPACE,
        DAEMON_SET,
        &limit,
    ];
    let Err(error) = kubectl.output(&ready) else {
        return Ok(());
    };
    let said = |args: &[&str]| kubectl.output(args).unwrap_or_default();
    let log = said(&["logs", "--namespace", NAMESPACE, DAEMON_SET, "--tail=20"]);
    let pods = said(&["describe", "pods", "--namespace", NAMESPACE]);
    Err(error).context(format!("the agent does not get ready:\n{log}\n{pods}"))
}

impl Drop for Agents<'_> {
    /// Our own cluster goes as a whole.
    fn drop(&mut self) {
        if let (Some(manifests), None) = (&self.applied, self.place.own_cluster()) {
            let manifests = manifests.display().to_string();
            self.place
                .kubectl()
                .output(&["delete", "-k", &manifests, "--wait=false"])
                .ok();
        }
    }
}
