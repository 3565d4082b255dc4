//! A jail for the rig: mount and network namespaces of its own, and a folder of the cgroup trees. Container runtimes and
//! a kubelet mount, route, listen and write sysctls in it; all of that goes with the last process in it.
//!
//! The pid namespace stays the machine's own, which the agent needs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CloneFlags, unshare};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_move, unmount,
};

use crate::daemon::Daemon;

mod cgroups;
mod interrupt;
mod network;

pub use cgroups::{Cgroups, Killer};
pub use interrupt::{Interrupted, catch_signals};

/// Where the state of everything in the jail lies: sockets, images, snapshots.
pub(crate) const STATE: &str = "/run/gracewatch-rig";
/// What a kubelet would write for the whole machine; writes inside the jail go to files of its own.
/// `setupKernelTunables`: <https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/cm/container_manager_linux.go>.
const SYSCTLS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];
/// Services of the machine that are reached through /run, where there are any.
const KEPT_IN_RUN: [&str; 2] = ["systemd", "dbus"];
const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// Which cgroup trees are seen in the jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupView {
    /// Those of the machine.
    Machine,
    /// The v2 tree alone, at /sys/fs/cgroup, as on a machine without cgroup v1. On a hybrid machine its controllers are
    /// still bound to v1 and thus missing.
    Unified,
}

/// The jail that this process is in. Dropping it kills what is left in its cgroups and removes them.
#[derive(Debug)]
pub struct Jail {
    cgroups: Cgroups,
}

impl Jail {
    /// Puts this process into a new jail. `what` names its cgroups; `tools` is the folder of the CNI plugins.
    ///
    /// # Errors
    /// If this process has threads already (some would stay outside), is not root, or the kernel refuses.
    pub fn enter(what: &str, tools: &Path, view: CgroupView) -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "container runtimes need root: run this as root"
        );
        let threads = fs::read_dir("/proc/self/task").context("cannot read /proc")?;
        ensure!(
            threads.count() == 1,
            "the jail is entered by one thread, and there are more already"
        );
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)
            .context("cannot make mount and network namespaces")?;
        mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
        .context("cannot make the mounts private")?;
        own_run()?;
        own_sysctls()?;
        if view == CgroupView::Unified {
            unified_view()?;
        }
        network::loopback_up(&tools.join("loopback"))?;
        Ok(Self {
            cgroups: Cgroups::create(what)?,
        })
    }

    /// A folder for state, made if it is missing. It is in memory and goes with the jail.
    pub fn state_folder(&self, name: &str) -> Result<PathBuf> {
        let path = Path::new(STATE).join(name);
        create_folder(&path)?;
        Ok(path)
    }

    /// Lays an empty folder in memory over this one of the machine, so that what is written there goes with the jail.
    pub fn cover_with_tmpfs(&self, path: &Path) -> Result<()> {
        mount_tmpfs(path)
    }

    /// The rig's cgroups.
    pub const fn cgroups(&self) -> &Cgroups {
        &self.cgroups
    }

    /// Makes another folder of the cgroup trees, as `/kubepods`, be killed and removed with the rig's own.
    pub fn adopt_cgroup(&mut self, path: &str) {
        self.cgroups.adopt_path(path);
    }

    /// Puts a daemon into the rig's cgroups, and with it what it will start, so that nothing outlives the jail.
    pub fn hold(&self, daemon: &Daemon) -> Result<()> {
        self.cgroups.hold(daemon.pid())
    }
}

fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

fn mount_tmpfs(path: &Path) -> Result<()> {
    mount("tmpfs", path, "tmpfs", MountFlags::empty(), None)
        .with_context(|| format!("cannot mount a tmpfs at {}", path.display()))
}

/// Puts a /run in memory over the machine's own, with the sockets of its services in it.
fn own_run() -> Result<()> {
    let run = Path::new("/run");
    let own = std::env::temp_dir().join(format!("gracewatch-run-{}", std::process::id()));
    create_folder(&own)?;
    mount_tmpfs(&own)?;
    for name in KEPT_IN_RUN {
        let theirs = run.join(name);
        if theirs.is_dir() {
            create_folder(&own.join(name))?;
            mount_bind_recursive(&theirs, own.join(name))
                .with_context(|| format!("cannot bind {}", theirs.display()))?;
        }
    }
    mount_move(&own, run).context("cannot mount a /run of the jail's own")?;
    fs::remove_dir(&own).with_context(|| format!("cannot remove {}", own.display()))?;
    create_folder(Path::new(STATE))
}

/// Binds files over the sysctls of the whole machine.
///
/// A /proc with something bound over it would keep user namespaces from mounting one of their own, unless another is
/// there that is wholly visible: `mount_too_revealing`,
/// <https://github.com/torvalds/linux/blob/v6.12/fs/namespace.c#L5510>.
fn own_sysctls() -> Result<()> {
    let whole = Path::new(STATE).join("whole-proc");
    create_folder(&whole)?;
    mount("proc", &whole, "proc", MountFlags::empty(), None)
        .context("cannot mount a /proc of the jail's own")?;
    for name in SYSCTLS {
        let theirs = Path::new("/proc/sys").join(name);
        let own = Path::new(STATE).join(name.replace('/', "."));
        let value = fs::read(&theirs).with_context(|| format!("no sysctl {name}"))?;
        fs::write(&own, value).with_context(|| format!("cannot write {}", own.display()))?;
        mount_bind(&own, &theirs).with_context(|| format!("cannot bind a file over {name}"))?;
    }
    Ok(())
}

/// Takes the cgroup mounts of a hybrid machine out of the jail and mounts the v2 tree alone.
fn unified_view() -> Result<()> {
    unmount(CGROUP_ROOT, UnmountFlags::DETACH)
        .with_context(|| format!("cannot unmount {CGROUP_ROOT} in the jail"))?;
    mount(
        "cgroup2",
        CGROUP_ROOT,
        "cgroup2",
        MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
        None,
    )
    .with_context(|| format!("cannot mount the v2 tree at {CGROUP_ROOT}"))
}
