//! Limits on a cgroup: of a controller of the v2 tree or, on a hybrid machine, of its own v1 tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::rig::cgroup::{Cgroup, Folder};

/// A limit: the files of either tree, and what is written to them.
#[derive(Clone, Debug)]
pub struct Limit {
    controller: &'static str,
    v2: &'static str,
    v1: &'static str,
    value: String,
}

impl Limit {
    /// So many bytes of memory.
    pub fn memory(bytes: u64) -> Self {
        Self {
            controller: "memory",
            v2: "memory.max",
            v1: "memory.limit_in_bytes",
            value: bytes.to_string(),
        }
    }

    /// So many processes.
    pub fn processes(count: u32) -> Self {
        Self {
            controller: "pids",
            v2: "pids.max",
            v1: "pids.max",
            value: count.to_string(),
        }
    }

    /// Puts it on a cgroup of this folder. Where the controller has a tree of its own the container's processes must enter the
    /// cgroup that is returned as well, which gets this name.
    ///
    /// # Errors
    /// The machine has this controller in neither tree.
    pub fn apply_to(
        &self,
        folder: &Folder,
        cgroup: &Cgroup,
        name: &str,
    ) -> Result<Option<V1Cgroup>> {
        // Without the controller in the v2 tree this is refused, and the v1 tree is next.
        let enable = format!("+{}", self.controller);
        folder
            .top_cgroup()
            .write("cgroup.subtree_control", &enable)
            .ok();
        if cgroup.directory().join(self.v2).exists() {
            cgroup.write(self.v2, &self.value)?;
            return Ok(None);
        }
        let tree = Path::new("/sys/fs/cgroup").join(self.controller);
        let own = V1Cgroup(tree.join(format!("gracewatch-{name}-{}", std::process::id())));
        let no_controller = || {
            format!(
                "this machine limits no {}: no {}",
                self.controller,
                own.0.display()
            )
        };
        fs::create_dir(&own.0).with_context(no_controller)?;
        fs::write(own.0.join(self.v1), &self.value).with_context(no_controller)?;
        Ok(Some(own))
    }
}

/// A cgroup of a v1 tree, which is removed when it is dropped.
#[derive(Debug)]
pub struct V1Cgroup(PathBuf);

impl V1Cgroup {
    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.0
    }
}

impl Drop for V1Cgroup {
    fn drop(&mut self) {
        // Its processes may take a moment to be gone.
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                break;
            }
            sleep(Duration::from_millis(20));
        }
    }
}
