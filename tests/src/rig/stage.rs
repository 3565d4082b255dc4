//! The stages between a runtime and the program in a container, each a process of its own:
//! `shim` (like containerd-shim, and like `runc exec` for hooks), `enter` (like `runc init`), `send` (like `runc kill`).

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};
use nix::sched::{CloneFlags, setns, unshare};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::rig::clock;
use crate::rig::root::{self, Root};

#[derive(Debug, Parser)]
struct Shim {
    /// Cgroup directories that the process enters.
    #[arg(long = "cgroup", required = true)]
    cgroups: Vec<PathBuf>,
    /// Give the process a pid namespace of its own, as its PID 1.
    #[arg(long)]
    unshare: bool,
    /// Put it into the pid namespace of this process.
    #[arg(long)]
    join: Option<u32>,
    /// A network namespace that it enters.
    #[arg(long)]
    network: Option<PathBuf>,
    /// Where what it prints goes.
    #[arg(long)]
    output: Option<PathBuf>,
    #[command(flatten)]
    rooted: Rooted,
    #[arg(last = true, required = true)]
    argv: Vec<OsString>,
}

/// The root that a process has, if it is not the machine's.
#[derive(Clone, Debug, clap::Args)]
struct Rooted {
    /// Trees that are laid over each other for its root, the uppermost first.
    #[arg(long = "tree", requires = "place")]
    trees: Vec<PathBuf>,
    /// An empty folder in which that is done.
    #[arg(long)]
    place: Option<PathBuf>,
    /// What of the machine is shown in it.
    #[arg(long = "shared")]
    shared: Vec<PathBuf>,
    /// The process whose root it gets.
    #[arg(long, conflicts_with = "trees")]
    join_root: Option<u32>,
}

impl Rooted {
    /// The same as options.
    fn add_to(&self, command: &mut Command) {
        for tree in &self.trees {
            command.arg("--tree").arg(tree);
        }
        if let Some(place) = &self.place {
            command.arg("--place").arg(place);
        }
        for path in &self.shared {
            command.arg("--shared").arg(path);
        }
        if let Some(pid) = self.join_root {
            command.arg("--join-root").arg(pid.to_string());
        }
    }

    /// Whether there is another root than the machine's.
    fn is_own(&self) -> bool {
        self.place.is_some() || self.join_root.is_some()
    }

    fn enter_root(self) -> Result<()> {
        match (self.place, self.join_root) {
            (Some(place), _) => Root {
                trees: self.trees,
                place,
                shared: self.shared,
            }
            .enter_root(),
            (None, Some(pid)) => root::join_namespaces(pid),
            (None, None) => Ok(()),
        }
    }
}

/// The environment of a process whose root is not the machine's.
const ENVIRONMENT: [(&str, &str); 3] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", "/root"),
    ("LC_ALL", "C.UTF-8"),
];

/// Starts a process in a container, says `started PID BEFORE`, waits, says `ended TIME STATUS`.
pub(crate) fn run_shim(args: Vec<OsString>) -> Result<ExitCode> {
    die_with_parent()?;
    let shim = Shim::parse_from(&args);
    if shim.unshare {
        unshare(CloneFlags::CLONE_NEWPID).context("cannot make a pid namespace; be root")?;
    }
    if let Some(pid) = shim.join {
        let path = format!("/proc/{pid}/ns/pid");
        let namespace = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        setns(namespace, CloneFlags::CLONE_NEWPID)
            .context("cannot join the container's pid namespace")?;
    }
    let me = PathBuf::from(args.first().context("no name")?);
    let mut enter = Command::new(me.with_file_name("enter"));
    for cgroup in &shim.cgroups {
        enter.arg("--cgroup").arg(cgroup);
    }
    if let Some(network) = &shim.network {
        enter.arg("--network").arg(network);
    }
    shim.rooted.add_to(&mut enter);
    enter
        .arg("--")
        .args(&shim.argv)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if let Some(path) = &shim.output {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        enter.stdout(file.try_clone()?).stderr(file);
    }
    let before = clock::now();
    let mut process = enter
        .spawn()
        .context("cannot start the container's process")?;
    print_line(&format!("started {} {}", process.id(), before.0))?;
    let status = process
        .wait()
        .context("cannot wait for the container's process")?;
    print_line(&format!("ended {} {}", clock::now().0, status.into_raw()))?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Parser)]
struct Enter {
    #[arg(long = "cgroup")]
    cgroups: Vec<PathBuf>,
    #[arg(long)]
    network: Option<PathBuf>,
    #[command(flatten)]
    rooted: Rooted,
    #[arg(last = true, required = true)]
    argv: Vec<OsString>,
}

/// Moves itself into the container's cgroup and network, and becomes the container's program.
pub(crate) fn run_enter(args: Vec<OsString>) -> Result<ExitCode> {
    die_with_parent()?;
    let enter = Enter::parse_from(args);
    // As runc does: a container that signals its process group must not reach the rig.
    rustix::process::setsid().context("cannot begin a session")?;
    for cgroup in &enter.cgroups {
        std::fs::write(cgroup.join("cgroup.procs"), "0")
            .with_context(|| format!("cannot enter cgroup {}", cgroup.display()))?;
    }
    if let Some(path) = &enter.network {
        let namespace =
            File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        setns(namespace, CloneFlags::CLONE_NEWNET)
            .context("cannot join the pod's network namespace")?;
    }
    let (program, args) = enter.argv.split_first().context("no program")?;
    let mut command = Command::new(program);
    command.args(args);
    if enter.rooted.is_own() {
        // Which also decides where the program is looked for.
        command.env_clear().envs(ENVIRONMENT);
        enter.rooted.enter_root()?;
    }
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// The system call that sends a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// kill(2): runc before 1.4.
    Kill,
    /// pidfd_send_signal(2): runc since 1.4, crun.
    Pidfd,
}

#[derive(Debug, Parser)]
struct Send {
    #[arg(long)]
    pid: i32,
    #[arg(long)]
    signal: i32,
    #[arg(long, default_value = "kill")]
    via: Via,
    /// How often.
    #[arg(long, default_value_t = 1)]
    times: u32,
}

/// Waits for a line, then sends a signal from this process of its own and says `sent BEFORE AFTER`. Without a line it
/// sends nothing.
pub(crate) fn run_send(args: Vec<OsString>) -> Result<ExitCode> {
    let send = Send::parse_from(args);
    let pid = Pid::from_raw(send.pid).context("pid 0 is nobody")?;
    let signal = Signal::from_named_raw(send.signal);
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).context("no such process")?;
    if std::io::stdin().read_line(&mut String::new())? == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let before = clock::now();
    let Some(signal) = signal else {
        return by_shell(&send, before);
    };
    for _ in 0..send.times {
        match send.via {
            Via::Kill => rustix::process::kill_process(pid, signal),
            Via::Pidfd => rustix::process::pidfd_send_signal(&pidfd, signal),
        }
        .context("cannot send the signal")?;
    }
    let after = clock::now();
    print_line(&format!("sent {} {}", before.0, after.0))?;
    Ok(ExitCode::SUCCESS)
}

/// Sends a real-time signal, of which the safe calls know nothing: becomes a shell, under the same name and with the same parent,
/// that does it. When it has done so it does not say.
fn by_shell(send: &Send, before: Timestamp) -> Result<ExitCode> {
    ensure!(
        (32..=64).contains(&send.signal),
        "there is no signal {}",
        send.signal
    );
    let me = PathBuf::from(std::env::args_os().next().context("no name")?);
    let name = me.file_name().context("no name")?;
    let folder = me.with_file_name(format!("shell-{}", std::process::id()));
    std::fs::create_dir(&folder).context("cannot make a folder for the shell")?;
    let shell = folder.join(name);
    symlink("/bin/bash", &shell).context("cannot link the shell")?;
    let (signal, pid, at) = (send.signal, send.pid, before.0);
    let script = format!("kill -{signal} {pid} && echo sent {at} {at}");
    let script = vec![script; usize::try_from(send.times)?].join("; ");
    let error = Command::new(&shell).args(["-c", &script]).exec();
    Err(error).context("cannot run a shell")
}

/// Whoever started us is gone: so are we. A killed test leaves no container behind.
fn die_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context("cannot ask to die with the parent")
}

/// One line for whoever started us.
fn print_line(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush().context("nobody listens")
}
