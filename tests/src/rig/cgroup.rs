//! Cgroups of the rig's own in the v2 tree: one folder for each user of the rig, removed when it is dropped.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_core::event::CgroupId;
use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

/// How long a folder waits for its processes to be gone.
const REMOVAL_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(2);

/// Where the v2 tree is mounted, the unified one of a hybrid machine included.
pub fn mount_point() -> Result<PathBuf> {
    let table =
        fs::read_to_string("/proc/self/mountinfo").context("cannot read the mount table")?;
    table
        .lines()
        .find_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            let mut words = mount.split(' ').skip(3);
            let whole_tree = words.next()? == "/";
            let place = words.next()?;
            (whole_tree && filesystem.starts_with("cgroup2 ")).then(|| PathBuf::from(place))
        })
        .context("no cgroup v2 tree is mounted; mount one (`mount -t cgroup2 none /sys/fs/cgroup`)")
}

/// A cgroup of the rig. Dropping it does nothing; its [`Folder`] removes it.
#[derive(Clone, Debug)]
pub struct Cgroup {
    mount: PathBuf,
    path: String,
}

impl Cgroup {
    /// Its path below the root of the tree, starting with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its directory.
    pub fn directory(&self) -> PathBuf {
        self.mount.join(self.path.trim_start_matches('/'))
    }

    /// Its id, as the kernel's hooks give it.
    pub fn id(&self) -> Result<CgroupId> {
        let metadata =
            fs::metadata(self.directory()).with_context(|| format!("no cgroup {}", self.path))?;
        Ok(CgroupId(metadata.ino()))
    }

    /// Makes a cgroup inside it.
    pub fn create_child(&self, name: &str) -> Result<Self> {
        let child = Self {
            mount: self.mount.clone(),
            path: format!("{}/{name}", self.path),
        };
        fs::create_dir(child.directory())
            .with_context(|| format!("cannot make cgroup {}", child.path))?;
        Ok(child)
    }

    /// Writes to one of its control files.
    pub fn write(&self, file: &str, value: &str) -> Result<()> {
        fs::write(self.directory().join(file), value)
            .with_context(|| format!("cannot write `{value}` to {file} of cgroup {}", self.path))
    }

    /// Kills every process in it and in the cgroups inside it.
    pub fn kill_all(&self) {
        kill_tree(&self.directory());
    }

    /// Removes it and those inside it as a runtime does once its processes are gone; waits a little for them to go.
    pub fn remove(&self) -> Result<()> {
        remove_tree(&self.directory(), false)
            .with_context(|| format!("cannot remove cgroup {}", self.path))
    }
}

/// The rig's own part of the tree. When it is dropped, what is left in it is killed and removed.
#[derive(Debug)]
pub struct Folder {
    top: Cgroup,
}

impl Folder {
    /// Makes `/gracewatch-<what>-<pid>`.
    pub fn new(what: &str) -> Result<Self> {
        let path = format!("/gracewatch-{what}-{}", std::process::id());
        let top = Cgroup {
            mount: mount_point()?,
            path,
        };
        fs::create_dir(top.directory())
            .with_context(|| format!("cannot make cgroup {}; be root", top.path))?;
        Ok(Self { top })
    }

    /// Its path below the root of the tree.
    pub fn path(&self) -> &str {
        self.top.path()
    }

    /// The cgroup that it is.
    pub fn top_cgroup(&self) -> &Cgroup {
        &self.top
    }

    /// Makes the cgroup at this path below the folder, and those above it that are missing.
    pub fn create_cgroup(&self, below: &str) -> Result<Cgroup> {
        let mut cgroup = self.top.clone();
        for name in below.split('/') {
            cgroup.path = format!("{}/{name}", cgroup.path);
            match fs::create_dir(cgroup.directory()) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot make cgroup {}", cgroup.path));
                }
            }
        }
        Ok(cgroup)
    }
}

impl Drop for Folder {
    #[expect(
        clippy::print_stderr,
        reason = "drop cannot return an error, and what is left behind must be told"
    )]
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.top.directory(), true) {
            eprintln!("cgroup {} is left behind: {error:#}", self.top.path);
        }
    }
}

/// Removes a cgroup and those inside it, deepest first; `kill` ends the processes that are still there.
fn remove_tree(directory: &Path, kill: bool) -> Result<()> {
    let started = Instant::now();
    loop {
        // What still runs inside may have made more in the meantime.
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                remove_tree(&entry.path(), kill)?;
            }
        }
        if kill {
            kill_members(directory)?;
        }
        match fs::remove_dir(directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if started.elapsed() > REMOVAL_LIMIT => {
                return Err(error)
                    .with_context(|| format!("{} still holds processes", directory.display()));
            }
            Err(_busy) => sleep(POLL),
        }
    }
}

fn kill_members(directory: &Path) -> Result<()> {
    let members = fs::read_to_string(directory.join("cgroup.procs"))?;
    for pid in members
        .lines()
        .filter_map(|line| Pid::from_raw(line.parse().ok()?))
    {
        // A process that died in the meantime is what we want.
        kill_process(pid, Signal::KILL).ok();
    }
    Ok(())
}

fn kill_tree(directory: &Path) {
    // What vanishes meanwhile needs no killing.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            kill_tree(&entry.path());
        }
    }
    kill_members(directory).ok();
}
