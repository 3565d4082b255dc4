//! A program of the cluster: its command line, and its starts and stops.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::daemon::Daemon;
use crate::jail::Jail;

/// A program that can be started again.
#[derive(Debug)]
pub(super) struct Component {
    name: &'static str,
    tools: PathBuf,
    args: Vec<String>,
    daemon: Option<Daemon>,
}

impl Component {
    pub(super) fn new(name: &'static str, tools: &Path, args: Vec<String>) -> Self {
        Self {
            name,
            tools: tools.to_owned(),
            args,
            daemon: None,
        }
    }

    /// Starts it, with the tools first on its PATH.
    pub(super) fn start(&mut self, jail: &Jail, logs: &Path) -> Result<()> {
        let mut command = Command::new(self.tools.join(self.name));
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(&self.args)
            .env("PATH", format!("{}:{path}", self.tools.display()));
        let daemon = Daemon::start(self.name, command, logs)?;
        jail.hold(&daemon)?;
        self.daemon = Some(daemon);
        Ok(())
    }

    pub(super) fn wait_ready(
        &mut self,
        limit: Duration,
        ready: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let daemon = self
            .daemon
            .as_mut()
            .with_context(|| format!("{} was not started", self.name))?;
        daemon.wait_ready(limit, ready)
    }

    /// Gives it other arguments, from its next start on.
    pub(super) fn change(&mut self, args: Vec<String>) {
        self.args = args;
    }

    /// Whether it runs.
    pub(super) fn check_running(&mut self) -> Result<bool> {
        self.daemon.as_mut().map_or(Ok(false), Daemon::runs)
    }

    /// Kills it, if it runs.
    pub(super) fn kill(&mut self) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        Ok(())
    }

    /// Ends it, if it runs.
    pub(super) fn stop(&mut self) -> Result<()> {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop()?;
        }
        Ok(())
    }
}
