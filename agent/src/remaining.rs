//! What is left of a container after its main process, as /proc shows it, and what each of it waits for.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;

use agent_core::event::Tgid;
use agent_core::remaining::{Remaining, Task, TaskState};
use agent_core::time::Timestamp;
use procfs::process::{Process, Stat, Status};

use crate::cgroups::Tree;
use crate::processes::{EXITING, is_ending, start_of};

/// Tasks that are named; the others are counted.
const NAMED_MAX: usize = 16;

/// Tasks that are looked at.
const LOOKED_AT_MAX: usize = 32_768;

/// By how much the start that the kernel side tells may differ from that in /proc, which is cut to a tick.
const TICK_NS: u64 = 20_000_000;

/// The function in which the init of a pid namespace waits for the end of all others in it
/// (<https://github.com/torvalds/linux/blob/v6.12/kernel/pid_namespace.c>).
const INIT_WAITS_IN: &str = "zap_pid_ns_processes";

/// Finds what is left of the container whose cgroups are at `paths`, and whose main process is `main`, started at `start`.
pub fn find_remaining(tree: &Tree, paths: &[&str], main: Tgid, start: Timestamp) -> Remaining {
    let process = of_tgid(main).filter(|process| was_started_at(process, start));
    let found = process.and_then(|process| {
        let task = of_process(&process, &Frozen::default())?;
        Some((process, task))
    });
    match found {
        Some((process, task)) if task.exiting => {
            let others = held_by(&process, &task, &Frozen::from_paths(tree, paths));
            remaining(Some(task), others)
        }
        Some((_process, task)) => remaining(Some(task), Vec::new()),
        None => remaining(None, members(tree, paths)),
    }
}

fn remaining(main: Option<Task>, mut others: Vec<Task>) -> Remaining {
    let more = others.len().saturating_sub(NAMED_MAX);
    // Those first that say why.
    others.sort_by_key(|task| (!task.frozen && task.state == TaskState::Alive, task.tid));
    others.truncate(NAMED_MAX);
    Remaining {
        main,
        others,
        more: u64::try_from(more).unwrap_or(u64::MAX),
    }
}

/// What a main process waits for that is exiting: its own threads, or the rest of its pid namespace.
fn held_by(process: &Process, main: &Task, frozen: &Frozen<'_>) -> Vec<Task> {
    let waits_for_namespace = main.waits_in == INIT_WAITS_IN
        // Where the kernel does not say.
        || (main.waits_in.is_empty() && main.state == TaskState::Alive);
    let threads = threads(process, main, frozen);
    if !threads.is_empty() || !waits_for_namespace {
        return threads;
    }
    let Some(namespace) = pid_namespace(process) else {
        return Vec::new();
    };
    procfs::process::all_processes()
        .into_iter()
        .flatten()
        .take(LOOKED_AT_MAX)
        .filter_map(Result::ok)
        .filter(|other| other.pid() != process.pid())
        .filter(|other| pid_namespace(other).as_ref() == Some(&namespace))
        .filter_map(|other| of_process(&other, frozen))
        .collect()
}

/// Its other threads that have not come to their end.
fn threads(process: &Process, main: &Task, frozen: &Frozen<'_>) -> Vec<Task> {
    process
        .tasks()
        .into_iter()
        .flatten()
        .take(LOOKED_AT_MAX)
        .filter_map(Result::ok)
        .filter(|thread| u32::try_from(thread.tid) != Ok(main.tid))
        .filter_map(|thread| {
            let (stat, status) = (thread.stat().ok()?, thread.status().ok()?);
            Some(new_task(&stat, &status, main.tgid, frozen))
        })
        .filter(|thread| thread.state != TaskState::Zombie)
        .collect()
}

/// The processes in the container's cgroups.
fn members(tree: &Tree, paths: &[&str]) -> Vec<Task> {
    let frozen = Frozen::from_paths(tree, paths);
    paths
        .iter()
        .flat_map(|path| tree.processes(path))
        .take(LOOKED_AT_MAX)
        .filter_map(of_tgid)
        .filter(|process| process.stat().is_ok_and(|stat| !is_ending(&stat)))
        .filter_map(|process| of_process(&process, &frozen))
        .collect()
}

fn of_process(process: &Process, frozen: &Frozen<'_>) -> Option<Task> {
    let tgid = Tgid(u32::try_from(process.pid()).ok()?);
    let (stat, status) = (process.stat().ok()?, process.status().ok()?);
    Some(new_task(&stat, &status, tgid, frozen))
}

fn new_task(stat: &Stat, status: &Status, tgid: Tgid, frozen: &Frozen<'_>) -> Task {
    /// SIGKILL in a mask of signals.
    const KILL: u64 = 1 << (9 - 1);
    let tid = u32::try_from(stat.pid).unwrap_or_default();
    let state = TaskState::from(stat.state);
    let parent_tgid = Tgid(u32::try_from(stat.ppid).unwrap_or_default());
    let file = |name: &str| {
        let text = fs::read_to_string(format!("/proc/{}/task/{tid}/{name}", tgid.0));
        text.unwrap_or_default()
    };
    let waits_in = match file("wchan").trim() {
        "0" => String::new(),
        function => function.to_owned(),
    };
    let parent_comm = fs::read_to_string(format!("/proc/{}/comm", parent_tgid.0));
    Task {
        tid,
        tgid,
        comm: stat.comm.clone(),
        parent_tgid,
        parent_comm: parent_comm.unwrap_or_default().trim_end().to_owned(),
        state,
        frozen: frozen.is_thread_frozen(tgid, tid, state),
        waits_in,
        exiting: state == TaskState::Zombie
            || stat.flags & EXITING != 0
            || status.sigpnd & KILL != 0,
    }
}

/// The processes of a container that the cgroup freezer holds.
#[derive(Debug, Default)]
struct Frozen<'a> {
    tree: Option<&'a Tree>,
    by_v2: BTreeSet<Tgid>,
}

impl<'a> Frozen<'a> {
    fn from_paths(tree: &'a Tree, paths: &[&str]) -> Self {
        let frozen = paths.iter().filter(|path| tree.is_frozen(path));
        Self {
            tree: Some(tree),
            by_v2: frozen.flat_map(|path| tree.processes(path)).collect(),
        }
    }

    fn is_thread_frozen(&self, tgid: Tgid, tid: u32, state: TaskState) -> bool {
        match state {
            TaskState::Zombie => false,
            // That is how a thread is shown that the freezer of cgroup v1 holds.
            TaskState::Uninterruptible
                if self.tree.is_some_and(|tree| tree.is_frozen_by_v1(tid)) =>
            {
                true
            }
            TaskState::Uninterruptible | TaskState::Alive | TaskState::Stopped => {
                self.by_v2.contains(&tgid)
            }
        }
    }
}

fn of_tgid(tgid: Tgid) -> Option<Process> {
    Process::new(i32::try_from(tgid.0).ok()?).ok()
}

fn was_started_at(process: &Process, start: Timestamp) -> bool {
    let started = process.stat().map(|stat| start_of(&stat));
    started.is_ok_and(|at| at.0.abs_diff(start.0) <= TICK_NS)
}

/// Its pid namespace; a zombie has one, too.
fn pid_namespace(process: &Process) -> Option<OsString> {
    let link = fs::read_link(format!("/proc/{}/ns/pid", process.pid()));
    Some(link.ok()?.into_os_string())
}
