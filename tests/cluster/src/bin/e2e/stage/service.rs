//! Services, and who is told to be behind them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::Instant;

use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::client::now;
use super::{POLL, Pod, RUN_LIMIT, Stage};

/// Of many objects `kubectl` makes a list of its own kind.
#[derive(Debug, Deserialize)]
struct Slices {
    items: Vec<EndpointSlice>,
}

impl Stage<'_> {
    /// Waits until the EndpointSlices of this Service have so many pods that are ready.
    pub(crate) fn until_endpoints(&self, service: &str, count: usize) -> Result<()> {
        let label = format!("kubernetes.io/service-name={service}");
        let started = Instant::now();
        loop {
            let said = self.kubectl(&["get", "endpointslices", "-l", &label, "-o", "json"])?;
            let slices: Slices =
                serde_json::from_str(&said).context("kubectl says something else than slices")?;
            let endpoints = slices.items.iter().flat_map(|slice| &slice.endpoints);
            let ready = endpoints.flatten().filter(|endpoint| {
                let conditions = endpoint.conditions.as_ref();
                conditions.and_then(|all| all.ready) == Some(true)
            });
            if ready.count() == count {
                return Ok(());
            }
            self.watch.check_stopped()?;
            ensure!(
                started.elapsed() < RUN_LIMIT,
                "Service {service} does not get {count} endpoints: {said}"
            );
            sleep(POLL);
        }
    }

    /// The address of a Service.
    pub(crate) fn service_ip(&self, service: &str) -> Result<IpAddr> {
        let path = "jsonpath={.spec.clusterIP}";
        let said = self.kubectl(&["get", "service", service, "-o", path])?;
        said.parse()
            .with_context(|| format!("Service {service} has no address: {said}"))
    }

    /// The address of a pod.
    pub(crate) fn pod_ip(&self, pod: &Pod) -> Result<IpAddr> {
        let path = "jsonpath={.status.podIP}";
        let said = self.kubectl(&["get", "pod", &pod.name, "-o", path])?;
        said.parse()
            .with_context(|| format!("pod {} has no address: {said}", pod.name))
    }
}

/// Looks at the EndpointSlices of a Service beside the agent.
#[derive(Debug)]
pub(crate) struct Onlooker {
    /// Pods that were not ready, by name, and when that was seen first.
    unready: Arc<Mutex<BTreeMap<String, Timestamp>>>,
    /// Looks for as long as it lives.
    _runtime: Runtime,
}

impl Stage<'_> {
    /// Begins to look.
    pub(crate) fn look_at(&self, service: &str) -> Result<Onlooker> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        let client = runtime.block_on(self.place.client())?;
        let slices = Api::<EndpointSlice>::namespaced(client, &self.namespace);
        let config =
            watcher::Config::default().labels(&format!("kubernetes.io/service-name={service}"));
        let unready = Arc::new(Mutex::new(BTreeMap::new()));
        let sink = Arc::clone(&unready);
        let events = watcher::watcher(slices, config).default_backoff();
        runtime.spawn(events.for_each(move |event| {
            let at = now();
            if let Ok(Event::Apply(slice) | Event::InitApply(slice)) = event {
                let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                for pod in unready_in(&slice) {
                    sink.entry(pod).or_insert(at);
                }
            }
            std::future::ready(())
        }));
        Ok(Onlooker {
            unready,
            _runtime: runtime,
        })
    }
}

/// The pods in a slice that are not ready.
fn unready_in(slice: &EndpointSlice) -> Vec<String> {
    let endpoints = slice.endpoints.iter().flatten();
    let unready = endpoints.filter(|endpoint| {
        let conditions = endpoint.conditions.as_ref();
        conditions.and_then(|all| all.ready) == Some(false)
    });
    unready
        .filter_map(|endpoint| endpoint.target_ref.as_ref()?.name.clone())
        .collect()
}

impl Onlooker {
    /// When the pod was first seen not to be ready.
    pub(crate) fn unready_at(&self, pod: &Pod) -> Result<Timestamp> {
        let unready = self.unready.lock().unwrap_or_else(PoisonError::into_inner);
        let at = unready.get(&pod.name).copied();
        at.with_context(|| format!("{} is not among those not ready: {unready:?}", pod.name))
    }
}
