//! `actor`: does one thing with signals inside a container, as its first argument says, and writes down when.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, exit};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Parser, Subcommand};
use nix::sys::signal::SigSet;
use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, kill_process, setrlimit};
use rustix::system::{RebootCommand, reboot};
use signal_hook::iterator::Signals;

use crate::rig::toolbox::Log;

#[derive(Debug, Parser)]
struct Actor {
    #[arg(long)]
    log: PathBuf,
    #[command(subcommand)]
    deed: Deed,
}

#[derive(Debug, Subcommand)]
enum Deed {
    /// It blocks the signal until one waits for it, lets it through without a handler, and stays.
    BlocksAWhile { signal: i32 },
    /// It blocks the signal and stays.
    Blocks { signal: i32 },
    /// Its own timer ends it.
    Alarm,
    /// It writes more to a file than it may.
    FileTooLarge,
    /// It sends itself this signal, for which it has no handler.
    Raises { signal: i32 },
    /// It sends this signal to that process, as often as this.
    Kills { pid: i32, signal: i32, times: u32 },
    /// It has this terminal for its own and handles SIGINT.
    OnTerminal { terminal: PathBuf },
    /// It powers off its pid namespace, of which it must be the init.
    PowersOff,
    /// It starts two children, one with a handler for SIGTERM and one without, and exits when SIGTERM comes.
    LeavesChildren,
    /// The same, but it kills the first child before it exits.
    KillsItsChild,
}

/// How long anything may take that should be immediate.
const SOON: Duration = Duration::from_secs(20);

/// The program, with a log: `ready`, and what else the deed says.
pub(crate) fn run_actor(args: Vec<OsString>) -> Result<ExitCode> {
    let actor = Actor::parse_from(&args);
    let log = Log::from_path(actor.log.clone());
    match actor.deed {
        Deed::BlocksAWhile { signal } => {
            let set = block_signal(signal)?;
            log.write("ready")?;
            while !has_pending()? {
                thread::sleep(Duration::from_millis(1));
            }
            set.thread_unblock().context("cannot unblock the signal")?;
            log.write("unblocked")?;
            forever()
        }
        Deed::Blocks { signal } => {
            block_signal(signal)?;
            log.write("ready")?;
            forever()
        }
        Deed::Alarm => {
            nix::unistd::alarm::set(1);
            log.write("ready")?;
            forever()
        }
        Deed::FileTooLarge => {
            without_core()?;
            log.write("ready")?;
            set_limit(Resource::Fsize, 0)?;
            // The log is a file, too.
            std::fs::write(actor.log.with_extension("large"), "x").context("the limit holds")?;
            bail!("it wrote more than it may")
        }
        Deed::Raises { signal } => {
            without_core()?;
            log.write("ready")?;
            kill_process(getpid(), self::signal(signal)?).context("cannot signal itself")?;
            bail!("it outlived its signal")
        }
        Deed::Kills { pid, signal, times } => {
            let pid = Pid::from_raw(pid).context("pid 0 is nobody")?;
            for _ in 0..times {
                kill_process(pid, self::signal(signal)?).context("cannot send the signal")?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Deed::OnTerminal { terminal } => on_terminal(&terminal, &log),
        Deed::PowersOff => power_off(),
        Deed::LeavesChildren => with_children(&actor.log, &log, false),
        Deed::KillsItsChild => with_children(&actor.log, &log, true),
    }
}

fn on_terminal(path: &Path, log: &Log) -> Result<ExitCode> {
    let mut signals = Signals::new([2]).context("cannot install a handler")?;
    // The first terminal that the leader of a session opens is the session's.
    let _terminal = File::options()
        .read(true)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    log.write("ready")?;
    for _signal in signals.forever() {
        log.write("signal")?;
    }
    forever()
}

/// Of the machine's own namespace it would be the machine: only an init of another one gets this far, since the
/// machine's is not started by the rig.
fn power_off() -> Result<ExitCode> {
    ensure!(
        getpid() == Pid::INIT,
        "only the init of a container may power off"
    );
    reboot(RebootCommand::PowerOff).context("cannot power off the namespace")?;
    bail!("it outlived its power-off")
}

fn with_children(path: &Path, log: &Log, kills: bool) -> Result<ExitCode> {
    let mut signals = Signals::new([15]).context("cannot install a handler")?;
    let mut handling = start_child(path)?;
    let _plain = Command::new(own_program()?.with_file_name("sleep"))
        .arg("600")
        .spawn()
        .context("cannot start a child")?;
    log.write("ready")?;
    signals.forever().next();
    if kills {
        handling.kill().context("cannot kill the child")?;
        handling.wait().context("cannot wait for the child")?;
    }
    exit(0)
}

/// Starts a child with a handler, and waits for it to be ready.
fn start_child(path: &Path) -> Result<Child> {
    let log = Log::from_path(path.with_extension("child"));
    let mut app = Command::new(own_program()?.with_file_name("app"));
    app.arg("--log").arg(log.path());
    app.args(["--on-stop", "never"]);
    let child = app.spawn().context("cannot start a child")?;
    log.wait_for("ready", SOON)?;
    Ok(child)
}

fn own_program() -> Result<PathBuf> {
    Ok(PathBuf::from(
        std::env::args_os().next().context("no name")?,
    ))
}

fn block_signal(number: i32) -> Result<SigSet> {
    let mut set = SigSet::empty();
    set.add(nix::sys::signal::Signal::try_from(number)?);
    set.thread_block().context("cannot block the signal")?;
    Ok(set)
}

/// Whether a signal waits for this process.
fn has_pending() -> Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc")?;
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("ShdPnd:"));
    Ok(u64::from_str_radix(mask.context("no ShdPnd")?.trim(), 16)? != 0)
}

fn without_core() -> Result<()> {
    set_limit(Resource::Core, 0)
}

fn set_limit(resource: Resource, value: u64) -> Result<()> {
    let limit = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    setrlimit(resource, limit).context("cannot set the limit")
}

fn signal(number: i32) -> Result<Signal> {
    Signal::from_named_raw(number).context("no such signal")
}

fn forever() -> ! {
    loop {
        thread::sleep(Duration::from_hours(1));
    }
}
