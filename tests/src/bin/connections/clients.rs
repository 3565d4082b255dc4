//! Clients, and what they met: the second observer.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use gracewatch_tests::rig::network::Namespace;
use gracewatch_tests::rig::puppet::Order;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::pod::{Pod, Server};

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Until a client's kernel has acknowledged the server's FIN, which it may delay (200 ms at the most). Only then nothing but
/// TIME_WAIT is left of a socket that the server closed.
pub(crate) const ACKNOWLEDGED: Duration = Duration::from_millis(300);

/// What clients met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Met {
    /// Connections that were reset while they were open, by the error of the socket.
    pub(crate) reset: u64,
    /// Attempts that were refused.
    pub(crate) refused: u64,
    /// Connections that were established after the stop signal.
    pub(crate) accepted_after: u64,
    /// Connections that the clients themselves reset.
    pub(crate) aborted: u64,
}

/// Connects so many clients.
pub(crate) fn connect(pod: &Pod<'_>, count: usize) -> Result<Vec<TcpStream>> {
    connect_to(pod, pod.address(), count)
}

/// Connects so many clients, whom the server takes.
pub(crate) fn connect_accepted(
    pod: &Pod<'_>,
    server: &mut Server<'_>,
    count: usize,
) -> Result<Vec<TcpStream>> {
    let clients = connect(pod, count)?;
    server.send_order(Order::Accept(count))?;
    Ok(clients)
}

/// Connects so many clients to this address.
pub(crate) fn connect_to(pod: &Pod<'_>, to: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    let one = |_| {
        let client = pod.connect(to)?.context("a client cannot connect")?;
        client.set_read_timeout(Some(ANSWER_LIMIT))?;
        Ok(client)
    };
    (0..count).map(one).collect()
}

/// Tries to connect so often; how often it was refused. Anything else is an error.
pub(crate) fn refused(pod: &Pod<'_>, to: SocketAddr, count: u64) -> Result<u64> {
    let mut refused = 0;
    for _ in 0..count {
        match pod.connect(to)? {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => refused += 1,
            Err(error) => bail!("a client was not refused, but met: {error}"),
            Ok(_) => bail!("a client was not refused, but connected"),
        }
    }
    Ok(refused)
}

/// Begins to connect, and does not wait for it.
pub(crate) fn start_connect(from: &Namespace, to: SocketAddr) -> Result<OwnedFd> {
    from.run(|| {
        let family = if to.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        match rustix::net::connect(&socket, &to) {
            Err(Errno::INPROGRESS) => Ok(socket),
            other => bail!("a connection did not begin: {other:?}"),
        }
    })?
}

/// Says something on each.
pub(crate) fn send_words(clients: &[TcpStream], words: &str) -> Result<()> {
    for mut client in clients {
        client
            .write_all(words.as_bytes())
            .context("a client cannot write")?;
    }
    Ok(())
}

/// Takes the puppet's answer from each.
pub(crate) fn receive_answers(clients: &[TcpStream]) -> Result<()> {
    for mut client in clients {
        let mut answer = [0; 7];
        client
            .read_exact(&mut answer)
            .context("a client got no answer")?;
        ensure!(answer == *b"answer\n", "a client got another answer");
    }
    Ok(())
}

/// Waits until each was closed by the server, and reads no byte before that.
pub(crate) fn hear_end(clients: &[TcpStream]) -> Result<()> {
    for mut client in clients {
        let read = client.read(&mut [0]).context("a client was not closed")?;
        ensure!(read == 0, "a client got data in the place of the end");
    }
    Ok(())
}

/// How many of these sockets have the error of a reset: while it was established, or after the server's FIN.
pub(crate) fn resets(clients: &[TcpStream]) -> Result<u64> {
    let mut count = 0;
    for client in clients {
        match client.take_error()?.map(|error| error.kind()) {
            None => {}
            Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => count += 1,
            Some(other) => bail!("a client met another error than a reset: {other}"),
        }
    }
    Ok(count)
}

/// How many of these attempts were refused, after waiting for an answer to each.
pub(crate) fn wait_refused(attempts: Vec<OwnedFd>) -> Result<u64> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Timespec::try_from(ANSWER_LIMIT)?;
    let mut count = 0;
    for attempt in attempts {
        let mut waiting = [PollFd::new(&attempt, PollFlags::OUT)];
        ensure!(
            poll(&mut waiting, Some(&limit))? == 1,
            "an attempt was not answered within {ANSWER_LIMIT:?}"
        );
        match sockopt::socket_error(&attempt)? {
            Err(Errno::CONNREFUSED) => count += 1,
            other => bail!("an attempt was not refused: {other:?}"),
        }
    }
    Ok(count)
}

/// Closes each by a reset; how many.
pub(crate) fn reset_all(clients: Vec<TcpStream>) -> Result<u64> {
    let mut count = 0;
    for client in clients {
        sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
        count += 1;
    }
    Ok(count)
}
