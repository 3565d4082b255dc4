//! Where the storms rage: two cgroups, one of which is tracked, with a worker and a target of signals in each.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::rig::cgroup::{Cgroup, Folder};
use gracewatch_tests::rig::toolbox::Toolbox;

use crate::tiny;
use crate::worker::Worker;

/// A process that ignores the signals of the storms: so nothing is measured of how they are handled.
const TARGET: &str = "trap '' TERM URG; echo ready; read -r end";

/// The name of the smallest program.
const TINY: &str = "tiny";

/// One of the two.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) cgroup: Cgroup,
    pub(crate) worker: Worker,
    target: Child,
}

impl Place {
    fn new(cgroup: Cgroup, tiny: &Path) -> Result<Self> {
        let mut target = start_in(&cgroup, TARGET)?;
        let mut line = String::new();
        let output = target.stdout.take().context("a target has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line == "ready\n", "a target of signals did not start");
        Ok(Self {
            worker: Worker::start(cgroup.clone(), tiny)?,
            target,
            cgroup,
        })
    }

    /// The process that gets the signals.
    pub(crate) fn target(&self) -> u32 {
        self.target.id()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.target.kill().ok();
        self.target.wait().ok();
    }
}

/// All of it; dropping it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Nobody tracks this one.
    pub(crate) free: Place,
    /// The agent tracks this one.
    pub(crate) held: Place,
    pub(crate) folder: Folder,
    pub(crate) toolbox: Toolbox,
}

impl Stage {
    pub(crate) fn create() -> Result<Self> {
        let toolbox = Toolbox::new()?;
        let folder = Folder::new("bench")?;
        let tiny = toolbox.folder().join(TINY);
        tiny::write(&tiny)?;
        Ok(Self {
            free: Place::new(folder.create_cgroup("free")?, &tiny)?,
            held: Place::new(folder.create_cgroup("held")?, &tiny)?,
            folder,
            toolbox,
        })
    }

    /// The place that is tracked, or the other.
    pub(crate) fn place_mut(&mut self, tracked: bool) -> &mut Place {
        if tracked {
            &mut self.held
        } else {
            &mut self.free
        }
    }

    /// The smallest program.
    pub(crate) fn tiny_program(&self) -> PathBuf {
        self.toolbox.folder().join(TINY)
    }

    /// Where the agent may write its log.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.toolbox.folder().join("agent.log")
    }
}

/// Starts a shell with this script inside a cgroup.
pub(crate) fn start_in(cgroup: &Cgroup, script: &str) -> Result<Child> {
    let procs = cgroup.directory().join("cgroup.procs");
    Command::new("sh")
        .arg("-c")
        .arg(format!("echo 0 > \"$0\" && {script}"))
        .arg(procs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start sh")
}
