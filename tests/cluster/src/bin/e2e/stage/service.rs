//! Services, and who is told to be behind them.

use std::net::IpAddr;
use std::thread::sleep;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::List;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::{POLL, Pod, RUN_LIMIT, Stage};

impl Stage<'_> {
    /// Waits until the EndpointSlices of this Service have so many pods that are ready.
    pub(crate) fn until_endpoints(&self, service: &str, count: usize) -> Result<()> {
        let label = format!("kubernetes.io/service-name={service}");
        let started = Instant::now();
        loop {
            let said = self.kubectl(&["get", "endpointslices", "-l", &label, "-o", "json"])?;
            let slices: List<EndpointSlice> =
                serde_json::from_str(&said).context("kubectl says something else than slices")?;
            let endpoints = slices.items.iter().flat_map(|slice| &slice.endpoints);
            let ready = endpoints.flatten().filter(|endpoint| {
                let conditions = endpoint.conditions.as_ref();
                conditions.and_then(|all| all.ready) == Some(true)
            });
            if ready.count() == count {
                return Ok(());
            }
            self.watch.go_on()?;
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
