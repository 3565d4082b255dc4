//! The HTTP server, on a thread and a runtime of its own: a slow or large scrape never keeps the event loop from reading
//! the ring buffer. They share only what is recorded, behind locks that are held for a copy or one family's text. What takes
//! work is made on further threads (`answers`), so that health checks are answered at once whatever else is asked for.

mod answers;
mod api;
mod host;
mod origin;
mod page;
mod server;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::get;

use self::answers::Site;

use crate::agent_health::AgentHealth;
use crate::metrics::exposition::Format;
use crate::metrics::{Metrics, Retention};
use crate::readiness::Readiness;
use crate::recent::Recent;

pub use self::api::API_VERSION;
pub use self::origin::Origin;
pub use self::server::Server;

/// The pages that tell whether the agent is well. They say nothing of the node, and are never waited for.
const HEALTH: [&str; 2] = ["/livez", "/readyz"];

/// What the server shows.
#[derive(Debug)]
pub struct AppState {
    /// The metrics.
    pub metrics: Metrics,
    /// The terminations.
    pub recent: Recent,
    /// Whether the agent measures yet, and still.
    pub readiness: Readiness,
    /// What is not as it should be with the agent.
    pub agent_health: AgentHealth,
    /// Where all this comes from.
    pub origin: Origin,
}

impl AppState {
    /// Of an agent that starts to measure.
    pub fn of_agent(retention: Retention) -> Self {
        Self {
            metrics: Metrics::new(retention),
            recent: Recent::default(),
            readiness: Readiness::default(),
            agent_health: AgentHealth::default(),
            origin: Origin::for_agent(),
        }
    }
}

/// Every page there is.
fn router(shown: Arc<AppState>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route(HEALTH[0], get(livez))
        .route(HEALTH[1], get(readyz))
        .merge(api::routes())
        .merge(page::routes())
        .with_state(Arc::new(Site::new(shown)))
}

async fn metrics(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let accept = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect::<Vec<_>>()
        .join(",");
    site.metrics(Format::negotiate(&accept)).await
}

async fn livez(State(site): State<Arc<Site>>) -> (StatusCode, String) {
    let shown = &site.shown;
    answer(shown.readiness.stalled(shown.origin.now()), "alive")
}

async fn readyz(State(site): State<Arc<Site>>) -> (StatusCode, String) {
    answer(site.shown.readiness.awaited(), "ready")
}

fn answer(missing: Option<String>, well: &str) -> (StatusCode, String) {
    match missing {
        Some(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
        None => (StatusCode::OK, format!("{well}\n")),
    }
}
