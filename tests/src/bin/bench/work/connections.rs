//! Storms of TCP connections over the loopback interface. The worker has both ends, so that both sockets are of its cgroup.

use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::net::sockopt::set_socket_linger;

/// Both ends are closed: a FIN each way.
pub(super) fn close_connections(connections: u32) -> Result<()> {
    for_each_pair(connections, |client, mut server| {
        drop(client);
        let left = server.read(&mut [0]).context("no FIN came")?;
        ensure!(left == 0, "data came that nobody sent");
        Ok(())
    })
}

/// One end resets: with a linger time of 0 a close is an abort.
pub(super) fn reset_connections(connections: u32) -> Result<()> {
    for_each_pair(connections, |client, mut server| {
        set_socket_linger(&client, Some(Duration::ZERO))?;
        drop(client);
        match server.read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            answer => bail!("no reset came, but {answer:?}"),
        }
    })
}

/// Attempts at a port where nobody listens any more.
pub(super) fn refuse(attempts: u32) -> Result<()> {
    let (listener, address) = listen()?;
    drop(listener);
    let mut refused = 0;
    while refused < attempts {
        match TcpStream::connect(address) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => refused += 1,
            // The kernel chose that very port for this end: it is connected to itself.
            Ok(own) if own.local_addr()? == address => {
                set_socket_linger(&own, Some(Duration::ZERO))?;
            }
            answer => bail!("{address} does not refuse: {answer:?}"),
        }
    }
    Ok(())
}

fn for_each_pair(connections: u32, end: impl Fn(TcpStream, TcpStream) -> Result<()>) -> Result<()> {
    let (listener, address) = listen()?;
    for _ in 0..connections {
        let client = TcpStream::connect(address).context("cannot connect")?;
        let (server, _peer) = listener.accept().context("cannot accept")?;
        end(client, server)?;
    }
    Ok(())
}

fn listen() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
