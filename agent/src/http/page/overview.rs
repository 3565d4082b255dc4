//! The page at `/`: the terminations that are kept, those that agree with a filter, the newest first.

use maud::{Markup, html};

use super::drawing::{sample, swatch};
use super::entry::render_entry;
use super::filter::render_form;
use super::frame::Frame;
use crate::http::api::Wanted;
use crate::http::{AppState, Origin};
use crate::recent::{Choices, Snapshot};
use crate::timeline::Phase;

/// Finished terminations that the page shows, unless asked for another number.
const LIMIT: usize = 50;

pub(super) fn render(shown: &AppState, wanted: &Wanted) -> Markup {
    let limit = wanted.limit.unwrap_or(LIMIT);
    let snapshot = shown.recent.snapshot(&wanted.filter, limit);
    let choices = shown.recent.choices();
    let frame = Frame {
        title: "Terminations",
        root: "",
        skip: "Skip to the terminations",
    };
    frame.around(
        shown,
        html! {
            h1 { "Terminations" }
            (render_form(&wanted.filter, &choices))
            (render_count(&snapshot, &choices))
            (legend())
            ol id="terminations" class="terminations" data-live="list" {
                @for report in snapshot.open.iter().chain(&snapshot.finished) {
                    (render_entry(report, &shown.origin))
                }
            }
            div id="rest" data-live {
                (render_rest(&snapshot, &choices, shown, wanted))
            }
            noscript { p class="dim" { "Without a script this page does not update itself: load it again to see what is new." } }
        },
    )
}

/// How many there are; what updates itself says so beside it.
fn render_count(snapshot: &Snapshot, choices: &Choices) -> Markup {
    let agreeing = snapshot.open.len() + snapshot.found;
    html! {
        div class="count" {
            p id="count" data-live {
                @if !snapshot.open.is_empty() { b { (snapshot.open.len()) " being terminated" } " · " }
                (snapshot.found) " finished"
                @if agreeing < choices.reports { ", of " (choices.reports) " that are kept" }
            }
            p id="updates" {}
        }
    }
}

fn legend() -> Markup {
    html! {
        details id="legend" class="legend" {
            summary { "How to read the bars" }
            p { "Each bar is one termination, to its own scale: the left end is when it began, the right end when it was over." }
            ul {
                li { (swatch(Phase::Waiting)) "waiting: asked to stop, nothing happens yet" }
                li { (swatch(Phase::Hook)) "hook: the preStop hook runs" }
                li { (swatch(Phase::Stopping)) "stopping: from the stop signal to the exit, or to SIGKILL" }
                li { (swatch(Phase::Dying)) "dying: from SIGKILL to the exit" }
                li { (swatch(Phase::Closing)) "closing: from the exit to the release" }
                li { (swatch(Phase::Running)) "running: what ended by itself" }
                li { (sample("stop")) "stop signal" }
                li { (sample("kill")) "SIGKILL" }
                li { (sample("exit")) "exit of the main process" }
                li { (sample("due")) "SIGKILL is due" }
                li { (sample("sent")) "reset sent" }
                li { (sample("received")) "reset received" }
                li { (sample("refused")) "connection refused" }
                li { (sample("arrival")) "last connection that came" }
                li { (sample("endpoint")) "endpoint not ready" }
            }
        }
    }
}

/// What stands below the list, or in its place.
fn render_rest(
    snapshot: &Snapshot,
    choices: &Choices,
    shown: &AppState,
    wanted: &Wanted,
) -> Markup {
    let hidden = snapshot.found - snapshot.finished.len();
    if hidden > 0 {
        let href = address(wanted, snapshot.found);
        return html! { p { a id="more" href=(href) { "Show the " (hidden) " before these" } } };
    }
    if !(snapshot.open.is_empty() && snapshot.finished.is_empty()) {
        return html! {};
    }
    if choices.reports > 0 {
        return html! {
            p class="empty" {
                "None of the " (choices.reports) " terminations that are kept agrees with the filter. "
                a href="./" { "Show all" }
            }
        };
    }
    match shown.origin {
        Origin::Recording { .. } => html! {
            p class="empty" { "Nothing was terminated in this recording." }
        },
        Origin::Agent { .. } => html! {
            div class="empty" {
                p { b { "No termination yet." } " Stop something on this node, and it appears here at once:" }
                ul {
                    li { code { "kubectl delete pod NAME" } }
                    li { code { "systemctl restart NAME.service" } }
                    li { code { "docker stop NAME" } ", or the same with podman" }
                }
            }
        },
    }
}

/// The same page with another limit.
fn address(wanted: &Wanted, limit: usize) -> String {
    let filter = serde_json::to_value(&wanted.filter).unwrap_or_default();
    let given = filter.as_object().into_iter().flatten();
    let given = given.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let mut query = form_urlencoded::Serializer::for_suffix(String::from("./?"), 3);
    query.extend_pairs(given);
    query.append_pair("limit", &limit.to_string());
    query.finish()
}
