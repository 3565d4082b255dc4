//! One termination in the list.

use agent_core::report::{Outcome, Report};
use agent_core::time::Timestamp;
use maud::{Markup, html};

use super::bar::{BarLayout, render_bar};
use super::{drawing, look, moment};
use crate::http::Origin;
use crate::timeline::{self, Phase, format_duration};

/// An item of the list of terminations.
pub(super) fn render_entry(report: &Report, origin: &Origin) -> Markup {
    let key = origin.termination_key(report.id);
    let id = format!("t{key}");
    let name = timeline::name(report);
    let now = origin.now();
    html! {
        li id=(id) {
            article aria-labelledby={ (id) "-link" } {
                div class="who" {
                    (render_badge(report))
                    h2 { a id={ (id) "-link" } href={ "terminations/" (key) } { bdi { (name) } } }
                    (render_subject(report))
                }
                div class="course" {
                    @if let Some(layout) = BarLayout::from_report(report, now) {
                        (render_bar(report, &layout, &id, &name))
                        (render_parts(&layout))
                    }
                    (findings(report))
                }
                (render_times(report, origin, now))
            }
        }
    }
}

/// How it ended, as a sign and a word, and how sure that is.
pub(super) fn render_badge(report: &Report) -> Markup {
    let (sign, word) = timeline::sign_and_word(report.outcome);
    html! {
        p class={ "badge " (look::of_outcome(report.outcome)) } {
            span aria-hidden="true" { (sign) " " }
            (word)
            @if let Some(certainty) = timeline::certainty(report) { " (" (certainty) ")" }
        }
    }
}

/// What it belongs to, and why it was stopped.
pub(super) fn render_subject(report: &Report) -> Markup {
    let kind = timeline::workload_kind(report);
    let workload = report.pod.as_ref().map(|pod| pod.workload.name.as_str());
    html! {
        p class="about" {
            (kind)
            @if let Some(workload) = workload { " " bdi { (workload) } }
            @if let Some(why) = timeline::trigger(report.trigger) { " · " (why) }
        }
    }
}

/// What the bar consists of, and how long each part took.
fn render_parts(layout: &BarLayout) -> Markup {
    let phases = layout.rows.iter().filter(|row| row.phase != Phase::Over);
    let marks = layout.rows.iter().filter(|row| row.moments.is_some());
    html! {
        ul class="parts" {
            @for row in phases {
                @if let Some((length, phase)) = row.right_label() {
                    li { (drawing::swatch(row.phase)) (phase) " " b { (length) } }
                }
            }
            @for row in marks {
                li class=(look::of_news(row.news)) {
                    (row.event)
                    @if let Some((count, _)) = row.right_label() { " " b { (count) } }
                }
            }
        }
    }
}

fn findings(report: &Report) -> Markup {
    html! {
        @if !report.findings.is_empty() {
            ul class="findings" {
                @for finding in &report.findings {
                    li {
                        span class="bad" { span aria-hidden="true" { "✘ " } (finding.evidence) }
                        " "
                        span class="advice" { span aria-hidden="true" { "→ " } (finding.advice) }
                    }
                }
            }
        }
    }
}

/// How long it took, and when it ended; what an open one waits for.
fn render_times(report: &Report, origin: &Origin, now: Timestamp) -> Markup {
    let is_open = report.outcome == Outcome::InProgress;
    let total = report
        .total_duration()
        .unwrap_or_else(|| now.since(report.started_at));
    let ended = report
        .exit
        .as_ref()
        .map(|exit| exit.at)
        .or(report.released_at);
    html! {
        div class="when" {
            @if is_open {
                p class="total" { (tenths(now.since(report.started_at))) }
                p { (timeline::next_step(report, Some(now))) }
            } @else {
                p class="total" { @if report.exit.is_some() { (format_duration(total)) } @else { "?" } }
                p { (moment::render_date(ended.unwrap_or(report.started_at), origin)) }
            }
        }
    }
}

/// What a ticking display can show without flicker.
fn tenths(time: std::time::Duration) -> String {
    let tenths = time.as_millis() / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}
