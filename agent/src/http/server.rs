//! Binds the address, runs the server's thread, stops it. Bounds what clients can hold: connections and time.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{Shown, router};
use crate::failure::UsageError;

/// How long requests that are being answered may take when the agent stops.
const GRACE: Duration = Duration::from_millis(300);

/// How long to wait after a connection could not be accepted, as when file descriptors are used up.
const PAUSE: Duration = Duration::from_secs(1);

/// What clients can hold.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections at once; further ones wait in the kernel's queue.
    connections: usize,
    /// From the connection, or the answer before, to the end of a request's head. Idle connections end by it, too.
    head: Duration,
    /// How long a client may leave an answer untaken.
    unread: Duration,
}

const LIMITS: Limits = Limits {
    connections: 64,
    head: Duration::from_secs(30),
    unread: Duration::from_secs(30),
};

/// A running server. Dropping it without [`Self::stop`] stops it, too, and does not wait.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Binds the address and serves from a thread of its own.
    ///
    /// # Errors
    /// A sentence that names the address, if it cannot be had.
    pub fn start(address: SocketAddr, shown: Arc<Shown>) -> anyhow::Result<Self> {
        Self::start_with(address, shown, LIMITS)
    }

    fn start_with(address: SocketAddr, shown: Arc<Shown>, limits: Limits) -> anyhow::Result<Self> {
        let listener = bind(address, shown.origin.option())?;
        let address = listener.local_addr().context("cannot tell the address")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .context("cannot make the HTTP server's runtime")?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || {
                if let Err(error) = runtime.block_on(serve(listener, shown, limits, stopped)) {
                    tracing::error!(%error, "the HTTP server ended; measuring goes on");
                }
                runtime.shutdown_background();
            })
            .context("cannot start the HTTP server's thread")?;
        Ok(Self {
            address,
            stop,
            thread,
        })
    }

    /// Where it listens; the port is a real one.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it and waits until it has stopped, for a fraction of a second.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the HTTP server's thread had panicked");
        }
    }
}

fn bind(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).map_err(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            anyhow::anyhow!(
                "{address} is in use by another process; give a free address by {option} (port 0 takes any free port)"
            )
        } else if error.kind() == io::ErrorKind::AddrNotAvailable {
            anyhow::Error::from(UsageError::new(format!(
                "{address} is no address of this machine; give one that is by {option}"
            )))
        } else {
            anyhow::anyhow!("cannot listen on {address}: {error}; give another address by {option}")
        }
    })?;
    listener
        .set_nonblocking(true)
        .context("cannot poll the HTTP server's socket")?;
    Ok(listener)
}

async fn serve(
    listener: TcpListener,
    shown: Arc<Shown>,
    limits: Limits,
    mut stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let service = TowerToHyperService::new(router(shown));
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head);
    let places = Arc::new(Semaphore::new(limits.connections));
    let ends = GracefulShutdown::new();
    loop {
        let (stream, place) = tokio::select! {
            accepted = accept(&listener, &places) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
            _dropped = &mut stopped => break,
        };
        let unread = u32::try_from(limits.unread.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = set_tcp_user_timeout(&stream, unread) {
            tracing::debug!(%error, "an HTTP connection has no time limit");
        }
        let connection = protocol.serve_connection(TokioIo::new(stream), service.clone());
        let connection = ends.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    // What is not answered by then is cut off.
    tokio::time::timeout(GRACE, ends.shutdown()).await.ok();
    Ok(())
}

/// Waits for a free place first, so that the kernel holds the connections for which there is none.
async fn accept(
    listener: &tokio::net::TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _peer) = listener.accept().await?;
    Ok((stream, place))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;
    use crate::metrics::Retention;

    fn server(limits: Limits) -> Server {
        let shown = Arc::new(Shown::of_agent(Retention::default()));
        Server::start_with(SocketAddr::from(([127, 0, 0, 1], 0)), shown, limits).unwrap()
    }

    /// The first bytes of the answer to a request, if any come in time.
    fn ask(address: SocketAddr, patience: Duration) -> Option<String> {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }

    #[test]
    fn more_clients_than_places_wait_until_the_slow_ones_are_cut_off() {
        let head = Duration::from_millis(600);
        let server = server(Limits {
            connections: 2,
            head,
            ..LIMITS
        });
        let silent: Vec<_> = (0..2)
            .map(|_| TcpStream::connect(server.address()).unwrap())
            .collect();
        assert_eq!(ask(server.address(), head / 4), None);
        let answer = ask(server.address(), head * 10);
        assert_eq!(answer.as_deref(), Some("HTTP/1.1 200 OK"));
        drop(silent);
        server.stop();
    }
}
