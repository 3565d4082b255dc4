//! What the storms consist of, and the process that makes them: this very program under another first argument. It
//! reads one work per line and answers how many nanoseconds that took.

mod connections;

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The first argument that makes this program a worker.
pub(crate) const ROLE: &str = "worker";

/// A fixed amount of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// So many processes: fork, exec, exit, one after another.
    Spawn(u32),
    /// So many times this signal to this process.
    Signal {
        number: i32,
        target: i32,
        times: u32,
    },
    /// So many cgroups inside the worker's own: made, entered, left, removed.
    Cgroups(u32),
    /// So many TCP connections over the loopback interface, one after another, of which the worker has both ends:
    /// closed on both.
    Connections(u32),
    /// The same, reset by one end.
    Resets(u32),
    /// So many attempts to connect to a port on which the worker listened before.
    Refusals(u32),
}

impl Work {
    /// How much of it there is.
    pub(crate) const fn amount(self) -> u32 {
        match self {
            Self::Spawn(amount)
            | Self::Cgroups(amount)
            | Self::Connections(amount)
            | Self::Resets(amount)
            | Self::Refusals(amount) => amount,
            Self::Signal { times, .. } => times,
        }
    }

    /// How many resets it makes, each sent by one end and received by the other.
    pub(crate) const fn resets(self) -> u64 {
        match self {
            Self::Resets(amount) | Self::Refusals(amount) => 2 * amount as u64,
            Self::Spawn(_) | Self::Signal { .. } | Self::Cgroups(_) | Self::Connections(_) => 0,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(processes) => write!(f, "spawn {processes}"),
            Self::Signal {
                number,
                target,
                times,
            } => write!(f, "signal {number} {target} {times}"),
            Self::Cgroups(cgroups) => write!(f, "cgroups {cgroups}"),
            Self::Connections(connections) => write!(f, "connections {connections}"),
            Self::Resets(connections) => write!(f, "resets {connections}"),
            Self::Refusals(attempts) => write!(f, "refusals {attempts}"),
        }
    }
}

impl FromStr for Work {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Ok(match words.as_slice() {
            ["spawn", processes] => Self::Spawn(processes.parse()?),
            ["signal", number, target, times] => Self::Signal {
                number: number.parse()?,
                target: target.parse()?,
                times: times.parse()?,
            },
            ["cgroups", cgroups] => Self::Cgroups(cgroups.parse()?),
            ["connections", connections] => Self::Connections(connections.parse()?),
            ["resets", connections] => Self::Resets(connections.parse()?),
            ["refusals", attempts] => Self::Refusals(attempts.parse()?),
            _ => bail!("no such work: {line}"),
        })
    }
}

/// Plays the worker, if that is what this program was started for.
pub(crate) fn run_as_worker() -> Option<Result<()>> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != ROLE {
        return None;
    }
    let (cgroup, tiny) = (PathBuf::from(args.next()?), PathBuf::from(args.next()?));
    Some(serve_orders(&cgroup, &tiny))
}

fn serve_orders(cgroup: &Path, tiny: &Path) -> Result<()> {
    stay_on_this_cpu()?;
    for line in std::io::stdin().lines() {
        let work: Work = line?.parse()?;
        let started = Instant::now();
        match work {
            Work::Spawn(processes) => spawn_processes(tiny, processes),
            Work::Signal {
                number,
                target,
                times,
            } => send_signals(number, target, times),
            Work::Cgroups(cgroups) => make_and_remove(cgroup, cgroups),
            Work::Connections(amount) => connections::close_connections(amount),
            Work::Resets(amount) => connections::reset_connections(amount),
            Work::Refusals(amount) => connections::refuse(amount),
        }
        .with_context(|| format!("`{work}` went wrong"))?;
        println!("{}", started.elapsed().as_nanos());
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// With its children: where the kernel puts them otherwise is the largest part of the noise.
fn stay_on_this_cpu() -> Result<()> {
    let mut allowed = sched_getaffinity(None)?;
    // Any one would do.
    let last = (0..CpuSet::MAX_CPU).rfind(|cpu| allowed.is_set(*cpu));
    allowed.clear();
    allowed.set(last.context("this process may run nowhere")?);
    sched_setaffinity(None, &allowed).context("cannot stay on one CPU")
}

fn spawn_processes(tiny: &Path, processes: u32) -> Result<()> {
    let mut command = Command::new(tiny);
    command
        .env_clear()
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit());
    for _ in 0..processes {
        let status = command.status()?;
        ensure!(status.success(), "a process of the storm ended: {status}");
    }
    Ok(())
}

fn send_signals(number: i32, target: i32, times: u32) -> Result<()> {
    let signal = Signal::from_named_raw(number).context("no such signal")?;
    let target = Pid::from_raw(target).context("no such process")?;
    for _ in 0..times {
        kill_process(target, signal)?;
    }
    Ok(())
}

fn make_and_remove(cgroup: &Path, cgroups: u32) -> Result<()> {
    let child = cgroup.join("child");
    let (inside, outside) = (child.join("cgroup.procs"), cgroup.join("cgroup.procs"));
    for _ in 0..cgroups {
        fs::create_dir(&child)?;
        fs::write(&inside, "0")?;
        fs::write(&outside, "0")?;
        fs::remove_dir(&child)?;
    }
    Ok(())
}
