//! What is left of a container whose main process has exited, or should have.

use serde::{Deserialize, Serialize};

use crate::event::Tgid;

/// What was found in `/proc` at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remaining {
    /// The main process, if it is there still: not reaped, or not at the end of its exit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main: Option<Task>,
    /// If the main process is there and is exiting: its threads that are there, and the other processes of the pid namespace
    /// whose init it is. If it is gone: the processes in the container's cgroups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Task>,
    /// How many more of those there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A process, or one thread of the main process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its thread id in the initial pid namespace; a process has that of its first thread.
    pub tid: u32,
    /// Its thread group id.
    pub tgid: Tgid,
    /// Its `comm`.
    pub comm: String,
    /// Its parent.
    pub parent_tgid: Tgid,
    /// Its parent's `comm`.
    pub parent_comm: String,
    /// Its state, as `/proc/PID/stat` shows it.
    pub state: TaskState,
    /// Whether the cgroup freezer holds it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
    /// The function of the kernel in which it waits (`/proc/PID/wchan`); empty where that is not shown.
    pub waits_in: String,
    /// Whether it has begun to exit, or SIGKILL waits for it: each thread of a process that exits is sent one.
    pub exiting: bool,
}

/// The state of a task, as far as it matters here
/// (<https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// `R`, `S`, `I` and all others that need no word.
    Alive,
    /// `D`: it waits, and no signal wakes it.
    Uninterruptible,
    /// `T`, `t`: stopped by a signal or a debugger.
    Stopped,
    /// `Z`, `X`: it has exited, and its parent has not waited for it.
    Zombie,
}

impl From<char> for TaskState {
    fn from(letter: char) -> Self {
        match letter {
            'D' => Self::Uninterruptible,
            'T' | 't' => Self::Stopped,
            'Z' | 'X' => Self::Zombie,
            _ => Self::Alive,
        }
    }
}
