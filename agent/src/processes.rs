//! The processes of a container, as /proc shows them.
//!
//! Which processes are in a container is read from `cgroup.procs` of its cgroups, and so is whether a parent is outside:
//! /proc/PID/cgroup would give paths that depend on the reader's cgroup namespace, this does not.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;

use agent_core::event::Tgid;
use agent_core::input::ProcessFound;
use agent_core::time::Timestamp;
use anyhow::{Context as _, bail};
use procfs::process::{Process, Stat};

use crate::cgroups::Tree;

/// Inode number of the initial pid namespace
/// (<https://github.com/torvalds/linux/blob/v6.12/include/linux/proc_ns.h#L44>).
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Bytes of a command line that are read; a program may make its own as long as its stack allows.
const COMMAND_LINE_MAX: u64 = 4096;

/// Processes read of one container at the most.
const PROCESSES_MAX: usize = 4096;

/// Bytes of all command lines of one container that are read, from its lowest PIDs on: twice what the engine remembers of an
/// outermost container. A container that fills more must not make an input that no journal can hold.
const COMMAND_LINES_MAX: u64 = 1 << 20;

/// That /proc shows the pids that the kernel side reports: those of the initial pid namespace.
///
/// # Errors
/// A sentence that says how to run the agent there.
pub fn check_namespace() -> anyhow::Result<()> {
    let namespace = std::fs::read_link("/proc/self/ns/pid")
        .context("cannot read /proc/self/ns/pid; mount /proc")?;
    if namespace.as_os_str() != INITIAL_PID_NAMESPACE {
        bail!(
            "the agent runs in a pid namespace of its own and sees other pids than the kernel reports: \
             run it with the host's (hostPID: true, or docker run --pid=host)"
        );
    }
    Ok(())
}

/// The processes in the cgroups at these paths, which are a container's. Those that vanish meanwhile are left out.
pub fn of_container<'a>(
    tree: &Tree,
    paths: impl IntoIterator<Item = &'a str>,
) -> Vec<ProcessFound> {
    let members: BTreeSet<Tgid> = paths
        .into_iter()
        .flat_map(|path| tree.processes(path))
        .take(PROCESSES_MAX)
        .collect();
    let mut bytes_left = COMMAND_LINES_MAX;
    members
        .iter()
        .filter_map(|&tgid| read(tgid, &members, &mut bytes_left))
        .collect()
}

/// Whether the process is there still, and has not begun to exit.
pub fn is_there(found: &ProcessFound) -> bool {
    let process = i32::try_from(found.tgid.0).ok().map(Process::new);
    let stat = process.and_then(|process| process.ok()?.stat().ok());
    stat.is_some_and(|stat| !is_ending(&stat) && start(stat.starttime) == found.start)
}

/// `PF_EXITING` of a task's flags, <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched.h>: it has begun to exit.
/// It is set before the kernel side hears of the exit.
pub(crate) const EXITING: u32 = 0x4;

/// Whether it has exited and only waits for its parent to notice, or its last thread has begun to exit.
pub(crate) fn is_ending(stat: &Stat) -> bool {
    matches!(stat.state, 'Z' | 'X') || (stat.flags & EXITING != 0 && stat.num_threads <= 1)
}

/// The beginning of a command line, and as much of it as is left.
fn command_line(tgid: Tgid, bytes_left: &mut u64) -> std::io::Result<Vec<String>> {
    let file = File::open(format!("/proc/{}/cmdline", tgid.0))?;
    let mut bytes = Vec::new();
    let read = file
        .take(COMMAND_LINE_MAX.min(*bytes_left))
        .read_to_end(&mut bytes)?;
    *bytes_left = bytes_left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
    let text = String::from_utf8_lossy(&bytes);
    // Who writes a title of its own over its words fills the rest with NUL.
    let words = text.split('\0').filter(|word| !word.is_empty());
    Ok(words.map(str::to_owned).collect())
}

/// `None` if the process has vanished, which is normal, or is about to: of its exit the kernel side tells, or has told.
fn read(tgid: Tgid, members: &BTreeSet<Tgid>, bytes_left: &mut u64) -> Option<ProcessFound> {
    let process = Process::new(i32::try_from(tgid.0).ok()?).ok()?;
    let stat = process.stat().ok()?;
    if is_ending(&stat) {
        return None;
    }
    let ids = process.status().ok()?.nspid?;
    let parent_tgid = Tgid(u32::try_from(stat.ppid).ok()?);
    Some(ProcessFound {
        tgid,
        ns_tgid: u32::try_from(*ids.last()?).ok()?,
        ns_level: u32::try_from(ids.len() - 1).ok()?,
        parent_tgid,
        parent_outside: !members.contains(&parent_tgid),
        start: start(stat.starttime),
        comm: stat.comm,
        argv: command_line(tgid, bytes_left).unwrap_or_default(),
    })
}

/// When it was started, to a tick.
pub(crate) fn start_of(stat: &Stat) -> Timestamp {
    start(stat.starttime)
}

/// A start time in clock ticks since boot, suspended time included: `start_boottime`, cut to a tick
/// (<https://github.com/torvalds/linux/blob/v6.12/fs/proc/array.c#L568>).
fn start(ticks: u64) -> Timestamp {
    let tick = 1_000_000_000 / procfs::ticks_per_second().max(1);
    Timestamp(ticks.saturating_mul(tick))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_is_read_as_the_kernel_knows_it() {
        let mut plenty = COMMAND_LINES_MAX;
        let before = crate::clock::now();
        let mut child = Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let tgid = Tgid(child.id());
        let me = Tgid(std::process::id());
        let outside = read(tgid, &BTreeSet::from([tgid]), &mut plenty).unwrap();
        let inside = read(tgid, &BTreeSet::from([tgid, me]), &mut plenty).unwrap();
        assert!(is_there(&outside));
        let younger = ProcessFound {
            start: Timestamp(outside.start.0 + 1_000_000_000),
            ..outside.clone()
        };
        assert!(!is_there(&younger));
        child.kill().unwrap();
        while read(tgid, &BTreeSet::new(), &mut plenty).is_some() {
            std::thread::yield_now();
        }
        // It is told of no more from the beginning of its exit; at the end of that it is a zombie.
        let state = || {
            let process = Process::new(child.id().cast_signed()).unwrap();
            process.stat().unwrap().state
        };
        while state() != 'Z' {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(outside.parent_tgid, me);
        assert!(outside.parent_outside && !inside.parent_outside);
        // Cut to a tick, so up to one tick early.
        assert!(outside.start.0 + 10_000_000 >= before.0 && outside.start <= crate::clock::now());
        assert_eq!(read(tgid, &BTreeSet::new(), &mut plenty), None);
        assert!(!is_there(&outside));
    }

    #[test]
    fn command_lines_are_read_until_their_bytes_are_used_up() {
        let me = Tgid(std::process::id());
        let mut bytes_left = 10;
        let words = command_line(me, &mut bytes_left).unwrap();
        assert_eq!(words.concat().len(), 10);
        assert_eq!(bytes_left, 0);
        let none = read(me, &BTreeSet::from([me]), &mut bytes_left).unwrap();
        assert_eq!(none.argv, Vec::<String>::new());
    }
}
