//! The worker as the benchmark sees it: a process in a cgroup that is told what to do, and what that took.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use gracewatch_tests::rig::cgroup::Cgroup;

use crate::work::{ROLE, Work};

/// What a work took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// By the clock on the wall.
    pub(crate) wall: Duration,
    /// CPU time of the worker and all its children, as the kernel accounts it to their cgroup.
    pub(crate) cpu: Duration,
}

/// A worker; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Worker {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    cgroup: Cgroup,
}

impl Worker {
    /// Starts one in this cgroup.
    pub(crate) fn start(cgroup: Cgroup, tiny: &Path) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut process = Command::new(program)
            .arg(ROLE)
            .args([&cgroup.directory(), tiny])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a worker")?;
        let orders = process.stdin.take();
        let answers = process.stdout.take().context("a worker has no output")?;
        let worker = Self {
            process,
            orders,
            answers: BufReader::new(answers),
            cgroup,
        };
        let pid = worker.process.id().to_string();
        worker.cgroup.write("cgroup.procs", &pid)?;
        Ok(worker)
    }

    /// Has it work, and waits.
    pub(crate) fn do_work(&mut self, work: Work) -> Result<Took> {
        let before = cpu_time(&self.cgroup)?;
        self.start_work(work)?;
        let wall = self.wait_for_work()?;
        let cpu = cpu_time(&self.cgroup)?.saturating_sub(before);
        Ok(Took { wall, cpu })
    }

    /// Has it begin to work, so that several can do so at once.
    pub(crate) fn start_work(&mut self, work: Work) -> Result<()> {
        let orders = self.orders.as_mut().context("a worker takes no orders")?;
        writeln!(orders, "{work}").context("a worker is gone")
    }

    /// Waits until what was begun is done.
    pub(crate) fn wait_for_work(&mut self) -> Result<Duration> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let nanoseconds = line.trim().parse().context("a worker ended")?;
        Ok(Duration::from_nanos(nanoseconds))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its orders is its end; and what is left of it falls with the cgroup.
        drop(self.orders.take());
        self.process.wait().ok();
    }
}

/// CPU time of a cgroup since it was made.
pub(crate) fn cpu_time(cgroup: &Cgroup) -> Result<Duration> {
    let path = cgroup.directory().join("cpu.stat");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let usage = text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "))
        .context("cpu.stat has no usage_usec")?;
    Ok(Duration::from_micros(usage.parse()?))
}
