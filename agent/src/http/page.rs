//! The page: recent terminations at `/`, and one page for each. Whole without a script; with one it updates itself.
//!
//! * `overview`, `termination`: the two pages. `frame`: what is around both. `failure`: the page of what is not there.
//! * `entry`, `filter`, `steps`, `resets`: their parts. `drawing`, `bar`, `lanes`: what is drawn. `look`: which class means what.
//! * `asset`: style sheet, script and icon, which are in the binary. `moment`: times in words.
//!
//! Links are relative, so that the page works below any path of a proxy. Everything is escaped by `maud`, since names come from
//! whoever makes a pod or a cgroup; and a content security policy lets nothing run or load that is not from here.

mod asset;
mod bar;
mod drawing;
mod entry;
mod filter;
mod frame;
mod lanes;
mod look;
mod moment;
mod overview;
mod resets;
mod steps;
mod termination;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use maud::Markup;

use super::AppState;
use super::answers::Site;
use super::api::Wanted;

/// Only what is served here may be loaded, run or sent to; nobody may put the page into a frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/", get(overview))
        .route("/terminations/{key}", get(termination))
        .merge(asset::routes())
        .layer(map_response(guarded))
}

async fn overview(
    State(site): State<Arc<Site>>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    site.respond_with(move |shown| {
        answer(StatusCode::OK, overview::render(shown, &wanted), &headers)
    })
    .await
}

async fn termination(
    State(site): State<Arc<Site>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Response {
    let shown = &site.shown;
    // A number alone is what a person types. The address in full is what can be kept.
    if let Some(id) = key
        .parse()
        .ok()
        .filter(|id| shown.recent.find(*id).is_some())
    {
        return Redirect::temporary(&shown.origin.termination_key(id)).into_response();
    }
    site.respond_with(move |shown| termination_page(shown, &key, &headers))
        .await
}

fn termination_page(shown: &AppState, key: &str, headers: &HeaderMap) -> Response<Vec<u8>> {
    match shown
        .origin
        .parse_key(key)
        .and_then(|id| shown.recent.find(id))
    {
        Some(report) => answer(StatusCode::OK, termination::render(shown, &report), headers),
        None => answer(StatusCode::NOT_FOUND, frame::not_kept(shown), headers),
    }
}

/// The page, or the word that it is still what the client has.
fn answer(status: StatusCode, page: Markup, headers: &HeaderMap) -> Response<Vec<u8>> {
    let page = page.into_string();
    let tag = entity_tag(&page);
    let is_known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| *known == *tag);
    let is_unchanged = is_known && status == StatusCode::OK;
    let mut response = if is_unchanged {
        Response::new(Vec::new())
    } else {
        Response::new(page.into_bytes())
    };
    *response.status_mut() = if is_unchanged {
        StatusCode::NOT_MODIFIED
    } else {
        status
    };
    let facts = response.headers_mut();
    // It is hexadecimal digits between quotes.
    if let Ok(tag) = HeaderValue::try_from(tag) {
        facts.insert(header::ETAG, tag);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    ] {
        facts.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What tells one text from another.
fn entity_tag(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

async fn guarded(mut response: Response) -> Response {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
