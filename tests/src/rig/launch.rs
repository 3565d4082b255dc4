//! A process put into a container from outside: its main process, or a hook.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::rig::cgroup::Cgroup;
use crate::rig::limit::V1Cgroup;
use crate::rig::root::Root;
use crate::rig::toolbox::Toolbox;

/// How long a process may take from its start to its program.
const START_LIMIT: Duration = Duration::from_secs(10);

/// What is started, and where.
#[derive(Clone, Debug)]
pub struct Launch {
    argv: Vec<OsString>,
    cgroups: Vec<PathBuf>,
    pids: Pids,
    network: Option<PathBuf>,
    rooted: Rooted,
    output: Option<PathBuf>,
}

/// What a process has for its root.
#[derive(Clone, Debug)]
enum Rooted {
    Machine,
    Own(Root),
    Of(u32),
}

#[derive(Clone, Copy, Debug)]
enum Pids {
    Own,
    Shared,
    Of(u32),
}

impl Launch {
    /// A container's main process: PID 1 of a namespace of its own.
    pub fn new(cgroup: &Cgroup, argv: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let argv = argv.into_iter().map(Into::into).collect();
        Self {
            argv,
            cgroups: vec![cgroup.directory()],
            pids: Pids::Own,
            network: None,
            rooted: Rooted::Machine,
            output: None,
        }
    }

    /// Gives it this root, in namespaces of its own.
    #[must_use]
    pub fn with_root(mut self, root: Root) -> Self {
        self.rooted = Rooted::Own(root);
        self
    }

    /// Gives it the root and the namespaces of that process.
    #[must_use]
    pub fn with_root_of(mut self, main: u32) -> Self {
        self.rooted = Rooted::Of(main);
        self
    }

    /// Appends what it prints to this file.
    #[must_use]
    pub fn printing_to(mut self, file: PathBuf) -> Self {
        self.output = Some(file);
        self
    }

    /// Leaves it in the machine's pid namespace.
    #[must_use]
    pub fn sharing_pids(mut self) -> Self {
        self.pids = Pids::Shared;
        self
    }

    /// Puts it into the pid namespace of that process, as `runc exec` does.
    #[must_use]
    pub fn joining(mut self, main: u32) -> Self {
        self.pids = Pids::Of(main);
        self
    }

    /// Puts it into these cgroups of v1 trees as well.
    #[must_use]
    pub fn and_v1<'a>(mut self, cgroups: impl IntoIterator<Item = &'a V1Cgroup>) -> Self {
        let directories = cgroups.into_iter().map(V1Cgroup::directory);
        self.cgroups.extend(directories.map(Path::to_owned));
        self
    }

    /// Puts it into the network namespace with this path.
    #[must_use]
    pub fn in_network(mut self, path: PathBuf) -> Self {
        self.network = Some(path);
        self
    }

    /// Starts it.
    pub fn start(&self, toolbox: &Toolbox) -> Result<Launched> {
        let mut command = Command::new(toolbox.program("shim"));
        for cgroup in &self.cgroups {
            command.arg("--cgroup").arg(cgroup);
        }
        if let Some(network) = &self.network {
            command.arg("--network").arg(network);
        }
        if let Some(output) = &self.output {
            command.arg("--output").arg(output);
        }
        self.rooted.add_to(&mut command);
        match self.pids {
            Pids::Own => drop(command.arg("--unshare")),
            Pids::Shared => {}
            Pids::Of(pid) => drop(command.arg("--join").arg(pid.to_string())),
        }
        command
            .arg("--")
            .args(&self.argv)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut shim = command.spawn().context("cannot start the shim")?;
        let stdout = shim.stdout.take().context("the shim has no output")?;
        let mut launched = Launched {
            pid: 0,
            started_after: Timestamp(0),
            shim,
            news: listen(stdout),
            ended: None,
        };
        let Some(News::Started { pid, before }) = launched.next(START_LIMIT)? else {
            bail!("the shim started nothing within {START_LIMIT:?}");
        };
        (launched.pid, launched.started_after) = (pid, before);
        Ok(launched)
    }
}

impl Rooted {
    fn add_to(&self, command: &mut Command) {
        match self {
            Self::Machine => {}
            Self::Own(root) => {
                for tree in &root.trees {
                    command.arg("--tree").arg(tree);
                }
                command.arg("--place").arg(&root.place);
                for path in &root.shared {
                    command.arg("--shared").arg(path);
                }
            }
            Self::Of(pid) => drop(command.arg("--join-root").arg(pid.to_string())),
        }
    }
}

/// How a process ended, as its parent learned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When its parent was told: a little after the exit.
    pub told_at: Timestamp,
    /// How.
    pub status: ExitStatus,
}

#[derive(Clone, Copy, Debug)]
enum News {
    Started { pid: u32, before: Timestamp },
    Ended(Ended),
}

/// A running process of a container. Dropping it ends it.
#[derive(Debug)]
pub struct Launched {
    pid: u32,
    started_after: Timestamp,
    shim: Child,
    news: Receiver<News>,
    ended: Option<Ended>,
}

impl Launched {
    /// Its pid on the machine.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Read from the clock just before it was started.
    pub fn started_after(&self) -> Timestamp {
        self.started_after
    }

    /// Stops its parent (by SIGSTOP), which does not wait for it from then on.
    pub fn stop_parent(&self) -> Result<()> {
        self.signal_parent(Signal::STOP)?;
        // The signal wakes it, and until it runs it may still learn of an exit.
        let path = format!("/proc/{}/stat", self.shim.id());
        let started = Instant::now();
        while !is_stopped(&std::fs::read_to_string(&path).context("the shim is gone")?) {
            ensure!(
                started.elapsed() < START_LIMIT,
                "the shim still runs {START_LIMIT:?} after SIGSTOP"
            );
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Lets its parent go on.
    pub fn continue_parent(&self) -> Result<()> {
        self.signal_parent(Signal::CONT)
    }

    fn signal_parent(&self, signal: Signal) -> Result<()> {
        let parent = Pid::from_child(&self.shim);
        kill_process(parent, signal).context("cannot signal the shim")
    }

    /// Waits until it runs its program, not the rig's stages any more.
    pub fn wait_exec(&self) -> Result<()> {
        let path = format!("/proc/{}/comm", self.pid);
        let started = Instant::now();
        loop {
            let comm =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            if !matches!(comm.trim_end(), "shim" | "enter") {
                return Ok(());
            }
            if started.elapsed() > START_LIMIT {
                bail!(
                    "process {} is still `{}` after {START_LIMIT:?}",
                    self.pid,
                    comm.trim_end()
                );
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for its end, at most so long.
    pub fn wait_at_most(&mut self, limit: Duration) -> Result<Option<Ended>> {
        if self.ended.is_none()
            && let Some(News::Ended(ended)) = self.next(limit)?
        {
            self.ended = Some(ended);
        }
        Ok(self.ended)
    }

    /// Waits for its end; an error if it takes longer than that.
    pub fn wait_end(&mut self, limit: Duration) -> Result<Ended> {
        self.wait_at_most(limit)?
            .with_context(|| format!("process {} is still there after {limit:?}", self.pid))
    }

    fn next(&mut self, limit: Duration) -> Result<Option<News>> {
        match self.news.recv_timeout(limit) {
            Ok(news) => Ok(Some(news)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the shim died; its words are above"),
        }
    }
}

impl Drop for Launched {
    /// Killing the shim is enough: the process dies with its parent, and with a PID 1 its whole namespace.
    fn drop(&mut self) {
        if self.ended.is_none() {
            drop(self.shim.kill());
        }
        drop(self.shim.wait());
    }
}

/// Whether the process with this `/proc/PID/stat` is stopped. Its name may hold parentheses.
fn is_stopped(stat: &str) -> bool {
    let rest = stat.rsplit_once(')').map(|(_name, rest)| rest);
    rest.is_some_and(|rest| rest.trim_start().starts_with('T'))
}

/// Reads what the shim says, line by line, on a thread that ends with the shim.
fn listen(stdout: ChildStdout) -> Receiver<News> {
    let (sender, receiver) = sync_channel(2);
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(news) = parse(&line)
                && sender.send(news).is_err()
            {
                return;
            }
        }
    });
    receiver
}

fn parse(line: &str) -> Option<News> {
    let mut words = line.split(' ');
    let (kind, first, second) = (words.next()?, words.next()?, words.next()?);
    match kind {
        "started" => Some(News::Started {
            pid: first.parse().ok()?,
            before: Timestamp(second.parse().ok()?),
        }),
        "ended" => {
            let status = ExitStatus::from_raw(second.parse().ok()?);
            Some(News::Ended(Ended {
                told_at: Timestamp(first.parse().ok()?),
                status,
            }))
        }
        _ => None,
    }
}
