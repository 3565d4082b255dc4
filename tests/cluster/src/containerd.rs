//! containerd in the jail: its configuration, its network plugins, its images, its starts and stops.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::daemon::Daemon;
use crate::jail::Jail;

mod config;
mod unlimited;

pub use config::{Driver, Runtime};

/// How long it may take until it answers.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// The namespace of the CRI's images and containers.
const NAMESPACE: &str = "k8s.io";
/// The sandbox's image, which has to be imported.
pub const PAUSE_IMAGE: &str = "localhost/pause:3.10";
/// The first address in the bridge's network, which the bridge itself has: the node's.
pub const BRIDGE_ADDRESS: &str = "10.88.0.1";

/// How containerd is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Folder of containerd, its shim, ctr, the OCI runtimes and the CNI plugins.
    pub tools: PathBuf,
    /// Folder for the logs.
    pub logs: PathBuf,
    /// Who makes the cgroups of containers.
    pub driver: Driver,
    /// The OCI runtimes; the first is the one for pods that name none.
    pub runtimes: Vec<Runtime>,
}

/// A running containerd. Dropping it kills it; its shims and containers go with the jail's cgroups.
#[derive(Debug)]
pub struct Containerd {
    setup: Setup,
    state: PathBuf,
    daemon: Option<Daemon>,
}

impl Containerd {
    /// Writes its configuration, starts it and waits until the CRI answers.
    pub fn start(jail: &Jail, setup: Setup) -> Result<Self> {
        let state = jail.state_folder("containerd")?;
        let config = config::render(&setup, &state);
        write(&state.join("config.toml"), &config)?;
        let cni = jail.state_folder("containerd/cni")?;
        write(&cni.join("10-bridge.conflist"), &config::cni_config(&state))?;
        let mut containerd = Self {
            setup,
            state,
            daemon: None,
        };
        containerd.start_daemon(jail)?;
        Ok(containerd)
    }

    /// The socket of the CRI and of containerd's own API.
    pub fn socket(&self) -> PathBuf {
        self.state.join("containerd.sock")
    }

    /// What a kubelet is told: `unix://` and the socket.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Its log, over all of its starts.
    pub fn log_path(&self) -> PathBuf {
        self.setup.logs.join("containerd.log")
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Daemon::pid)
    }

    /// Imports the images of an archive (OCI layout or `docker save`) for the CRI.
    pub fn import(&self, archive: &Path) -> Result<()> {
        let output = self
            .ctr_command()
            .args(["images", "import"])
            .arg(archive)
            .output()
            .context("cannot start ctr")?;
        ensure!(
            output.status.success(),
            "cannot import {}: {}",
            archive.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// Lets it pull all images, of whatever registry, from this address, without TLS.
    pub fn pull_from(&self, address: SocketAddr) -> Result<()> {
        let folder = config::registries(&self.state).join("_default");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        write(
            &folder.join("hosts.toml"),
            &format!("server = \"http://{address}\"\n"),
        )
    }

    /// `ctr` on this containerd, in the CRI's namespace.
    pub fn ctr_command(&self) -> Command {
        let mut command = Command::new(self.setup.tools.join("ctr"));
        command.arg("--address").arg(self.socket());
        command.args(["--namespace", NAMESPACE]);
        command
    }

    /// Stops it; containers run on.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop()?;
        }
        Ok(())
    }

    /// Kills it, as a crash would; containers run on.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        Ok(())
    }

    /// Starts it, unless it runs, and waits until it answers.
    pub fn restart_stopped(&mut self, jail: &Jail) -> Result<()> {
        match self.daemon.as_mut().map(Daemon::runs).transpose()? {
            Some(true) => Ok(()),
            Some(false) | None => self.start_daemon(jail),
        }
    }

    /// Starts it again and waits until it answers; stops it first if it runs.
    pub fn restart(&mut self, jail: &Jail) -> Result<()> {
        self.stop()?;
        self.start_daemon(jail)
    }

    fn start_daemon(&mut self, jail: &Jail) -> Result<()> {
        let mut command = Command::new(self.setup.tools.join("containerd"));
        command
            .arg("--config")
            .arg(self.state.join("config.toml"))
            .env("PATH", self.path());
        let mut daemon = Daemon::start("containerd", command, &self.setup.logs)?;
        jail.hold(&daemon)?;
        daemon.wait_ready(READY_LIMIT, || {
            Ok(self.ctr_command().arg("version").output()?.status.success())
        })?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Where it finds its shim: the tools first, then what the machine has.
    fn path(&self) -> String {
        format!(
            "{}:{}",
            self.setup.tools.display(),
            std::env::var("PATH").unwrap_or_default()
        )
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
