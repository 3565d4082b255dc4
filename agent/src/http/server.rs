//! Binds the address, runs the server's thread, stops it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;

use super::{Shown, router};
use crate::failure::UsageError;

/// How long requests that are being answered may take when the agent stops.
const GRACE: Duration = Duration::from_millis(300);

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
        let listener = bind(address)?;
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
                if let Err(error) = runtime.block_on(serve(listener, shown, stopped)) {
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

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).map_err(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            anyhow::anyhow!(
                "{address} is in use by another process; give a free address by --listen (port 0 takes any free port)"
            )
        } else if error.kind() == io::ErrorKind::AddrNotAvailable {
            anyhow::Error::from(UsageError::new(format!(
                "{address} is no address of this machine; give one that is by --listen"
            )))
        } else {
            anyhow::anyhow!("cannot listen on {address}: {error}; give another address by --listen")
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
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (begin_end, ends) = oneshot::channel::<()>();
    let serving = axum::serve(listener, router(shown)).with_graceful_shutdown(async {
        // Sent or dropped: either way it is the end.
        ends.await.ok();
    });
    let mut serving = std::pin::pin!(serving.into_future());
    tokio::select! {
        ended = &mut serving => return ended,
        _dropped = stopped => drop(begin_end),
    }
    tokio::time::timeout(GRACE, serving).await.unwrap_or(Ok(()))
}
