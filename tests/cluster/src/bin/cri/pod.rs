//! Pods and containers, made and stopped through the CRI as a kubelet does, with the times at which that was asked for.

use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, ensure};
use gracewatch_cluster::cri::Cri;
use gracewatch_cluster::cri::message::{
    ContainerConfig, ContainerMetadata, ContainerStatus, IdMapping, ImageSpec,
    LinuxContainerConfig, LinuxContainerResources, LinuxContainerSecurityContext,
    LinuxPodSandboxConfig, LinuxSandboxSecurityContext, NamespaceMode, NamespaceOption,
    PodSandboxConfig, PodSandboxMetadata, UserNamespace,
};
use gracewatch_tests::rig::clock::{self, Span};

const POLL: Duration = Duration::from_millis(20);
/// The image of the tests' containers: a shell.
const IMAGE: &str = "localhost/gracewatch-test:1";
/// The same with `STOPSIGNAL SIGQUIT`.
pub(crate) const IMAGE_QUIT: &str = "localhost/gracewatch-test-quit:1";

/// Whose namespaces a pod's containers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Namespaces {
    /// A pid namespace for each container, as usual.
    Usual,
    /// One pid namespace for the pod: `shareProcessNamespace`.
    SharedPids,
    /// The machine's pid namespace: `hostPID`.
    HostPids,
    /// A user namespace for the pod: `hostUsers: false`.
    OwnUsers,
}

impl Namespaces {
    fn options(self) -> NamespaceOption {
        let pid = match self {
            Self::Usual | Self::OwnUsers => NamespaceMode::Container,
            Self::SharedPids => NamespaceMode::Pod,
            Self::HostPids => NamespaceMode::Node,
        };
        let mapping = IdMapping {
            host_id: 1_000_000,
            container_id: 0,
            length: 65536,
        };
        let users = UserNamespace {
            mode: NamespaceMode::Pod.into(),
            uids: vec![mapping.clone()],
            gids: vec![mapping],
        };
        NamespaceOption {
            network: NamespaceMode::Pod.into(),
            pid: pid.into(),
            ipc: NamespaceMode::Pod.into(),
            userns_options: (self == Self::OwnUsers).then_some(users),
        }
    }
}

/// A pod with a running sandbox.
#[derive(Debug)]
pub(crate) struct Pod<'a> {
    cri: &'a Cri,
    config: PodSandboxConfig,
    pub(crate) sandbox: String,
}

/// What a pod is made of.
#[derive(Clone, Debug)]
pub(crate) struct PodSpec {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) cgroup_parent: String,
    pub(crate) logs: String,
    pub(crate) runtime: String,
    pub(crate) namespaces: Namespaces,
}

impl<'a> Pod<'a> {
    pub(crate) fn run(cri: &'a Cri, spec: PodSpec) -> Result<Self> {
        let security_context = LinuxSandboxSecurityContext {
            namespace_options: Some(spec.namespaces.options()),
        };
        let config = PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: spec.name.clone(),
                uid: spec.uid,
                namespace: "default".to_owned(),
                attempt: 0,
            }),
            hostname: spec.name.replace('_', "-"),
            log_directory: spec.logs,
            labels: [("app".to_owned(), spec.name)].into(),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: spec.cgroup_parent,
                security_context: Some(security_context),
            }),
        };
        let sandbox = cri.run_pod_sandbox(&config, &spec.runtime)?;
        Ok(Self {
            cri,
            config,
            sandbox,
        })
    }

    /// Makes and starts a container of the pod.
    pub(crate) fn start(&self, spec: ContainerSpec<'_>) -> Result<Container<'a>> {
        let namespaces = self
            .config
            .linux
            .as_ref()
            .and_then(|linux| linux.security_context.clone())
            .and_then(|context| context.namespace_options);
        let security_context = LinuxContainerSecurityContext {
            namespace_options: namespaces,
        };
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata {
                name: spec.name.to_owned(),
                attempt: 0,
            }),
            image: Some(ImageSpec {
                image: spec.image.to_owned(),
            }),
            command: spec.command.iter().map(|&word| word.to_owned()).collect(),
            log_path: format!("{}.log", spec.name),
            linux: Some(LinuxContainerConfig {
                resources: spec.memory.map(|bytes| LinuxContainerResources {
                    memory_limit_in_bytes: bytes,
                    oom_score_adj: 0,
                }),
                security_context: Some(security_context),
            }),
            stop_signal: spec.stop_signal,
        };
        let id = self
            .cri
            .create_container(&self.sandbox, &self.config, config)?;
        let started_after = clock::now();
        self.cri.start_container(&id)?;
        let (pid, path) = main_and_cgroup(self.cri, &id)?;
        Ok(Container {
            cri: self.cri,
            name: spec.name.to_owned(),
            id,
            pid,
            path,
            started_after,
        })
    }

    /// StopPodSandbox: what a kubelet does last.
    pub(crate) fn stop(&self) -> Result<Span> {
        measure_span(|| self.cri.stop_pod_sandbox(&self.sandbox))
    }

    /// RemovePodSandbox, its containers with it.
    pub(crate) fn remove(&self) -> Result<()> {
        self.cri.remove_pod_sandbox(&self.sandbox)
    }
}

/// What a container is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContainerSpec<'a> {
    pub(crate) name: &'a str,
    pub(crate) image: &'a str,
    pub(crate) command: &'a [&'a str],
    /// In the CRI's own numbers; 0 for none.
    pub(crate) stop_signal: i32,
    /// Its limit of memory, in bytes.
    pub(crate) memory: Option<i64>,
}

impl<'a> ContainerSpec<'a> {
    /// A container of the usual image.
    pub(crate) const fn from_command(command: &'a [&'a str]) -> Self {
        Self {
            name: "app",
            image: IMAGE,
            command,
            stop_signal: 0,
            memory: None,
        }
    }
}

/// A running container.
#[derive(Clone, Debug)]
pub(crate) struct Container<'a> {
    cri: &'a Cri,
    pub(crate) name: String,
    pub(crate) id: String,
    /// Its main process on the machine, as the runtime says.
    pub(crate) pid: u32,
    /// Its cgroup in the v2 tree.
    pub(crate) path: String,
    pub(crate) started_after: Timestamp,
}

/// What ExecSync said, and when it was called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Executed {
    pub(crate) span: Span,
    pub(crate) exit_code: i32,
}

impl Container<'_> {
    /// StopContainer.
    pub(crate) fn stop(&self, seconds: u64) -> Result<Span> {
        measure_span(|| {
            self.cri
                .stop_container(&self.id, Duration::from_secs(seconds))
        })
    }

    /// RemoveContainer.
    pub(crate) fn remove(&self) -> Result<Span> {
        measure_span(|| self.cri.remove_container(&self.id))
    }

    /// ExecSync without a limit, as a kubelet calls it for a hook.
    pub(crate) fn exec_sync(&self, command: &[&str]) -> Result<Executed> {
        let command: Vec<_> = command.iter().map(|&word| word.to_owned()).collect();
        let before = clock::now();
        let answer = self.cri.exec_sync(&self.id, &command, Duration::ZERO)?;
        Ok(Executed {
            span: Span {
                before,
                after: clock::now(),
            },
            exit_code: answer.exit_code,
        })
    }

    /// ContainerStatus once it says that the container has ended.
    pub(crate) fn wait_until_exited(&self, limit: Duration) -> Result<ContainerStatus> {
        let started = Instant::now();
        loop {
            let answer = self.cri.container_status(&self.id)?;
            let status = answer.status.context("ContainerStatus says nothing")?;
            if status.finished_at > 0 {
                return Ok(status);
            }
            ensure!(
                started.elapsed() < limit,
                "the runtime does not say that the container has ended"
            );
            sleep(POLL);
        }
    }
}

fn measure_span(call: impl FnOnce() -> Result<()>) -> Result<Span> {
    let before = clock::now();
    call()?;
    Ok(Span {
        before,
        after: clock::now(),
    })
}

/// The main process of a running container, by the runtime's own words, and the cgroup that it is in.
fn main_and_cgroup(cri: &Cri, id: &str) -> Result<(u32, String)> {
    let answer = cri.container_status(id)?;
    let info = answer.info.get("info").context("containerd says no info")?;
    let info: serde_json::Value =
        serde_json::from_str(info).context("containerd's info is no JSON")?;
    let pid = info
        .get("pid")
        .and_then(serde_json::Value::as_u64)
        .and_then(|pid| u32::try_from(pid).ok())
        .filter(|pid| *pid > 0)
        .context("containerd's info has no pid")?;
    let table = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))
        .with_context(|| format!("process {pid} is gone"))?;
    let path = table
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .context("the process is in no v2 cgroup")?;
    // crun puts the processes of a scope into a cgroup of this name inside of it.
    let path = path.strip_suffix("/container").unwrap_or(path);
    Ok((pid, path.to_owned()))
}
