//! Style sheet, script and icon: files beside this one that are put into the binary.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::{Site, entity_tag};

/// The names, as the pages' links have them.
pub(super) const STYLE: &str = "page.css";
pub(super) const SCRIPT: &str = "page.js";
pub(super) const ICON: &str = "icon.svg";

pub(super) fn routes() -> Router<Arc<Site>> {
    let asset = |kind, text| get(move |headers| async move { answer(kind, text, &headers) });
    Router::new()
        .route(
            &format!("/{STYLE}"),
            asset("text/css", include_str!("page.css")),
        )
        .route(
            &format!("/{SCRIPT}"),
            asset("text/javascript", include_str!("page.js")),
        )
        .route(
            &format!("/{ICON}"),
            asset("image/svg+xml", include_str!("icon.svg")),
        )
}

fn answer(kind: &'static str, text: &'static str, headers: &HeaderMap) -> Response {
    let tag = entity_tag(text);
    let is_known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| *known == *tag);
    let facts = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::CONTENT_TYPE, format!("{kind}; charset=utf-8")),
    ];
    if is_known {
        (StatusCode::NOT_MODIFIED, facts).into_response()
    } else {
        (facts, text).into_response()
    }
}
