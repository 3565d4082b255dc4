//! The root of a container: a tree of files that many containers share and none changes, in namespaces of its own, as a runtime
//! makes them (mounts, network with the loopback device up, host name, System V IPC).

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, setns, unshare};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
};

/// What a container's root is made of.
#[derive(Clone, Debug)]
pub struct Root {
    /// Trees that are laid over each other, the uppermost first. None is written to.
    pub trees: Vec<PathBuf>,
    /// An empty folder where the root is put together; what is written stays in memory and goes with the container.
    pub place: PathBuf,
    /// Files and folders of the machine that are there under the same path.
    pub shared: Vec<PathBuf>,
}

/// Devices that any program may expect.
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];

impl Root {
    /// Moves this process, which has one thread, into new namespaces with this root.
    pub(crate) fn enter_root(&self) -> Result<()> {
        unshare(
            CloneFlags::CLONE_NEWNS
                | CloneFlags::CLONE_NEWNET
                | CloneFlags::CLONE_NEWUTS
                | CloneFlags::CLONE_NEWIPC,
        )
        .context("cannot make namespaces; be root")?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).context("cannot make the mounts private")?;
        let root = self.mount_overlay()?;
        for (name, place) in [
            ("proc", "proc"),
            ("tmpfs", "tmp"),
            ("tmpfs", "run"),
            ("sysfs", "sys"),
        ] {
            mount_filesystem(name, &root.join(place))?;
        }
        fs::write(root.join("sys/class/net/lo/flags"), "9")
            .context("cannot bring the loopback device up")?;
        devices(&root.join("dev"))?;
        for path in &self.shared {
            bind_into(path, &root)?;
        }
        become_root(&root)
    }

    /// Lays the trees over each other; returns where.
    fn mount_overlay(&self) -> Result<PathBuf> {
        mount_filesystem("tmpfs", &self.place)?;
        let [upper, work, root] = ["upper", "work", "root"].map(|name| self.place.join(name));
        for folder in [&upper, &work, &root] {
            fs::create_dir(folder)?;
        }
        let trees: Vec<_> = self
            .trees
            .iter()
            .map(|tree| tree.as_os_str().as_bytes())
            .collect();
        let mut options = b"lowerdir=".to_vec();
        options.extend(trees.join(&b':'));
        for (name, folder) in [(",upperdir=", &upper), (",workdir=", &work)] {
            options.extend(name.as_bytes());
            options.extend(folder.as_os_str().as_bytes());
        }
        let options = CString::new(options)?;
        mount(
            "overlay",
            &root,
            "overlay",
            MountFlags::empty(),
            options.as_c_str(),
        )
        .context("cannot lay the trees over each other")?;
        Ok(root)
    }
}

/// Moves this process, which has one thread, into the mounts, the network and the host name of that one.
pub(crate) fn join_namespaces(pid: u32) -> Result<()> {
    let open = |name: &str| {
        let path = format!("/proc/{pid}/ns/{name}");
        fs::File::open(&path).with_context(|| format!("cannot open {path}"))
    };
    let spaces = [
        (open("net")?, CloneFlags::CLONE_NEWNET),
        (open("uts")?, CloneFlags::CLONE_NEWUTS),
        (open("ipc")?, CloneFlags::CLONE_NEWIPC),
        (open("mnt")?, CloneFlags::CLONE_NEWNS),
    ];
    for (file, flag) in spaces {
        setns(file, flag).context("cannot join the container's namespaces")?;
    }
    Ok(())
}

fn mount_filesystem(filesystem: &str, place: &Path) -> Result<()> {
    let options: Option<&std::ffi::CStr> = None;
    mount(filesystem, place, filesystem, MountFlags::empty(), options)
        .with_context(|| format!("cannot mount {filesystem} at {}", place.display()))
}

fn devices(folder: &Path) -> Result<()> {
    mount_filesystem("tmpfs", folder)?;
    for name in DEVICES {
        let path = folder.join(name);
        fs::write(&path, "")?;
        mount_bind(Path::new("/dev").join(name), &path)
            .with_context(|| format!("cannot show /dev/{name}"))?;
    }
    let shared_memory = folder.join("shm");
    fs::create_dir(&shared_memory)?;
    mount_filesystem("tmpfs", &shared_memory)?;
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, folder.join(name))?;
    }
    Ok(())
}

/// Shows a file or a folder of the machine under the same path.
fn bind_into(path: &Path, root: &Path) -> Result<()> {
    let inside = root.join(path.strip_prefix("/").unwrap_or(path));
    if path.is_dir() {
        fs::create_dir_all(&inside)?;
    } else {
        fs::create_dir_all(inside.parent().context("a file has a folder")?)?;
        fs::write(&inside, "")?;
    }
    mount_bind(path, &inside).with_context(|| format!("cannot show {}", path.display()))
}

fn become_root(root: &Path) -> Result<()> {
    std::env::set_current_dir(root)?;
    rustix::process::pivot_root(".", ".").context("cannot change the root")?;
    unmount(".", UnmountFlags::DETACH).context("cannot leave the machine's root")?;
    std::env::set_current_dir("/").context("cannot enter the new root")
}
