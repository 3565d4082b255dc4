//! Deployments of a server behind a Service, for the scenarios whose point are connections.

use std::net::SocketAddr;

use agent_core::connection::Connections;
use agent_core::report::Report;
use anyhow::Result;
use gracewatch_tests::harness::OrWrong as _;

use crate::stage::{Pod, Stage};

/// Where the server listens.
pub(super) const PORT: u16 = 8080;
/// Where the Service does.
const SERVICE_PORT: u16 = 80;
/// The name of Deployment, Service and label.
pub(super) const WEB: &str = "web";

/// A Deployment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Servers {
    pub(super) replicas: usize,
    /// Further options of `peer serve`.
    pub(super) options: &'static str,
    /// Seconds of the preStop sleep.
    pub(super) sleep: Option<u64>,
}

impl Servers {
    /// Makes or changes the Deployment, and waits until all of it is ready and told to be behind the Service; its pods.
    pub(super) fn deploy(self, stage: &Stage<'_>) -> Result<Vec<Pod>> {
        stage.apply_yaml(&self.manifest(&stage.label_value()))?;
        wait_rolled_out(stage)?;
        stage.until_endpoints(WEB, self.replicas)?;
        stage.wait_for_pods(WEB, self.replicas)
    }

    /// The probe makes no connection, so that every connection is a client's.
    fn manifest(self, label: &str) -> String {
        let Self {
            replicas, options, ..
        } = self;
        let hook = self.sleep.map_or_else(String::new, |seconds| {
            format!("lifecycle: {{ preStop: {{ sleep: {{ seconds: {seconds} }} }} }}")
        });
        format!(
            r#"apiVersion: v1
kind: Service
metadata: {{ name: {WEB} }}
spec: {{ selector: {{ app: {WEB} }}, ports: [{{ port: {SERVICE_PORT}, targetPort: {PORT} }}] }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {WEB} }}
spec:
  replicas: {replicas}
  selector: {{ matchLabels: {{ app: {WEB} }} }}
  template:
    metadata: {{ labels: {{ app: {WEB}, {label} }} }}
    spec:
      terminationGracePeriodSeconds: 30
      containers:
      - name: app
        image: localhost/gracewatch-test:1
        command: [sh, -c, "exec peer serve --listen 0.0.0.0:{PORT} --ready /tmp/ready {options}"]
        readinessProbe: {{ exec: {{ command: [test, -e, /tmp/ready] }}, periodSeconds: 1, timeoutSeconds: 5 }}
        {hook}
"#
        )
    }
}

/// Replaces every pod.
pub(super) fn restart(stage: &Stage<'_>) -> Result<()> {
    stage.kubectl(&["rollout", "restart", "deployment/web"])?;
    wait_rolled_out(stage)
}

fn wait_rolled_out(stage: &Stage<'_>) -> Result<()> {
    let rollout = ["rollout", "status", "deployment/web", "--timeout=120s"];
    stage.kubectl(&rollout).map(drop)
}

/// The Service.
pub(super) fn service(stage: &Stage<'_>) -> Result<SocketAddr> {
    Ok(SocketAddr::new(stage.service_ip(WEB)?, SERVICE_PORT))
}

/// The server of one pod, as somebody reaches it who knows the pod's address.
pub(super) fn address(stage: &Stage<'_>, pod: &Pod) -> Result<SocketAddr> {
    Ok(SocketAddr::new(stage.pod_ip(pod)?, PORT))
}

/// What a report says of connections; all must.
pub(super) fn connections(report: &Report) -> Result<&Connections> {
    let connections = report.connections.as_ref();
    connections.or_wrong(|| "the report says nothing of connections".to_owned())
}

/// A count as reports have it.
pub(super) fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A count as a sum of samples.
pub(super) fn as_metric(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
