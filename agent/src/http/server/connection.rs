//! One client's connection: what it may send, and what is remembered of it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustix::net::sockopt::set_tcp_user_timeout;
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::places::{Id, Limits, Places};
use crate::http::answers::Held;
use crate::http::{HEALTH, host};

/// From the connection, or the answer before, to the end of a request's head. Idle connections end by it, too.
const HEAD: Duration = Duration::from_secs(30);
/// How long a client may leave an answer untaken.
const UNREAD: Duration = Duration::from_secs(30);
/// More than the head of a browser's request has.
const HEAD_BYTES: usize = 16 << 10;
/// Files that are left to the agent itself, which reads /proc and the cgroup tree while clients are connected.
const SPARE_FILES: u64 = 8;

/// All clients.
pub(super) struct Clients {
    router: Router,
    protocol: http1::Builder,
    places: Arc<Mutex<Places>>,
    ends: GracefulShutdown,
    /// How many files this process may have open.
    files_max: Option<u64>,
}

impl Clients {
    pub(super) fn new(router: Router, limits: Limits) -> Self {
        let mut protocol = http1::Builder::new();
        protocol
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES)
            // Who says that it has asked all it wants to ask still wants the answer.
            .half_close(true);
        Self {
            router,
            protocol,
            places: Arc::new(Mutex::new(Places::new(limits))),
            ends: GracefulShutdown::new(),
            files_max: getrlimit(Resource::Nofile).current,
        }
    }

    /// Serves a new client, for which another one may have to go.
    pub(super) fn serve_client(&self, stream: TcpStream, from: IpAddr) {
        let unread = u32::try_from(UNREAD.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = set_tcp_user_timeout(&stream, unread) {
            tracing::debug!(%error, "an HTTP connection has no time limit");
        }
        let (id, ended) = lock_places(&self.places).add_client(from);
        lock_places(&self.places).make_do(id, self.files_too_many(&stream));
        let seat = Seat {
            id,
            places: Arc::clone(&self.places),
            is_local: stream
                .local_addr()
                .is_ok_and(|address| address.ip().to_canonical().is_loopback()),
        };
        let (asking, router) = (seat.clone(), self.router.clone());
        let service = service_fn(move |request| answer(asking.clone(), router.clone(), request));
        let connection = self
            .protocol
            .serve_connection(TokioIo::new(stream), service);
        let connection = self.ends.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                served = connection => if let Err(error) = served {
                    tracing::debug!(%error, "an HTTP connection broke");
                },
                _closed = ended => tracing::debug!("an HTTP connection made room for another one"),
            }
            lock_places(&seat.places).remove_client(seat.id);
        });
    }

    /// Closes the connection that is needed least, if there is one.
    pub(super) fn close_one(&self) -> bool {
        lock_places(&self.places).give_one()
    }

    /// Waits until what is being answered is answered; everything else is closed.
    pub(super) async fn shut_down(self) {
        self.ends.shutdown().await;
    }

    /// How many files too many are open. The kernel gives out the lowest number that is free, so all below the newest are taken.
    fn files_too_many(&self, newest: &TcpStream) -> u64 {
        let open = u64::try_from(newest.as_raw_fd()).map_or(0, |number| number + 1);
        self.files_max
            .map_or(0, |most| (open + SPARE_FILES).saturating_sub(most))
    }
}

/// A connection's place, and how it came.
#[derive(Clone)]
struct Seat {
    id: Id,
    places: Arc<Mutex<Places>>,
    /// Whether it came to the loopback address.
    is_local: bool,
}

async fn answer(
    seat: Seat,
    router: Router,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    lock_places(&seat.places).start_request(seat.id);
    let is_health = HEALTH.contains(&request.uri().path());
    if seat.is_local && !is_health && !host::is_local(request.uri(), request.headers()) {
        return Ok((StatusCode::MISDIRECTED_REQUEST, host::REFUSAL).into_response());
    }
    let response = router.oneshot(request).await?;
    if let Some(held) = response.extensions().get::<Held>() {
        lock_places(&seat.places).hold_answer(seat.id, held.clone());
    }
    Ok(response)
}

fn lock_places(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    // A panic elsewhere leaves whole entries.
    places.lock().unwrap_or_else(PoisonError::into_inner)
}
