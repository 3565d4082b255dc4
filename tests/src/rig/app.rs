//! What runs inside the containers: `app`, which does with its stop signal what it is told to and
//! writes down when, `sleep`, which does nothing about signals, `hog`, which eats memory, and `stray`, which
//! leaves a process behind.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio, exit};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use nix::sys::signal::SigSet;
use rustix::process::{Pid, Signal, getpid, getppid, kill_process};
use signal_hook::iterator::Signals;

use crate::rig::toolbox::Log;

/// What `app` does when its stop signal comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnStop {
    /// A handler; then it exits after `--takes`.
    Exit,
    /// A handler that only takes note.
    Never,
    /// It blocks the signal, fetches it by sigwait, and exits after `--takes`.
    Sigwait,
    /// A handler; then, with the default handler again, it sends itself the signal twice and exits with 2, as Go's
    /// runtime does after a signal that it was told to forward.
    SelfRaise,
    /// No handler.
    Default,
}

/// How `app` ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum End {
    /// It exits with `--code`.
    Exit,
    /// It calls abort(3).
    Abort,
    /// A child of its own kills it.
    KilledByChild,
}

#[derive(Debug, Parser)]
struct App {
    #[arg(long)]
    log: PathBuf,
    #[arg(long, value_enum, default_value = "exit")]
    on_stop: OnStop,
    #[arg(long, default_value_t = 15)]
    signal: i32,
    /// Milliseconds from the stop signal to the exit.
    #[arg(long, default_value_t = 0)]
    takes: u64,
    /// Status of the exit.
    #[arg(long, default_value_t = 0)]
    code: i32,
    /// Milliseconds after which it ends by itself.
    #[arg(long)]
    lifetime: Option<u64>,
    #[arg(long, value_enum, default_value = "exit")]
    end: End,
    /// A cgroup directory that it moves on to.
    #[arg(long)]
    move_to: Option<PathBuf>,
    /// How many children it starts and waits for, before it is ready.
    #[arg(long, default_value_t = 0)]
    forks: u32,
    /// How many stop signals it sends to a child of its own that handles them, before it kills that child and is ready.
    #[arg(long, default_value_t = 0)]
    signals: u32,
}

/// The program with a log: `start`, `ready`, `signal`, `exit`.
pub(crate) fn run_app(args: Vec<OsString>) -> Result<ExitCode> {
    let app = App::parse_from(&args);
    let log = Log::from_path(app.log.clone());
    if app.on_stop == OnStop::SelfRaise && std::env::var_os(RAISED).is_some() {
        return raise_twice(app.signal);
    }
    log.write("start")?;
    if let Some(cgroup) = &app.move_to {
        std::fs::write(cgroup.join("cgroup.procs"), "0")
            .with_context(|| format!("cannot move to {}", cgroup.display()))?;
    }
    make_noise(&app)?;
    if let (Some(lifetime), OnStop::Default) = (app.lifetime, app.on_stop) {
        // One thread only, so that its end is the process's.
        log.write("ready")?;
        thread::sleep(Duration::from_millis(lifetime));
        end_by_itself(&log, app.end, app.code)?;
    } else if let Some(lifetime) = app.lifetime {
        let (log, end, code) = (log.clone(), app.end, app.code);
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(lifetime));
            end_by_itself(&log, end, code)
        });
    }
    match app.on_stop {
        OnStop::Exit | OnStop::Never | OnStop::SelfRaise => handle(&app, &log, &args),
        OnStop::Sigwait => fetch_signal(&app, &log),
        OnStop::Default => {
            log.write("ready")?;
            forever()
        }
    }
}

/// Set when `app` was started again to send itself signals with no handler in place.
const RAISED: &str = "GRACEWATCH_RIG_RAISED";

/// Installs a handler and acts on each stop signal.
fn handle(app: &App, log: &Log, args: &[OsString]) -> Result<ExitCode> {
    let mut signals = Signals::new([app.signal]).context("cannot install a handler")?;
    log.write("ready")?;
    for _signal in signals.forever() {
        log.write("signal")?;
        match app.on_stop {
            OnStop::Exit => exit_after_delay(app, log)?,
            OnStop::SelfRaise => {
                // An exec is the one safe way back to the default handler.
                let (name, rest) = args.split_first().context("no name")?;
                let error = Command::new(name).args(rest).env(RAISED, "1").exec();
                return Err(error).context("cannot start again");
            }
            OnStop::Never | OnStop::Sigwait | OnStop::Default => {}
        }
    }
    forever()
}

/// Blocks the signal and fetches it.
fn fetch_signal(app: &App, log: &Log) -> Result<ExitCode> {
    let signal = nix::sys::signal::Signal::try_from(app.signal)?;
    let mut set = SigSet::empty();
    set.add(signal);
    set.thread_block().context("cannot block the signal")?;
    log.write("ready")?;
    set.wait().context("cannot wait for the signal")?;
    log.write("signal")?;
    exit_after_delay(app, log)?;
    forever()
}

fn exit_after_delay(app: &App, log: &Log) -> Result<()> {
    thread::sleep(Duration::from_millis(app.takes));
    log.write("exit")?;
    exit(app.code)
}

fn raise_twice(signal: i32) -> Result<ExitCode> {
    let signal = Signal::from_named_raw(signal).context("no such signal")?;
    for _ in 0..2 {
        kill_process(getpid(), signal).context("cannot signal itself")?;
    }
    exit(2)
}

fn end_by_itself(log: &Log, end: End, code: i32) -> Result<()> {
    log.write("exit")?;
    match end {
        End::Exit => exit(code),
        End::Abort => std::process::abort(),
        End::KilledByChild => {
            let me = std::env::args_os().next().context("no name")?;
            let mut child = Command::new(PathBuf::from(me).with_file_name("send"));
            child.args(["--pid", &std::process::id().to_string(), "--signal", "9"]);
            let mut child = child
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .context("cannot start the child that kills")?;
            writeln!(child.stdin.take().context("no input")?)
                .context("cannot tell the child to kill")?;
            child
                .wait()
                .context("cannot wait for the child that kills")?;
            Ok(())
        }
    }
}

/// Starts children and signals them, as busy programs do.
fn make_noise(app: &App) -> Result<()> {
    let me = PathBuf::from(std::env::args_os().next().context("no name")?);
    for _ in 0..app.forks {
        Command::new(me.with_file_name("sleep"))
            .arg("0")
            .status()
            .context("cannot start a child")?;
    }
    if app.signals > 0 {
        let log = Log::from_path(app.log.with_extension("child"));
        let mut child = Command::new(me);
        child
            .arg("--log")
            .arg(log.path())
            .args(["--on-stop", "never"]);
        let mut child = child.spawn().context("cannot start a child")?;
        log.wait_for("ready", Duration::from_secs(20))?;
        let pid = Pid::from_child(&child);
        let signal = Signal::from_named_raw(app.signal).context("no such signal")?;
        for _ in 0..app.signals {
            kill_process(pid, signal).context("cannot signal the child")?;
        }
        child.kill().context("cannot end the child")?;
        child.wait().context("cannot wait for the child")?;
    }
    Ok(())
}

/// `sleep SECONDS`, for machines that have no other program than this one.
pub(crate) fn run_sleep(args: Vec<OsString>) -> Result<ExitCode> {
    let seconds = args
        .get(1)
        .and_then(|arg| arg.to_str())
        .context("how many seconds?")?;
    thread::sleep(Duration::from_secs_f64(
        seconds.parse().context("not a number of seconds")?,
    ));
    Ok(ExitCode::SUCCESS)
}

/// `hog MEBIBYTES`: takes that much memory, writes to it, and stays.
pub(crate) fn run_hog(args: Vec<OsString>) -> Result<ExitCode> {
    let mebibytes: usize = args
        .get(1)
        .and_then(|arg| arg.to_str())
        .context("how many MiB?")?
        .parse()?;
    let mut held = Vec::new();
    for _ in 0..mebibytes {
        held.push(vec![1_u8; 1 << 20]);
    }
    std::hint::black_box(&held);
    forever()
}

/// `stray STATUS`: exits, and leaves a process behind that was forked, calls no exec, and exits with that status once
/// it has another parent.
pub(crate) fn run_stray(args: Vec<OsString>) -> Result<ExitCode> {
    let status = args
        .get(1)
        .and_then(|arg| arg.to_str())
        .context("which status?")?
        .parse::<u8>()?;
    let parent = getpid();
    nix::unistd::daemon(true, true).context("cannot fork")?;
    while getppid() == Some(parent) {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(ExitCode::from(status))
}

fn forever() -> ! {
    loop {
        thread::sleep(Duration::from_hours(1));
    }
}
