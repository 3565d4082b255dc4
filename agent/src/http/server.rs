//! Binds the address, runs the server's thread, stops it.

mod connection;
mod places;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use tokio::sync::oneshot;

use self::connection::Clients;
use self::places::Limits;
use super::{AppState, answers, router};
use crate::failure::UsageError;

/// How long requests that are being answered may take when the agent stops.
const GRACE: Duration = Duration::from_millis(300);

/// How long to wait when a connection could not be accepted, and there is none that could be closed for it.
const PAUSE: Duration = Duration::from_millis(100);

/// Clients that the kernel lets wait to be accepted: a burst is accepted in some milliseconds, and who is turned away comes back
/// after a second only. The kernel takes less where `net.core.somaxconn` says so.
const WAITING: i32 = 4096;

/// What the kernel keeps for a connection in each direction, of which it uses twice as much.
const BUFFER_BYTES: usize = 64 << 10;

/// Some browsers, some Prometheus; several times what they have open. Of answers, several of the largest page that was measured.
const LIMITS: Limits = Limits {
    connections: 64,
    per_address: 16,
    answer_bytes: 16 << 20,
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
    pub fn start(address: SocketAddr, shown: Arc<AppState>) -> anyhow::Result<Self> {
        let listener = bind_listener(address, shown.origin.option())?;
        let address = listener.local_addr().context("cannot tell the address")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(answers::LANES)
            .build()
            .context("cannot make the HTTP server's runtime")?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || {
                if let Err(error) = runtime.block_on(serve_until_stopped(listener, shown, stopped))
                {
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

fn bind_listener(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
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
    prepare(&listener).context("cannot set up the HTTP server's socket")?;
    Ok(listener)
}

/// Connections have what their listener has.
fn prepare(listener: &TcpListener) -> io::Result<()> {
    set_socket_send_buffer_size(listener, BUFFER_BYTES)?;
    set_socket_recv_buffer_size(listener, BUFFER_BYTES)?;
    rustix::net::listen(listener, WAITING)?;
    listener.set_nonblocking(true)
}

async fn serve_until_stopped(
    listener: TcpListener,
    shown: Arc<AppState>,
    mut stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let clients = Clients::new(router(shown), LIMITS);
    let mut warned = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _dropped = &mut stopped => break,
        };
        match accepted {
            Ok((stream, peer)) => clients.serve_client(stream, peer.ip()),
            Err(error) => {
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(%error, "an HTTP connection could not be accepted; further ones that cannot are not told");
                }
                if !clients.close_one() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        // What the new client sent already is answered before another one can take its place.
        tokio::task::yield_now().await;
    }
    drop(listener);
    // What is not answered by then is cut off.
    tokio::time::timeout(GRACE, clients.shut_down()).await.ok();
    Ok(())
}
