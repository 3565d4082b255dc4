//! The HTTP server, on a thread and a runtime of its own: a slow or large scrape never keeps the event loop from reading
//! the ring buffer. They share only what is recorded, behind locks that are held for a copy or one family's text.

mod page;
mod server;

use std::sync::Arc;

use agent_core::report::Report;
use agent_core::time::Timestamp;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::metrics::Metrics;
use crate::metrics::exposition::Format;
use crate::readiness::Readiness;
use crate::recent::{Filter, Recent};

pub use self::server::Server;

/// Reports of each kind that one answer holds, unless asked for fewer.
const LIMIT: usize = 100;

/// The form of the answer of `/api/v1/terminations`. It grows when a client that knows the one before would misread it, not
/// for what is only added.
pub const API_VERSION: u32 = 1;

/// What the server shows.
#[derive(Debug)]
pub struct Shown {
    /// The metrics.
    pub metrics: Metrics,
    /// The terminations.
    pub recent: Recent,
    /// Whether the agent measures yet, and still.
    pub readiness: Readiness,
}

/// Every page there is.
pub fn router(shown: Arc<Shown>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/api/v1/terminations", get(terminations))
        .with_state(shown)
}

async fn metrics(State(shown): State<Arc<Shown>>, headers: HeaderMap) -> Response {
    let accept = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect::<Vec<_>>()
        .join(",");
    let format = Format::negotiate(&accept);
    match shown.metrics.encode(format) {
        Ok(page) => ([(header::CONTENT_TYPE, format.content_type())], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn livez(State(shown): State<Arc<Shown>>) -> (StatusCode, String) {
    answer(shown.readiness.stalled(clock::now()), "alive")
}

async fn readyz(State(shown): State<Arc<Shown>>) -> (StatusCode, String) {
    answer(shown.readiness.awaited(), "ready")
}

fn answer(missing: Option<String>, well: &str) -> (StatusCode, String) {
    match missing {
        Some(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
        None => (StatusCode::OK, format!("{well}\n")),
    }
}

#[derive(Deserialize)]
struct Wanted {
    limit: Option<usize>,
    /// `finished_in_all` of the answer before: only what finished after it.
    since: Option<u64>,
    #[serde(flatten)]
    filter: Filter,
}

#[derive(Serialize)]
struct Terminations<'a> {
    version: u32,
    agent: Agent,
    clock: Clock,
    finished_in_all: u64,
    open: Vec<&'a Report>,
    finished: Vec<&'a Report>,
}

/// Who answers. Another `began_at` is another run, whose numbers begin anew.
#[derive(Serialize)]
struct Agent {
    version: &'static str,
    began_at: Timestamp,
}

/// Times in reports are nanoseconds of the node's boot clock; add `wall_at_boot` for nanoseconds since 1970.
#[derive(Serialize)]
struct Clock {
    now: Timestamp,
    wall_at_boot: u64,
}

async fn terminations(State(shown): State<Arc<Shown>>, Query(wanted): Query<Wanted>) -> Response {
    let limit = wanted.limit.unwrap_or(LIMIT);
    let since = wanted.since.unwrap_or(0);
    let snapshot = shown.recent.snapshot_since(&wanted.filter, limit, since);
    Json(Terminations {
        version: API_VERSION,
        agent: Agent {
            version: env!("CARGO_PKG_VERSION"),
            began_at: snapshot.began_at,
        },
        clock: Clock {
            now: clock::now(),
            wall_at_boot: clock::wall_at_boot(),
        },
        finished_in_all: snapshot.finished_in_all,
        open: snapshot.open.iter().map(AsRef::as_ref).collect(),
        finished: snapshot.finished.iter().map(AsRef::as_ref).collect(),
    })
    .into_response()
}

async fn index(State(shown): State<Arc<Shown>>) -> Html<String> {
    Html(page::render(
        &shown.recent.snapshot(&Filter::default(), LIMIT),
        clock::now(),
    ))
}
