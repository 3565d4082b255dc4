//! What runs in the containers: `program --log FILE BEHAVIOUR`, which does what it is told, and writes down when.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, ExitCode, exit};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser;
use gracewatch_tests::rig::toolbox::Log;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::process::{Pid, kill_process};
use signal_hook::iterator::Signals;

use crate::case::{Behaviour, Child, Eat, How, Mask, Reaction, Then, Treatment};

/// Its name.
pub(crate) const NAME: &str = "program";

/// The first line of its log.
pub(crate) const START: &str = "start";
/// It is ready: its handlers are there.
pub(crate) const READY: &str = "ready";

/// How long a child may take to be ready.
const SOON: Duration = Duration::from_secs(20);

#[derive(Debug, Parser)]
struct Args {
    #[arg(long)]
    log: PathBuf,
    behaviour: String,
}

/// A child, and what becomes of it at the end.
#[derive(Debug)]
struct Started {
    process: Process,
    treatment: Treatment,
}

/// A running program.
#[derive(Clone, Debug)]
struct Program {
    log: Log,
    children: Arc<Mutex<Vec<Started>>>,
}

/// The program.
pub(crate) fn program(args: Vec<OsString>) -> Result<ExitCode> {
    let args = Args::parse_from(args);
    let behaviour: Behaviour = serde_json::from_str(&args.behaviour).context("no behaviour")?;
    let program = Program {
        log: Log::from_path(args.log.clone()),
        children: Arc::default(),
    };
    program.log.write(START)?;
    let fetched = behaviour.fetches.iter().map(|reaction| reaction.signal);
    let blocked = signal_set(fetched.chain(behaviour.blocks.iter().copied()))?;
    // What the program before it blocked is not what it blocks.
    blocked.thread_set_mask().context("cannot block signals")?;
    program.start_children(&behaviour.children, &args.log)?;
    program.handle(&behaviour.handles)?;
    program.fetch_signals(&behaviour.fetches)?;
    for _ in 0..behaviour.threads {
        thread::spawn(forever);
    }
    if behaviour.serves {
        program.serve_connections()?;
    }
    program.log.write(READY)?;
    program.schedule(&behaviour, &args.log);
    match (behaviour.masks, behaviour.spawns_every_ms) {
        (Some(mask), _) => program.block_signals_repeatedly(mask),
        (None, Some(every)) => spawn_processes(every),
        (None, None) => forever(),
    }
}

impl Program {
    /// What it does by itself.
    fn schedule(&self, behaviour: &Behaviour, log: &Path) {
        let program = self.clone();
        if let Some(end) = behaviour.ends {
            let program = program.clone();
            run_later(end.after_ms, move || {
                if end.how == How::Alarm {
                    // From then on it waits for its own timer.
                    nix::unistd::alarm::set(1);
                } else {
                    program.end_process(end.how, None);
                }
            });
        }
        if let Some(eat) = behaviour.eats {
            let program = program.clone();
            run_later(eat.after_ms, move || program.consume_memory(eat));
        }
        if let Some(exec) = behaviour.execs.clone() {
            let log = log.to_owned();
            run_later(exec.after_ms, move || program.exec_next(&exec.then, &log));
        }
    }

    fn start_children(&self, children: &[Child], log: &Path) -> Result<()> {
        for (number, child) in children.iter().enumerate() {
            let log = log.with_extension(format!("child{number}"));
            let react = |then: Then| Reaction { signal: 15, then };
            let behaviour = Behaviour {
                handles: child.on_term.map(react).into_iter().collect(),
                ..Behaviour::default()
            };
            let mut process = own_command()?;
            process.arg("--log").arg(&log);
            process.arg(serde_json::to_string(&behaviour)?);
            let process = process.spawn().context("cannot start a child")?;
            Log::from_path(log).wait_for(READY, SOON)?;
            self.children().push(Started {
                process,
                treatment: child.treatment,
            });
        }
        Ok(())
    }

    fn children(&self) -> std::sync::MutexGuard<'_, Vec<Started>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, reactions: &[Reaction]) -> Result<()> {
        if reactions.is_empty() {
            return Ok(());
        }
        let numbers = reactions
            .iter()
            .map(|reaction| reaction.signal.cast_signed());
        let mut signals = Signals::new(numbers).context("cannot install handlers")?;
        let (program, reactions) = (self.clone(), reactions.to_vec());
        thread::spawn(move || {
            for signal in signals.forever() {
                program.react_to(&reactions, signal.cast_unsigned());
            }
        });
        Ok(())
    }

    fn fetch_signals(&self, reactions: &[Reaction]) -> Result<()> {
        if reactions.is_empty() {
            return Ok(());
        }
        let fetched = signal_set(reactions.iter().map(|reaction| reaction.signal))?;
        let (program, reactions) = (self.clone(), reactions.to_vec());
        thread::spawn(move || {
            while let Ok(signal) = fetched.wait() {
                program.react_to(&reactions, (signal as i32).cast_unsigned());
            }
        });
        Ok(())
    }

    fn react_to(&self, reactions: &[Reaction], signal: u32) {
        self.log.write(&format!("signal {signal}")).ok();
        let found = reactions.iter().find(|reaction| reaction.signal == signal);
        let program = self.clone();
        match found.map(|reaction| reaction.then) {
            None | Some(Then::Note) => {}
            Some(Then::Exit { after_ms, code }) => {
                run_later(after_ms, move || {
                    program.end_process(How::Code(code), Some(signal));
                });
            }
            Some(Then::Abort { after_ms }) => {
                run_later(after_ms, move || {
                    program.end_process(How::Abort, Some(signal));
                });
            }
        }
    }

    /// Ends it, because of this signal or by itself. Only one thread gets through.
    fn end_process(&self, how: How, because: Option<u32>) {
        let mut children = self.children();
        let why = because.map_or_else(|| "itself".to_owned(), |signal| signal.to_string());
        self.log.write(&format!("because {why}")).ok();
        for child in children.iter_mut() {
            treat_child(child, &self.log);
        }
        self.log.write("exit").ok();
        match how {
            How::Code(code) => exit(code.into()),
            How::Abort => {
                self.log.write("aborts").ok();
                std::process::abort()
            }
            How::Alarm => {}
        }
    }

    fn exec_next(&self, then: &Behaviour, log: &Path) {
        self.log.write("exec").ok();
        let Ok((mut command, text)) =
            own_command().and_then(|me| Ok((me, serde_json::to_string(then)?)))
        else {
            exit(124);
        };
        let error = command.arg("--log").arg(log).arg(text).exec();
        self.log.write(&format!("no exec: {error}")).ok();
        exit(124)
    }

    fn consume_memory(&self, eat: Eat) {
        self.log.write("eats").ok();
        if eat.by_child {
            let eater =
                own_command().map(|me| PathBuf::from(me.get_program()).with_file_name("hog"));
            let status = eater.and_then(|hog| Ok(Command::new(hog).arg("256").status()?));
            self.log.write(&format!("the eater ended: {status:?}")).ok();
            return;
        }
        let mut held = Vec::new();
        for _ in 0..256 {
            held.push(vec![1_u8; 1 << 20]);
        }
        std::hint::black_box(&held);
        forever()
    }

    fn serve_connections(&self) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        self.log
            .write(&format!("port {}", listener.local_addr()?.port()))?;
        thread::spawn(move || {
            let mut taken = Vec::new();
            while let Ok((connection, _)) = listener.accept() {
                taken.push(connection);
            }
        });
        Ok(())
    }

    /// Blocks everything for a moment, again and again.
    fn block_signals_repeatedly(&self, mask: Mask) -> Result<ExitCode> {
        let all = SigSet::all();
        loop {
            thread::sleep(Duration::from_millis(mask.every_ms));
            self.log.write("masking")?;
            let before = all.thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
            self.log.write("masked")?;
            thread::sleep(Duration::from_millis(mask.for_ms));
            self.log.write("unmasking")?;
            before.thread_set_mask()?;
            self.log.write("unmasked")?;
        }
    }
}

/// What becomes of a child before its parent exits.
fn treat_child(child: &mut Started, log: &Log) {
    match child.treatment {
        Treatment::Left => {}
        Treatment::Killed => kill_child(child, log),
        Treatment::Stopped { within_ms } => {
            kill_process(
                Pid::from_child(&child.process),
                rustix::process::Signal::TERM,
            )
            .ok();
            let started = Instant::now();
            while started.elapsed() < Duration::from_millis(within_ms) {
                if child.process.try_wait().is_ok_and(|ended| ended.is_some()) {
                    return;
                }
                thread::sleep(Duration::from_millis(2));
            }
            kill_child(child, log);
        }
    }
}

fn kill_child(child: &mut Started, log: &Log) {
    // A child that died before is not killed.
    if child.process.try_wait().is_ok_and(|ended| ended.is_none()) {
        log.write("kills").ok();
        child.process.kill().ok();
        // It may have exited at that very moment.
        let ended = child.process.wait().ok();
        if ended.and_then(|status| status.signal()) == Some(9) {
            log.write("killed").ok();
        }
    }
}

/// Starts processes of short life.
fn spawn_processes(every_ms: u64) -> Result<ExitCode> {
    let sleep = PathBuf::from(own_command()?.get_program()).with_file_name("sleep");
    loop {
        thread::sleep(Duration::from_millis(every_ms));
        Command::new(&sleep).arg("0").status().ok();
    }
}

fn run_later(after_ms: u64, act: impl FnOnce() + Send + 'static) {
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(after_ms));
        act();
    });
}

fn own_command() -> Result<Command> {
    let name = std::env::args_os().next().context("no name")?;
    Ok(Command::new(name))
}

fn signal_set(numbers: impl IntoIterator<Item = u32>) -> Result<SigSet> {
    let mut set = SigSet::empty();
    for number in numbers {
        set.add(Signal::try_from(number.cast_signed()).context("no such signal")?);
    }
    Ok(set)
}

fn forever() -> ! {
    loop {
        thread::sleep(Duration::from_hours(1));
    }
}
