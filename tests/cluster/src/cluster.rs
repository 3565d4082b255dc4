//! A real Kubernetes of one node in the jail: etcd, the control plane, kubelet, kube-proxy, containerd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::containerd::{BRIDGE_ADDRESS, Containerd, Driver, Runtime, Setup};
use crate::daemon::Daemon;
use crate::jail::Jail;
use component::Component;
use pki::Pki;

mod commands;
mod component;
mod config;
mod network;
mod pki;

/// The node's name.
pub const NODE: &str = "rig";
/// How long a part of the cluster may take until it answers.
const READY_LIMIT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(100);
/// The folder that a kubelet makes in the cgroup trees.
const KUBEPODS: &str = "/kubepods";

/// A running cluster. Dropping it kills everything of it, and the jail takes the rest with it.
#[derive(Debug)]
pub struct Cluster {
    tools: PathBuf,
    logs: PathBuf,
    state: PathBuf,
    pki: Pki,
    // In the order in which they end.
    proxy: Mutex<Component>,
    kubelet: Mutex<Component>,
    _scheduler: Component,
    _controllers: Component,
    apiserver: Mutex<Component>,
    _etcd: Component,
    containerd: Mutex<Containerd>,
    jail: Jail,
    took: Duration,
}

impl Cluster {
    /// Starts everything and waits until the node is ready and pods can be made.
    ///
    /// `tools` is the folder with all programs, `logs` the one for a log of each.
    ///
    /// # Errors
    /// If another kubelet has pods on this machine, or something does not start; says its last words.
    pub fn start(mut jail: Jail, tools: &Path, logs: &Path) -> Result<Self> {
        let started = Instant::now();
        refuse_other_kubelets(&jail)?;
        jail.adopt_cgroup(KUBEPODS);
        // What a kubelet writes at places that cannot be configured.
        jail.cover_with_tmpfs(Path::new("/var/lib"))?;
        jail.cover_with_tmpfs(Path::new("/var/log"))?;
        fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))?;
        let state = jail.state_folder("kubernetes")?;
        jail.state_folder("kubernetes/manifests")?;
        network::bridge_up(tools)?;
        let pki = Pki::create(&jail.state_folder("kubernetes/pki")?)?;
        for user in pki::USERS {
            config::write_kubeconfig(&state, &pki, user.file)?;
        }
        let begin = |name, args: Vec<String>| {
            let mut component = Component::new(name, tools, args);
            component.start(&jail, logs)?;
            Ok::<_, anyhow::Error>(component)
        };
        let etcd = begin("etcd", commands::etcd_args(&state))?;
        let mut apiserver = begin("kube-apiserver", commands::apiserver(&state, &pki, &[]))?;
        let containerd = Containerd::start(
            &jail,
            Setup {
                tools: tools.to_owned(),
                logs: logs.to_owned(),
                driver: Driver::Cgroupfs,
                runtimes: vec![Runtime {
                    name: "runc".to_owned(),
                    binary: tools.join("runc"),
                }],
            },
        )?;
        config::write_kubelet(&state, &pki, &containerd, &[])?;
        let admin = Kubectl::new(tools, &state, &jail);
        // Before this the roles are not there, and what asks for them ends.
        apiserver.wait_ready(READY_LIMIT, || admin.succeeds(&["get", "--raw", "/readyz"]))?;
        let controllers = begin(
            "kube-controller-manager",
            commands::controllers(&state, &pki),
        )?;
        let scheduler = begin("kube-scheduler", commands::scheduler(&state))?;
        let kubelet_config = config::kubelet(&state);
        let mut kubelet = begin("kubelet", commands::kubelet(&state, &kubelet_config))?;
        let proxy = begin("kube-proxy", commands::proxy_args(&state))?;
        kubelet.wait_ready(READY_LIMIT, || is_ready(&admin))?;
        kubelet.wait_ready(READY_LIMIT, || {
            admin.succeeds(&["get", "serviceaccount", "default"])
        })?;
        Ok(Self {
            tools: tools.to_owned(),
            logs: logs.to_owned(),
            state,
            pki,
            proxy: Mutex::new(proxy),
            kubelet: Mutex::new(kubelet),
            _scheduler: scheduler,
            _controllers: controllers,
            apiserver: Mutex::new(apiserver),
            _etcd: etcd,
            containerd: Mutex::new(containerd),
            jail,
            took: started.elapsed(),
        })
    }

    /// How long it took until pods could be made.
    pub const fn start_duration(&self) -> Duration {
        self.took
    }

    /// The kubeconfig of an administrator. Its paths and its address are the jail's.
    pub fn kubeconfig(&self) -> PathBuf {
        config::kubeconfig(&self.state, pki::ADMIN)
    }

    /// A client with an administrator's rights.
    pub async fn client(&self) -> Result<kube::Client> {
        client(&self.kubeconfig()).await
    }

    /// `kubectl` with these arguments; what it printed.
    ///
    /// # Errors
    /// If it fails; with its standard error.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.kubectl_program().output(args)
    }

    /// `kubectl` with an administrator's rights, for others to call.
    pub fn kubectl_program(&self) -> Kubectl {
        Kubectl::new(&self.tools, &self.state, &self.jail)
    }

    /// Imports the images of an archive into the node.
    pub fn import(&self, archive: &Path) -> Result<()> {
        lock_mutex(&self.containerd).import(archive)
    }

    /// The folder whose manifests the kubelet runs as static pods.
    pub fn static_pod_dir(&self) -> PathBuf {
        config::manifests(&self.state)
    }

    /// Lets a program that was started beside the cluster end with it.
    pub fn hold(&self, daemon: &Daemon) -> Result<()> {
        self.jail.hold(daemon)
    }

    /// The folder with a log of each program, named by it.
    pub fn logs_folder(&self) -> &Path {
        &self.logs
    }

    /// Kills the kubelet, as a crash would; containers run on.
    pub fn kill_kubelet(&self) -> Result<()> {
        lock_mutex(&self.kubelet).kill()
    }

    /// Starts the kubelet again.
    pub fn start_kubelet(&self) -> Result<()> {
        lock_mutex(&self.kubelet).start(&self.jail, &self.logs)
    }

    /// Kills containerd, as a crash would; containers run on.
    pub fn kill_containerd(&self) -> Result<()> {
        lock_mutex(&self.containerd).kill()
    }

    /// Starts containerd again, and waits until it answers.
    pub fn start_containerd(&self) -> Result<()> {
        lock_mutex(&self.containerd).restart_stopped(&self.jail)
    }

    /// Ends the kubelet and starts it again; containers run on.
    pub fn restart_kubelet(&self) -> Result<()> {
        let mut kubelet = lock_mutex(&self.kubelet);
        kubelet.stop()?;
        kubelet.start(&self.jail, &self.logs)
    }

    /// Ends containerd and starts it again, and waits until it answers; containers run on.
    pub fn restart_containerd(&self) -> Result<()> {
        lock_mutex(&self.containerd).restart(&self.jail)
    }

    /// Starts API server and kubelet anew with these feature gates on, which are off by default, and waits until the node is
    /// ready. Until then they are as upstream has them.
    pub fn enable(&self, gates: &[&str]) -> Result<()> {
        let (state, pki) = (&self.state, &self.pki);
        lock_mutex(&self.kubelet).stop()?;
        self.stop_apiserver()?;
        lock_mutex(&self.apiserver).change(commands::apiserver(state, pki, gates));
        config::write_kubelet(state, pki, &lock_mutex(&self.containerd), gates)?;
        self.start_apiserver()?;
        self.start_kubelet()?;
        let admin = self.kubectl_program();
        // It was ready before, and is until somebody sees that it says nothing: it has to have said so again.
        let began = [
            "get",
            "node",
            NODE,
            "--output=jsonpath={.metadata.resourceVersion}",
        ];
        let before = admin.output(&began)?;
        lock_mutex(&self.kubelet).wait_ready(READY_LIMIT, || {
            let said_again = admin.output(&began)? != before;
            Ok(said_again && is_ready(&admin)?)
        })
    }

    /// Ends the API server.
    pub fn stop_apiserver(&self) -> Result<()> {
        lock_mutex(&self.apiserver).stop()
    }

    /// Starts the API server again, and waits until it answers.
    pub fn start_apiserver(&self) -> Result<()> {
        let admin = self.kubectl_program();
        let mut apiserver = lock_mutex(&self.apiserver);
        apiserver.start(&self.jail, &self.logs)?;
        apiserver.wait_ready(READY_LIMIT, || admin.succeeds(&["get", "--raw", "/readyz"]))
    }

    /// Starts again what was stopped, or has ended, and waits until it answers.
    pub fn restart_stopped(&self) -> Result<()> {
        lock_mutex(&self.containerd).restart_stopped(&self.jail)?;
        if !lock_mutex(&self.apiserver).check_running()? {
            self.start_apiserver()?;
        }
        let mut kubelet = lock_mutex(&self.kubelet);
        if !kubelet.check_running()? {
            kubelet.start(&self.jail, &self.logs)?;
        }
        Ok(())
    }

    /// Ends everything in order, pods last; what is left goes with the jail.
    pub fn stop(self) -> Result<()> {
        for component in [&self.proxy, &self.kubelet, &self.apiserver] {
            lock_mutex(component).stop()?;
        }
        Ok(())
    }
}

/// A client for the cluster of this kubeconfig.
pub async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let file = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("cannot use {}", kubeconfig.display()))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// `kubectl` for one cluster, or another program that takes `--kubeconfig`.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    /// Where it is put, so that it ends with the rig and does not wait for an API server that is gone.
    entrance: Option<PathBuf>,
}

impl Kubectl {
    fn new(tools: &Path, state: &Path, jail: &Jail) -> Self {
        Self {
            entrance: Some(jail.cgroups().entrance()),
            ..Self::with_kubeconfig(tools.join("kubectl"), config::kubeconfig(state, pki::ADMIN))
        }
    }

    /// This program with this kubeconfig.
    pub const fn with_kubeconfig(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self {
            program,
            kubeconfig,
            entrance: None,
        }
    }

    /// The program of this name beside it, for the same cluster.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        Self {
            program: self.program.with_file_name(name),
            ..self.clone()
        }
    }

    /// A command to add arguments to.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command
    }

    /// Runs it; what it printed.
    ///
    /// # Errors
    /// If it fails; with its standard error.
    pub fn output(&self, args: &[&str]) -> Result<String> {
        let child = self
            .command()
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        if let Some(entrance) = &self.entrance {
            // It may have ended already.
            fs::write(entrance, child.id().to_string()).ok();
        }
        let output = child.wait_with_output();
        let name = self.program.file_name().unwrap_or_default();
        let name = name.display();
        let output = output.with_context(|| format!("{name} is gone"))?;
        if !output.status.success() {
            bail!(
                "`{name} {}` failed: {}",
                args.join(" "),
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn succeeds(&self, args: &[&str]) -> Result<bool> {
        let answer = self.output(args).map(|_| true);
        if answer.is_err() {
            sleep(POLL);
        }
        answer
    }
}

/// Whether the node is ready.
fn is_ready(admin: &Kubectl) -> Result<bool> {
    let node = format!("node/{NODE}");
    admin.succeeds(&["wait", "--for=condition=Ready", "--timeout=1s", &node])
}

fn lock_mutex<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pods of a kubelet that is not ours would be killed in the end. Empty folders of a run that was cut off are removed.
fn refuse_other_kubelets(jail: &Jail) -> Result<()> {
    ensure!(
        !kubelet_runs()?,
        "a kubelet runs on this machine, whose pods this would end; stop it or run elsewhere"
    );
    ensure!(
        jail.cgroups().remove_empty(KUBEPODS)?,
        "the cgroup {KUBEPODS} has processes: those of a run that was cut off, or another kubelet's; end them or run \
         elsewhere"
    );
    Ok(())
}

/// Whether a process of this machine is a kubelet, by its name.
fn kubelet_runs() -> Result<bool> {
    let processes = fs::read_dir("/proc").context("cannot read /proc")?;
    Ok(processes.flatten().any(|process| {
        // A process that ends meanwhile, and what is no process, has no name to read.
        let name = fs::read_to_string(process.path().join("comm"));
        name.is_ok_and(|name| name.trim_end() == "kubelet")
    }))
}

/// The node's address, which is also the API server's.
const fn address() -> &'static str {
    BRIDGE_ADDRESS
}
