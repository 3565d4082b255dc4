//! The cgroup v2 tree: where it is mounted, and which cgroups it holds.
//!
//! An id is the inode number of the cgroup's directory, which is the kernfs node id that the kernel side reports
//! (`cgroup_id()`: <https://github.com/torvalds/linux/blob/v6.12/include/linux/cgroup.h#L301>).

use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use agent_core::event::{CgroupId, Tgid};
use anyhow::{Context as _, bail};
use procfs::process::{MountInfo, Process};

mod room;

use room::{Owner, Room};

/// Directories that one scan visits at the most. A node has some thousands; this bounds a runaway tree.
const VISITED_MAX: usize = 65_536;
/// The inode number of the tree's true root: the first node that kernfs makes.
const ROOT_ID: u64 = 1;

/// A mounted cgroup v2 tree.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
}

/// A cgroup in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its id.
    pub id: CgroupId,
    /// Its parent's id.
    pub parent: CgroupId,
    /// Its path below the root, starting with `/`.
    pub path: String,
}

/// What a scan found.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Parents before their children.
    pub cgroups: Vec<Cgroup>,
    /// Whether the scan stopped at its bound.
    pub cut: bool,
}

impl Tree {
    /// The tree mounted at `root`, or else where `/proc/self/mountinfo` says: on a hybrid host the unified one.
    ///
    /// # Errors
    /// A sentence if there is none, or if what is mounted begins below the true root: the kernel names cgroups from
    /// there, so nothing could be matched.
    pub fn find(root: Option<&Path>) -> anyhow::Result<Self> {
        let root = match root {
            Some(root) => root.to_owned(),
            None => mounted()?,
        };
        let name = root.display();
        let id = fs::metadata(&root)
            .with_context(|| {
                format!("cannot look at the cgroup v2 tree {name}; name another by --cgroup-root")
            })?
            .ino();
        if !root.join("cgroup.procs").exists() {
            bail!(
                "{name} is no cgroup v2 tree (it has no cgroup.procs); name where it is mounted by --cgroup-root"
            );
        }
        if id != ROOT_ID {
            bail!(
                "the cgroup tree at {name} begins below its true root (a cgroup namespace of its own, or a part mounted alone): \
                 run the agent in the host's cgroup namespace, or mount the host's tree and name it by --cgroup-root"
            );
        }
        Ok(Self { root })
    }

    /// Every cgroup below the root, with a bound for each outermost container and each place, so that whoever makes many cgroups
    /// does not keep others from being found.
    pub fn scan(&self) -> Scan {
        self.walk((CgroupId(ROOT_ID), ""), Room::of_all(VISITED_MAX))
    }

    /// Every cgroup below the one of a container at `path` with this id, itself not among them.
    pub fn scan_below(&self, id: CgroupId, path: &str) -> Scan {
        self.walk((id, path), Room::of_one(VISITED_MAX))
    }

    fn walk(&self, (id, path): (CgroupId, &str), mut room: Room) -> Scan {
        let mut scan = Scan::default();
        let mut waiting = vec![(id, path.to_owned(), Owner::default())];
        while let Some((parent, path, above)) = waiting.pop() {
            // A cgroup that vanishes while it is read had no processes; its end is reported by the kernel side.
            let Ok(children) = self.children(&path) else {
                continue;
            };
            for (id, name) in children {
                let path = format!("{path}/{name}");
                let owner = room.assign_owner(above, &path);
                if !room.try_reserve(owner) {
                    scan.cut = true;
                    if owner == above {
                        break;
                    }
                    continue;
                }
                waiting.push((id, path.clone(), owner));
                scan.cgroups.push(Cgroup { id, parent, path });
            }
        }
        scan
    }

    /// The id of the cgroup at `path`, if it is there.
    pub fn id(&self, path: &str) -> Option<CgroupId> {
        Some(CgroupId(fs::metadata(self.directory(path)).ok()?.ino()))
    }

    /// The processes in the cgroup at `path`, without those of its descendants. None if it vanished or is threaded, in
    /// which case the topmost cgroup of its threaded domain lists them.
    pub fn processes(&self, path: &str) -> Vec<Tgid> {
        fs::read_to_string(self.directory(path).join("cgroup.procs"))
            .unwrap_or_default()
            .lines()
            .filter_map(|line| Some(Tgid(line.parse().ok()?)))
            .collect()
    }

    /// Whether the cgroup at `path`, or one above it, was frozen, and all its processes have come to rest
    /// (<https://docs.kernel.org/admin-guide/cgroup-v2.html>, `cgroup.events`).
    pub fn is_frozen(&self, path: &str) -> bool {
        fs::read_to_string(self.directory(path).join("cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "frozen 1"))
    }

    /// Whether the freezer of cgroup v1 holds this thread; each may have a cgroup of its own there
    /// (<https://docs.kernel.org/admin-guide/cgroup-v1/freezer-subsystem.html>).
    pub fn is_frozen_by_v1(&self, tid: u32) -> bool {
        let state = self
            .v1_directory("freezer", tid)
            .and_then(|(_, directory)| fs::read_to_string(directory.join("freezer.state")).ok());
        state.is_some_and(|state| matches!(state.trim(), "FROZEN" | "FREEZING"))
    }

    /// Where a controller of cgroup v1 has its hierarchy, and there the cgroup of this thread. On a hybrid system the v1
    /// hierarchies are mounted beside the v2 one. None where the controller has none.
    pub fn v1_directory(&self, controller: &str, tid: u32) -> Option<(PathBuf, PathBuf)> {
        let cgroups = fs::read_to_string(format!("/proc/{tid}/cgroup")).ok()?;
        // 8:pids:/system.slice/web.service
        let path = cgroups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let is_here = controllers.split(',').any(|one| one == controller);
            is_here.then_some(path)
        })?;
        let hierarchy = self.root.parent()?.join(controller);
        let directory = hierarchy.join(path.trim_start_matches('/'));
        directory.exists().then_some((hierarchy, directory))
    }

    /// Where the tree is mounted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the cgroup at `path`.
    pub fn directory(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn children(&self, path: &str) -> io::Result<impl Iterator<Item = (CgroupId, String)>> {
        let entries = fs::read_dir(self.directory(path))?;
        Ok(entries.map_while(Result::ok).filter_map(|entry| {
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let name = || entry.file_name().to_string_lossy().into_owned();
            is_dir.then(|| (CgroupId(entry.ino()), name()))
        }))
    }
}

/// The first cgroup2 mount that shows the whole tree.
fn mounted() -> anyhow::Result<PathBuf> {
    let mounts = Process::myself()
        .and_then(|process| process.mountinfo())
        .context("cannot read /proc/self/mountinfo; mount /proc")?;
    find_root_mount(mounts, |path| {
        fs::metadata(path).is_ok_and(|folder| folder.ino() == ROOT_ID)
    })
}

/// The mount of the true root among `mounts`. What mountinfo calls the root of a mount is no help: it is told from the
/// reader's cgroup namespace, and a container on a pure v2 machine has one of its own, which shows the whole tree, when
/// it is given to the container, as `/../..` (`cgroup_show_path`: <https://github.com/torvalds/linux/blob/v6.12/kernel/cgroup/cgroup.c>).
fn find_root_mount(
    mounts: impl IntoIterator<Item = MountInfo>,
    is_root: impl Fn(&Path) -> bool,
) -> anyhow::Result<PathBuf> {
    let mut others = None;
    for mount in mounts {
        if mount.fs_type == "cgroup2" && is_root(&mount.mount_point) {
            return Ok(mount.mount_point);
        }
        if mount.fs_type.starts_with("cgroup") {
            others = Some(mount.fs_type);
        }
    }
    match others.as_deref() {
        Some("cgroup") => bail!(
            "this machine has cgroup v1 only, and containers are told apart by their cgroup v2: \
             boot with systemd.unified_cgroup_hierarchy=1, or mount the v2 tree (mount -t cgroup2 none /sys/fs/cgroup/unified)"
        ),
        Some(_) => bail!(
            "only a part of the cgroup v2 tree is mounted: run the agent in the host's cgroup namespace, or name the whole tree by --cgroup-root"
        ),
        None => bail!(
            "no cgroup v2 tree is mounted: mount one (mount -t cgroup2 none /sys/fs/cgroup), or name it by --cgroup-root"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_no_tree_is_refused_by_name() {
        let sentence = Tree::find(Some(Path::new("/proc")))
            .unwrap_err()
            .to_string();
        assert!(
            sentence.contains("/proc") && sentence.contains("--cgroup-root"),
            "{sentence}"
        );
        let sentence = Tree::find(Some(Path::new("/nowhere")))
            .unwrap_err()
            .to_string();
        assert!(sentence.contains("/nowhere"), "{sentence}");
    }

    #[test]
    fn the_whole_tree_is_found_from_a_cgroup_namespace_of_ones_own() {
        let mounts = || {
            [
                "30 20 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw",
                "31 20 0:26 /../../../.. /host/cgroup ro - cgroup2 cgroup2 rw",
            ]
            .map(|line| MountInfo::from_line(line).unwrap())
        };
        let found = find_root_mount(mounts(), |path| path == Path::new("/host/cgroup"));
        assert_eq!(found.unwrap(), Path::new("/host/cgroup"));
        let sentence = find_root_mount(mounts(), |_| false)
            .unwrap_err()
            .to_string();
        assert!(sentence.contains("--cgroup-root"), "{sentence}");
    }

    #[test]
    fn a_scan_gives_ids_parents_and_paths() {
        let root = std::env::temp_dir().join(format!("gracewatch-scan-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join("c")).unwrap();
        fs::write(root.join("a/cgroup.procs"), "17\n4\n").unwrap();
        let tree = Tree { root: root.clone() };
        let scan = tree.scan();
        let find = |path: &str| {
            scan.cgroups
                .iter()
                .find(|cgroup| cgroup.path == path)
                .unwrap()
        };
        assert_eq!(scan.cgroups.len(), 3);
        assert_eq!(find("/a").parent, CgroupId(ROOT_ID));
        assert_eq!(find("/a/b").parent, find("/a").id);
        assert_eq!(tree.id("/a/b"), Some(find("/a/b").id));
        assert_eq!(tree.processes("/a"), [Tgid(17), Tgid(4)]);
        assert_eq!(tree.processes("/gone"), []);
        assert_eq!(tree.scan_below(find("/a").id, "/a").cgroups.len(), 1);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn who_makes_many_cgroups_keeps_nobody_from_being_found() {
        let root = std::env::temp_dir().join(format!("gracewatch-many-{}", std::process::id()));
        let container =
            |number: usize| format!("pods/class/pod{number}/docker-{number:064x}.scope");
        for pod in 0..4 {
            fs::create_dir_all(root.join(container(pod)).join("own")).unwrap();
        }
        for number in 0..100 {
            for folder in [&container(1), &container(2), "users/one"] {
                fs::create_dir_all(root.join(folder).join(number.to_string())).unwrap();
            }
        }
        let tree = Tree { root: root.clone() };
        let scan = tree.walk((CgroupId(ROOT_ID), ""), Room::of_all(160));
        assert!(scan.cut);
        let inside = |path: &str| {
            let below = format!("/{path}/");
            let found = scan.cgroups.iter();
            found.filter(|one| one.path.starts_with(&below)).count()
        };
        for pod in [0, 3] {
            assert_eq!(inside(&container(pod)), 1);
        }
        for folder in [&container(1), &container(2), "users/one"] {
            assert_eq!(
                inside(folder),
                160 / agent_core::share::PARTS - 1,
                "{folder}"
            );
        }
        let below = tree.walk((CgroupId(2), "/users/one"), Room::of_one(160));
        assert!(below.cut && below.cgroups.len() == 160 / agent_core::share::PARTS);
        fs::remove_dir_all(root).unwrap();
    }
}
