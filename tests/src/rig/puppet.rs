//! `puppet`: a server that does nothing by itself. It is told every step over a Unix socket, so that a test knows the
//! order of what happened, and no sleep has to be long enough. SIGTERM and SIGQUIT it only writes to its log.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, ErrorKind, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketType, sockopt,
};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::rig::launch::{Launch, Launched};
use crate::rig::toolbox::{Log, Toolbox};

/// How long anything may take that a puppet is told.
const LIMIT: Duration = Duration::from_secs(20);

/// What a puppet is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Listen there; an IPv6 address takes IPv4 too.
    Listen { at: SocketAddr, backlog: i32 },
    /// Take so many connections from the first listener.
    Accept(usize),
    /// Connect to this address.
    Connect(SocketAddr),
    /// Read a line from every connection, and answer with a line.
    Answer,
    /// Write to every connection until it takes no more, and read nothing.
    Stuff,
    /// `shutdown(2)` both ways, and keep the sockets.
    ShutDown,
    /// Close all connections.
    Close,
    /// Close all connections by a reset: `SO_LINGER` with 0.
    Abort,
    /// Close all listeners.
    StopListening,
    /// Hand the first listener to the puppet that [`Order::Take`]s it there, and close it here then.
    Give(PathBuf),
    /// Take over a listener.
    Take(PathBuf),
    /// Exit with 0.
    Exit,
}

#[derive(Debug, Parser)]
struct Args {
    #[arg(long)]
    log: PathBuf,
    /// The Unix socket that orders come from.
    #[arg(long)]
    orders: PathBuf,
}

/// The program: `ready`, `signal` and `quit` in its log, and an answer to every order: `ok`, or what went wrong.
pub(crate) fn puppet(args: Vec<OsString>) -> Result<ExitCode> {
    let args = Args::parse_from(args);
    let log = Log::from_path(args.log);
    let mut signals = Signals::new([SIGTERM, SIGQUIT]).context("cannot install a handler")?;
    let orders = UnixStream::connect(&args.orders).context("nobody gives orders")?;
    let mut answers = orders.try_clone()?;
    log.write("ready")?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let word = if signal == SIGQUIT { "quit" } else { "signal" };
            log.write(word).ok();
        }
    });
    let mut held = Held::default();
    for line in BufReader::new(orders).lines() {
        let order: Order = serde_json::from_str(&line?)?;
        if matches!(order, Order::Exit) {
            std::process::exit(0);
        }
        let answer = match held.execute(order) {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("{error:#}").replace('\n', " "),
        };
        writeln!(answers, "{answer}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The sockets of a puppet.
#[derive(Debug, Default)]
struct Held {
    listeners: Vec<TcpListener>,
    connections: Vec<TcpStream>,
}

impl Held {
    fn execute(&mut self, order: Order) -> Result<()> {
        match order {
            Order::Listen { at, backlog } => self.listeners.push(listen(at, backlog)?),
            Order::Accept(count) => {
                let listener = self.listeners.first().context("no listener")?;
                for _ in 0..count {
                    self.connections.push(listener.accept()?.0);
                }
            }
            Order::Connect(to) => self.connections.push(TcpStream::connect(to)?),
            Order::Answer => {
                for mut connection in &self.connections {
                    read_line(connection)?;
                    connection.write_all(b"answer\n")?;
                }
            }
            Order::Stuff => {
                for connection in &self.connections {
                    fill_send_buffer(connection)?;
                }
            }
            Order::ShutDown => {
                for connection in &self.connections {
                    connection.shutdown(std::net::Shutdown::Both)?;
                }
            }
            Order::Close => self.connections.clear(),
            Order::Abort => {
                for connection in self.connections.drain(..) {
                    sockopt::set_socket_linger(connection, Some(Duration::ZERO))?;
                }
            }
            Order::StopListening => self.listeners.clear(),
            Order::Give(path) => {
                ensure!(!self.listeners.is_empty(), "no listener");
                let listener = self.listeners.remove(0);
                let door = UnixListener::bind(path)?;
                thread::spawn(move || hand_over(&listener, &door));
            }
            Order::Take(path) => self.listeners.push(receive_listener(&path)?),
            Order::Exit => {}
        }
        Ok(())
    }
}

/// By hand, since the library neither lets the backlog be chosen nor a listener take both families.
fn listen(at: SocketAddr, backlog: i32) -> Result<TcpListener> {
    let family = if at.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if at.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &at).with_context(|| format!("cannot bind {at}"))?;
    rustix::net::listen(&socket, backlog)?;
    Ok(socket.into())
}

/// Byte by byte: what follows the line stays in the kernel, where it is the point.
fn read_line(mut connection: &TcpStream) -> Result<()> {
    use std::io::Read as _;
    let mut byte = [0];
    while byte != *b"\n" {
        ensure!(connection.read(&mut byte)? == 1, "the peer closed");
    }
    Ok(())
}

fn fill_send_buffer(mut connection: &TcpStream) -> Result<()> {
    let block = vec![0; 1 << 16];
    connection.set_nonblocking(true)?;
    loop {
        match connection.write(&block) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error.into()),
        }
    }
    connection.set_nonblocking(false)?;
    Ok(())
}

fn hand_over(listener: &TcpListener, door: &UnixListener) -> Result<()> {
    let (peer, _) = door.accept()?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [listener.as_fd()];
    ensure!(
        control.push(SendAncillaryMessage::ScmRights(&fds)),
        "no room for a file descriptor"
    );
    rustix::net::sendmsg(
        &peer,
        &[IoSlice::new(b"!")],
        &mut control,
        SendFlags::empty(),
    )?;
    Ok(())
}

fn receive_listener(path: &Path) -> Result<TcpListener> {
    let peer = UnixStream::connect(path)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    rustix::net::recvmsg(
        &peer,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut fd: Option<OwnedFd> = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message {
            fd = fds.next();
        }
    }
    Ok(fd.context("no file descriptor came")?.into())
}

/// A puppet that runs in a container, seen from outside.
#[derive(Debug)]
pub struct Puppet {
    /// Its log: `ready`, `signal`, `quit`.
    pub log: Log,
    orders: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Puppet {
    /// The command line of the puppet with this name.
    pub fn command_line(toolbox: &Toolbox, name: &str) -> Vec<OsString> {
        vec![
            toolbox.program("puppet").into(),
            "--log".into(),
            toolbox.log(name).path().into(),
            "--orders".into(),
            toolbox.folder().join(format!("{name}.orders")).into(),
        ]
    }

    /// Starts it; `launch` has its [`Self::command_line`]. Gives its process, too.
    pub fn start(toolbox: &Toolbox, name: &str, launch: &Launch) -> Result<(Launched, Self)> {
        let path = toolbox.folder().join(format!("{name}.orders"));
        let door = UnixListener::bind(&path)
            .with_context(|| format!("cannot listen at {}", path.display()))?;
        let main = launch.start(toolbox)?;
        let log = toolbox.log(name);
        log.wait_for("ready", LIMIT)?;
        let (orders, _) = door.accept()?;
        orders.set_read_timeout(Some(LIMIT))?;
        let answers = BufReader::new(orders.try_clone()?);
        let puppet = Self {
            log,
            orders,
            answers,
        };
        Ok((main, puppet))
    }

    /// Gives an order and waits until it is carried out.
    pub fn send_order(&mut self, order: Order) -> Result<()> {
        let words = format!("a puppet was told {order:?}");
        writeln!(self.orders, "{}", serde_json::to_string(&order)?)?;
        if matches!(order, Order::Exit) {
            return Ok(());
        }
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .with_context(|| format!("{words}, and no answer came within {LIMIT:?}"))?;
        match answer.trim_end() {
            "ok" => Ok(()),
            problem => bail!("{words}: {problem}"),
        }
    }
}
