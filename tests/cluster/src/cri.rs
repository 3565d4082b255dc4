//! A client of the CRI, with the calls that a kubelet makes. Each blocks its thread.
//!
//! Its messages are written by hand: the crate `k8s-cri` needs `protoc` on every machine that builds it, and its CRI is
//! older than `stop_signal`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use prost::Message;
use tokio::runtime::Runtime;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

pub mod message;

use message::{
    ContainerConfig, ContainerRequest, ContainerStatusRequest, ContainerStatusResponse,
    CreateContainerRequest, CreateContainerResponse, ExecSyncRequest, ExecSyncResponse, Nothing,
    PodSandboxConfig, PodSandboxRequest, RunPodSandboxRequest, RunPodSandboxResponse,
    StopContainerRequest, VersionRequest, VersionResponse,
};

/// What a call may take besides the time that it is asked to take, as the kubelet allows.
/// <https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/cri-client/pkg/remote_runtime.go>
const CALL_LIMIT: Duration = Duration::from_mins(2);

/// A connection to a runtime. It is made when it is needed, and again when it is lost.
#[derive(Clone, Debug)]
pub struct Cri {
    runtime: Arc<Runtime>,
    channel: Channel,
    limit: Duration,
}

impl Cri {
    /// For the runtime that listens at this socket. `patience`: how many times longer than usual a call may take.
    pub fn new(socket: &Path, patience: u32) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot start the CRI's client")?;
        let endpoint = Endpoint::try_from(format!("unix://{}", socket.display()))
            .context("not a socket's path")?;
        let channel = {
            let _inside = runtime.enter();
            endpoint.connect_lazy()
        };
        Ok(Self {
            runtime: Arc::new(runtime),
            channel,
            limit: CALL_LIMIT * patience,
        })
    }

    /// The runtime's name and version.
    pub fn version(&self) -> Result<VersionResponse> {
        self.call_method("Version", VersionRequest {}, Duration::ZERO)
    }

    /// Makes and starts a pod's sandbox, with the OCI runtime of this name; gives its id.
    pub fn run_pod_sandbox(&self, config: &PodSandboxConfig, runtime: &str) -> Result<String> {
        let request = RunPodSandboxRequest {
            config: Some(config.clone()),
            runtime_handler: runtime.to_owned(),
        };
        let answer: RunPodSandboxResponse =
            self.call_method("RunPodSandbox", request, Duration::ZERO)?;
        Ok(answer.pod_sandbox_id)
    }

    /// Stops a pod's sandbox, and its containers with it.
    pub fn stop_pod_sandbox(&self, sandbox: &str) -> Result<()> {
        self.sandbox("StopPodSandbox", sandbox)
    }

    /// Removes a pod's sandbox, and its containers with it.
    pub fn remove_pod_sandbox(&self, sandbox: &str) -> Result<()> {
        self.sandbox("RemovePodSandbox", sandbox)
    }

    /// Makes a container in a sandbox; gives its id.
    pub fn create_container(
        &self,
        sandbox: &str,
        pod: &PodSandboxConfig,
        config: ContainerConfig,
    ) -> Result<String> {
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config),
            sandbox_config: Some(pod.clone()),
        };
        let answer: CreateContainerResponse =
            self.call_method("CreateContainer", request, Duration::ZERO)?;
        Ok(answer.container_id)
    }

    /// Starts a container.
    pub fn start_container(&self, id: &str) -> Result<()> {
        self.container("StartContainer", id)
    }

    /// Stops a container: its stop signal, and SIGKILL after `timeout`, of which whole seconds count.
    pub fn stop_container(&self, id: &str, timeout: Duration) -> Result<()> {
        let request = StopContainerRequest {
            container_id: id.to_owned(),
            timeout: i64::try_from(timeout.as_secs())?,
        };
        let Nothing {} = self.call_method("StopContainer", request, timeout)?;
        Ok(())
    }

    /// Removes a container, by force if it runs.
    pub fn remove_container(&self, id: &str) -> Result<()> {
        self.container("RemoveContainer", id)
    }

    /// Runs a command in a container and waits for its end: at the most `timeout`, if that is not zero.
    pub fn exec_sync(
        &self,
        id: &str,
        command: &[String],
        timeout: Duration,
    ) -> Result<ExecSyncResponse> {
        let request = ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: command.to_vec(),
            timeout: i64::try_from(timeout.as_secs())?,
        };
        self.call_method("ExecSync", request, timeout)
    }

    /// A container's state, with the runtime's own words.
    pub fn container_status(&self, id: &str) -> Result<ContainerStatusResponse> {
        let request = ContainerStatusRequest {
            container_id: id.to_owned(),
            verbose: true,
        };
        self.call_method("ContainerStatus", request, Duration::ZERO)
    }

    fn sandbox(&self, method: &str, id: &str) -> Result<()> {
        let request = PodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        };
        let Nothing {} = self.call_method(method, request, Duration::ZERO)?;
        Ok(())
    }

    fn container(&self, method: &str, id: &str) -> Result<()> {
        let request = ContainerRequest {
            container_id: id.to_owned(),
        };
        let Nothing {} = self.call_method(method, request, Duration::ZERO)?;
        Ok(())
    }

    fn call_method<Q, A>(&self, method: &str, request: Q, takes: Duration) -> Result<A>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let path: PathAndQuery = format!("/runtime.v1.RuntimeService/{method}").parse()?;
        let mut client = Grpc::new(self.channel.clone());
        let answer = async {
            client.ready().await?;
            let codec = ProstCodec::<Q, A>::default();
            Ok::<_, anyhow::Error>(
                client
                    .unary(tonic::Request::new(request), path, codec)
                    .await?,
            )
        };
        let limit = self.limit + takes;
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(limit, answer).await })
            .map_err(|_late| anyhow!("no answer after {limit:?}"))
            .flatten()
            .with_context(|| format!("{method} failed"))?;
        Ok(answer.into_inner())
    }
}
