//! What is around every page: head, header, the agent's own state, footer.

use maud::{DOCTYPE, Markup, html};

use super::{asset, drawing};
use crate::http::{AppState, Origin, api};

/// A page.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// From the page's address to the root: empty, or `../`.
    pub(super) root: &'a str,
    /// What the link says that leads past the header.
    pub(super) skip: &'a str,
}

impl Frame<'_> {
    /// The whole document.
    pub(super) fn around(&self, shown: &AppState, content: Markup) -> Markup {
        let root = self.root;
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Gracewatch" }
                    link rel="stylesheet" href={ (root) (asset::STYLE) };
                    link rel="icon" type="image/svg+xml" href={ (root) (asset::ICON) };
                    script src={ (root) (asset::SCRIPT) } defer {}
                }
                body {
                    a class="skip" href="#content" { (self.skip) }
                    (drawing::definitions())
                    header {
                        p class="brand" {
                            a href={ (root) "./" } { "Gracewatch" }
                            span { "how containers are terminated" }
                        }
                        nav aria-label="Other pages" {
                            ul {
                                li { a href={ (root) "metrics" } { "metrics" } }
                                li { a href={ (root) "api/v1/terminations" } { "JSON" } }
                                li { a href={ (root) "readyz" } { "ready?" } }
                                li { a href={ (root) "livez" } { "alive?" } }
                            }
                        }
                    }
                    main id="content" tabindex="-1" {
                        (render_state(shown))
                        (content)
                    }
                    footer {
                        p { "gracewatch " (env!("CARGO_PKG_VERSION")) " · " (origin(&shown.origin)) }
                    }
                }
            }
        }
    }
}

/// What is not as it should be with the agent; present and empty if all is well, so that what comes later is announced.
fn render_state(shown: &AppState) -> Markup {
    let awaited = shown
        .readiness
        .awaited()
        .map(|awaited| format!("The agent does not measure yet: it is {awaited}."));
    let stalled = shown
        .readiness
        .stalled(shown.origin.now())
        .map(|stalled| format!("The agent hangs: {stalled}."));
    let sentences = awaited.into_iter().chain(stalled);
    html! {
        div id="state" class="state" role="status" data-live {
            @for sentence in sentences.chain(shown.agent_health.sentences()) {
                p { span aria-hidden="true" { "! " } (sentence) }
            }
        }
    }
}

fn origin(origin: &Origin) -> Markup {
    match origin {
        Origin::Agent { .. } => html! { "an agent that measures this node" },
        Origin::Recording { files, .. } => html! {
            "a recording, nothing is measured: "
            @for (position, file) in files.iter().enumerate() {
                @if position > 0 { ", " }
                bdi { (file) }
            }
        },
    }
}

/// The page of a termination that is not there.
pub(super) fn not_kept(shown: &AppState) -> Markup {
    let frame = Frame {
        title: "Not kept",
        root: "../",
        skip: "Skip to what is known",
    };
    frame.around(
        shown,
        html! {
            h1 { "Not kept" }
            p { (api::not_kept(&shown.origin)) }
            p { a href="../" { "All terminations" } }
        },
    )
}
