//! The rig's cgroups: a folder of the same name in every tree, killed and removed in the end.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

/// How long a folder waits for its processes to be gone.
const REMOVAL_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);
/// The cgroup of the rig's daemons, below its folder.
const DAEMONS: &str = "daemons";
const SUBTREE_CONTROL: &str = "cgroup.subtree_control";

/// Kills every process in the rig's cgroups, daemons too.
#[derive(Clone, Debug)]
pub struct Killer(Vec<PathBuf>);

impl Killer {
    /// Sends SIGKILL to all of them.
    pub fn kill_all(&self) {
        for folder in &self.0 {
            kill_tree(folder);
        }
    }
}

/// The folder of the rig in the cgroup trees that are mounted here. Dropping it kills all in it and removes it.
#[derive(Debug)]
pub struct Cgroups {
    /// Mount points of all trees, the v2 tree first.
    trees: Vec<PathBuf>,
    /// Its path below their roots.
    path: String,
    /// Further folders to remove, which others make.
    adopted: Vec<String>,
    /// The controllers that the root of the v2 tree gave to its children before.
    controllers: Vec<String>,
}

impl Cgroups {
    /// Makes `/gracewatch-<what>-<pid>` in the v2 tree. Runtimes make it in the others where they need it.
    pub(super) fn create(what: &str) -> Result<Self> {
        let table =
            fs::read_to_string("/proc/self/mountinfo").context("cannot read the mount table")?;
        let trees = mounted_trees(&table);
        let v2 = trees.first().context(
            "no cgroup v2 tree is mounted; mount one (`mount -t cgroup2 none /sys/fs/cgroup`)",
        )?;
        let path = format!("/gracewatch-{what}-{}", std::process::id());
        let daemons = v2.join(path.trim_start_matches('/')).join(DAEMONS);
        fs::create_dir_all(&daemons)
            .with_context(|| format!("cannot make cgroup {}", daemons.display()))?;
        let controllers = enabled(v2);
        Ok(Self {
            trees,
            path,
            adopted: Vec::new(),
            controllers,
        })
    }

    /// The path of the rig's folder below the root of each tree, starting with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn adopt_path(&mut self, path: &str) {
        self.adopted.push(path.to_owned());
    }

    /// Removes this folder from every tree if no process is in it or below; else removes nothing and says no.
    pub fn remove_empty(&self, path: &str) -> Result<bool> {
        let folders = || {
            let path = path.trim_start_matches('/');
            self.trees.iter().map(move |tree| tree.join(path))
        };
        if folders().any(|folder| !members(&folder).is_empty()) {
            return Ok(false);
        }
        folders()
            .filter(|folder| folder.exists())
            .try_for_each(|folder| remove_tree(&folder))?;
        Ok(true)
    }

    /// Where the v2 tree is mounted.
    pub fn v2(&self) -> &Path {
        self.trees.first().map_or(Path::new("/"), PathBuf::as_path)
    }

    /// The file that takes processes into the rig's cgroups: the number of one is written to it.
    pub fn entrance(&self) -> PathBuf {
        let folder = self.v2().join(self.path.trim_start_matches('/'));
        folder.join(DAEMONS).join("cgroup.procs")
    }

    pub(super) fn hold(&self, pid: u32) -> Result<()> {
        let procs = self.entrance();
        fs::write(&procs, pid.to_string())
            .with_context(|| format!("cannot put process {pid} into {}", procs.display()))
    }

    /// What kills every process in the rig's cgroups, from any thread.
    pub fn killer(&self) -> Killer {
        Killer(self.folders().collect())
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        let paths = std::iter::once(&self.path).chain(&self.adopted);
        paths.flat_map(|path| {
            self.trees
                .iter()
                .map(move |tree| tree.join(path.trim_start_matches('/')))
        })
    }

    /// Gives the root of the v2 tree back as it was: runtimes hand its controllers down. Those that somebody else uses
    /// by now stay.
    fn restore_controllers(&self) -> Result<()> {
        for controller in enabled(self.v2()) {
            if self.controllers.contains(&controller) {
                continue;
            }
            let file = self.v2().join(SUBTREE_CONTROL);
            match fs::write(&file, format!("-{controller}")) {
                Err(error) if error.kind() != ErrorKind::ResourceBusy => {
                    return Err(error).with_context(|| {
                        format!("cannot take {controller} out of {}", file.display())
                    });
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Drop for Cgroups {
    #[expect(
        clippy::print_stderr,
        reason = "drop cannot return an error, and what is left behind must be told"
    )]
    fn drop(&mut self) {
        self.killer().kill_all();
        for folder in self.folders() {
            if let Err(error) = remove_tree(&folder) {
                eprintln!("cgroup {} is left behind: {error:#}", folder.display());
            }
        }
        if let Err(error) = self.restore_controllers() {
            eprintln!("the v2 tree is not as it was: {error:#}");
        }
    }
}

/// The mount points of all cgroup trees that are mounted from their roots, the v2 tree first.
fn mounted_trees(table: &str) -> Vec<PathBuf> {
    let mut found: Vec<(bool, PathBuf)> = table
        .lines()
        .filter_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            let mut words = mount.split(' ').skip(3);
            let whole_tree = words.next()? == "/";
            let place = PathBuf::from(words.next()?);
            let kind = filesystem.split(' ').next()?;
            (whole_tree && matches!(kind, "cgroup" | "cgroup2")).then(|| (kind == "cgroup", place))
        })
        .collect();
    found.sort_by_key(|(is_v1, _)| *is_v1);
    if found.first().is_none_or(|(is_v1, _)| *is_v1) {
        return Vec::new();
    }
    found.into_iter().map(|(_, place)| place).collect()
}

fn enabled(v2: &Path) -> Vec<String> {
    let text = fs::read_to_string(v2.join(SUBTREE_CONTROL)).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// The cgroups inside this one. What vanishes meanwhile is none.
fn children(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

/// The processes in a cgroup and in those inside it.
fn members(directory: &Path) -> Vec<Pid> {
    let own = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    let own = own
        .lines()
        .filter_map(|line| Pid::from_raw(line.parse().ok()?));
    let deeper = children(directory).flat_map(|child| members(&child));
    own.chain(deeper).collect()
}

fn kill_tree(directory: &Path) {
    for pid in members(directory) {
        // A process that died in the meantime is what we want.
        kill_process(pid, Signal::KILL).ok();
    }
}

/// Removes a cgroup and those inside it, deepest first.
fn remove_tree(directory: &Path) -> Result<()> {
    for child in children(directory) {
        remove_tree(&child)?;
    }
    let started = Instant::now();
    loop {
        match fs::remove_dir(directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if started.elapsed() > REMOVAL_LIMIT => {
                return Err(error)
                    .with_context(|| format!("{} still holds processes", directory.display()));
            }
            Err(_busy) => {
                kill_tree(directory);
                sleep(POLL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_v2_tree_comes_first() {
        let hybrid = "30 24 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            31 30 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            32 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
            33 30 0:27 /inner /elsewhere rw - cgroup2 cgroup2 rw\n";
        let expected = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory"];
        assert_eq!(mounted_trees(hybrid), expected.map(PathBuf::from));
        assert!(
            mounted_trees("31 30 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n")
                .is_empty()
        );
    }
}
