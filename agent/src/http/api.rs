//! `/api/v1`: the reports as JSON.

use std::sync::Arc;

use agent_core::report::Report;
use agent_core::time::Timestamp;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{Origin, Shown};
use crate::recent::Filter;

/// Reports of each kind that one answer holds, unless asked for fewer.
pub(super) const LIMIT: usize = 100;

/// The form of the answer of `/api/v1/terminations`. It grows when a client that knows the one before would misread it, not
/// for what is only added.
pub const API_VERSION: u32 = 1;

pub(super) fn routes() -> Router<Arc<Shown>> {
    Router::new()
        .route("/api/v1/terminations", get(terminations))
        .route("/api/v1/terminations/{key}", get(termination))
}

/// Which terminations, and how many.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    pub(super) limit: Option<usize>,
    /// `finished_in_all` of the answer before: only what finished after it.
    pub(super) since: Option<u64>,
    #[serde(flatten)]
    pub(super) filter: Filter,
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
    fn of(origin: &Origin) -> Self {
        Self {
            now: origin.now(),
            wall_at_boot: origin.wall_at_boot().unwrap_or_default(),
            recording: matches!(origin, Origin::Recording { .. }),
        }
    }
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
        clock: Clock::of(&shown.origin),
        finished_in_all: snapshot.finished_in_all,
        open: snapshot.open.iter().map(AsRef::as_ref).collect(),
        finished: snapshot.finished.iter().map(AsRef::as_ref).collect(),
    })
    .into_response()
}

async fn termination(State(shown): State<Arc<Shown>>, Path(key): Path<String>) -> Response {
    let found = shown.origin.id(&key).and_then(|id| shown.recent.find(id));
    match found {
        Some(report) => Json(Termination {
            clock: Clock::of(&shown.origin),
            report: &report,
        })
        .into_response(),
        None => (
            StatusCode::NOT_FOUND,
            format!("{}\n", not_kept(&shown.origin)),
        )
            .into_response(),
    }
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
