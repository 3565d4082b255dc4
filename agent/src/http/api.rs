//! `/api/v1`: the reports as JSON.

use std::sync::Arc;

use agent_core::report::Report;
use agent_core::time::Timestamp;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};

use super::{AppState, Origin, answers::Site};
use crate::recent::Filter;

/// Reports of each kind that one answer holds, unless asked for fewer.
pub(super) const LIMIT: usize = 100;

/// The form of the answer of `/api/v1/terminations`. It grows when a client that knows the one before would misread it, not
/// for what is only added.
pub const API_VERSION: u32 = 1;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/v1/terminations", get(terminations))
        .route("/api/v1/terminations/{key}", get(termination))
}

/// Which terminations, and how many.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    pub(super) limit: Option<usize>,
    /// `finished_total` of the answer before: only what finished after it.
    pub(super) since: Option<u64>,
    #[serde(flatten)]
    pub(super) filter: Filter,
}

#[derive(Serialize)]
struct Terminations<'a> {
    version: u32,
    agent: Agent,
    clock: Clock,
    finished_total: u64,
    open: Vec<&'a Report>,
    finished: Vec<&'a Report>,
}

/// Who answers. Another `started_at` is another run, whose numbers begin anew.
#[derive(Serialize)]
struct Agent {
    version: &'static str,
    started_at: Timestamp,
}

#[derive(Serialize)]
struct Termination<'a> {
    clock: Clock,
    report: &'a Report,
}

/// Times in reports are nanoseconds of the node's boot clock; add `wall_at_boot` for nanoseconds since 1970. A recording
/// has no dates, and a `wall_at_boot` of 0.
#[derive(Serialize)]
struct Clock {
    now: Timestamp,
    wall_at_boot: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    recording: bool,
}

impl Clock {
    fn from_origin(origin: &Origin) -> Self {
        Self {
            now: origin.now(),
            wall_at_boot: origin.wall_at_boot().unwrap_or_default(),
            recording: matches!(origin, Origin::Recording { .. }),
        }
    }
}

async fn terminations(State(site): State<Arc<Site>>, Query(wanted): Query<Wanted>) -> Response {
    site.respond_with(move |shown| list_terminations(shown, &wanted))
        .await
}

fn list_terminations(shown: &AppState, wanted: &Wanted) -> Response<Vec<u8>> {
    let limit = wanted.limit.unwrap_or(LIMIT);
    let since = wanted.since.unwrap_or(0);
    let snapshot = shown.recent.snapshot_since(&wanted.filter, limit, since);
    json_response(&Terminations {
        version: API_VERSION,
        agent: Agent {
            version: env!("CARGO_PKG_VERSION"),
            started_at: snapshot.started_at,
        },
        clock: Clock::from_origin(&shown.origin),
        finished_total: snapshot.finished_total,
        open: snapshot.open.iter().map(AsRef::as_ref).collect(),
        finished: snapshot.finished.iter().map(AsRef::as_ref).collect(),
    })
}

async fn termination(State(site): State<Arc<Site>>, Path(key): Path<String>) -> Response {
    site.respond_with(move |shown| get_termination(shown, &key))
        .await
}

fn get_termination(shown: &AppState, key: &str) -> Response<Vec<u8>> {
    let Some(report) = shown
        .origin
        .parse_key(key)
        .and_then(|id| shown.recent.find(id))
    else {
        let sentence = format!("{}\n", not_kept(&shown.origin));
        return text_response(
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            sentence.into_bytes(),
        );
    };
    json_response(&Termination {
        clock: Clock::from_origin(&shown.origin),
        report: &report,
    })
}

fn json_response(value: &impl Serialize) -> Response<Vec<u8>> {
    match serde_json::to_vec(value) {
        Ok(written) => text_response(StatusCode::OK, "application/json", written),
        Err(error) => {
            let sentence = format!("{error}\n").into_bytes();
            text_response(
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/plain; charset=utf-8",
                sentence,
            )
        }
    }
}

/// An answer of this media type.
fn text_response(status: StatusCode, kind: &'static str, text: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Why there is no termination under an address, in one sentence.
pub(super) fn not_kept(origin: &Origin) -> &'static str {
    match origin {
        Origin::Agent { .. } => {
            "This termination is not kept: the agent was started anew since, has had too many after it, or it was none in the end."
        }
        Origin::Recording { .. } => "There is no such termination in this recording.",
    }
}
