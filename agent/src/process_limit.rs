//! How near a container is to its limit of processes, as the pids controller shows it.

use std::fs;
use std::path::Path;

use agent_core::input::ProcessLimit;

use crate::cgroups::Tree;

/// Reads the limits of the container's cgroup at `path` and of those around it (the kubelet limits the pod's), and gives the
/// one that is nearest to being reached. None where none is set. On a hybrid system the pids controller is in a hierarchy of
/// cgroup v1, where its place is that of a process of the container.
pub fn read(tree: &Tree, path: &str) -> Option<ProcessLimit> {
    let nearest = |directory: &Path, root: &Path| {
        directory
            .ancestors()
            .take_while(|place| *place != root && place.starts_with(root))
            .filter_map(read_one)
            .min_by_key(|limit| limit.max.saturating_sub(limit.current))
    };
    let member = tree.processes(path).first().map(|tgid| tgid.0);
    match member.and_then(|member| tree.v1_directory("pids", member)) {
        Some((hierarchy, directory)) => nearest(&directory, &hierarchy),
        None => nearest(&tree.directory(path), tree.root()),
    }
}

fn read_one(directory: &Path) -> Option<ProcessLimit> {
    let read = |file: &str| fs::read_to_string(directory.join(file)).ok();
    let number = |file: &str| read(file)?.trim().parse().ok();
    let events = read("pids.events").unwrap_or_default();
    let refused = events
        .lines()
        .find_map(|line| line.strip_prefix("max ")?.parse().ok());
    Some(ProcessLimit {
        current: number("pids.current")?,
        // `max`, where there is no limit, is no number.
        max: number("pids.max")?,
        refused: refused.unwrap_or(0),
    })
}
