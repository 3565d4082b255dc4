//! The server. It answers each line with its host's name, which is its pod's.

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

/// How often a connection and the listener look whether they are to end.
const POLL: Duration = Duration::from_millis(20);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where.
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// What it does upon SIGTERM.
    #[arg(long, value_enum, default_value = "exit")]
    on_stop: OnStop,
    /// Read only the first request of a connection: what comes after it stays in the socket.
    #[arg(long)]
    deaf: bool,
    /// Made once it listens, for a readiness probe that makes no connection.
    #[arg(long, value_name = "FILE")]
    ready: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnStop {
    /// It exits at once.
    Exit,
    /// It stops listening, ends each connection as soon as nothing is unanswered, and exits then.
    Drain,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut signals = Signals::new([SIGTERM]).context("cannot install a handler")?;
    let stopping = Arc::new(AtomicBool::new(false));
    let (flag, on_stop) = (Arc::clone(&stopping), args.on_stop);
    thread::spawn(move || {
        for _signal in signals.forever() {
            if on_stop == OnStop::Exit {
                exit(0);
            }
            flag.store(true, Ordering::Relaxed);
        }
    });
    let listener = TcpListener::bind(args.listen).context("cannot listen")?;
    listener.set_nonblocking(true)?;
    if let Some(path) = &args.ready {
        std::fs::write(path, "").with_context(|| format!("cannot write {}", path.display()))?;
    }
    for connection in accept(listener, args.deaf, &stopping)? {
        // Its own errors were its client's doing.
        connection.join().ok();
    }
    Ok(())
}

/// Accepts until it is to stop; the listener is closed then.
fn accept(
    listener: TcpListener,
    deaf: bool,
    stopping: &Arc<AtomicBool>,
) -> Result<Vec<JoinHandle<()>>> {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let mut connections: Vec<JoinHandle<()>> = Vec::new();
    while !stopping.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _peer)) => {
                let (name, stopping) = (name.clone(), Arc::clone(stopping));
                connections.retain(|one| !one.is_finished());
                connections.push(thread::spawn(move || {
                    // The client went away.
                    answer(stream, &name, deaf, &stopping).ok();
                }));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_for_client(&listener)?,
            Err(error) => return Err(error).context("cannot accept"),
        }
    }
    drop(listener);
    Ok(connections)
}

/// Waits until somebody comes, or for a moment.
fn wait_for_client(listener: &TcpListener) -> Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let moment = Timespec {
        tv_sec: 0,
        tv_nsec: POLL.subsec_nanos().into(),
    };
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    match poll(&mut fds, Some(&moment)) {
        Ok(_ready) => Ok(()),
        Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error).context("cannot wait for connections"),
    }
}

/// Answers a connection's requests until its client ends it, or until it is to stop and there is none unanswered.
fn answer(stream: TcpStream, name: &str, deaf: bool, stopping: &AtomicBool) -> Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(POLL))?;
    let mut requests = BufReader::new(&stream);
    let mut request = Vec::new();
    loop {
        match requests.read_until(b'\n', &mut request) {
            Ok(0) => return Ok(()),
            Ok(_some) if request.ends_with(b"\n") => {
                request.clear();
                (&stream).write_all(format!("{name}\n").as_bytes())?;
                if deaf {
                    stay_open();
                }
            }
            Ok(_some) => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if stopping.load(Ordering::Relaxed) && request.is_empty() {
                    return Ok(());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Never closes the connection.
fn stay_open() -> ! {
    loop {
        thread::park();
    }
}
