//! The page of one termination.

use agent_core::connection::Direction;
use agent_core::report::{HookMethod, Outcome, Report};
use maud::{Markup, html};

use super::bar::BarLayout;
use super::entry::{render_badge, render_subject};
use super::frame::Frame;
use super::lanes::render_lanes;
use super::{look, moment, resets, steps};
use crate::http::{AppState, Origin};
use crate::timeline::{self, Fact, FactKind, format_duration, next_step, report_facts};

pub(super) fn render(shown: &AppState, report: &Report) -> Markup {
    let origin = &shown.origin;
    let name = timeline::name(report);
    let key = origin.termination_key(report.id);
    let frame = Frame {
        title: &name,
        root: "../",
        skip: "Skip to the termination",
    };
    frame.around(
        shown,
        html! {
            nav class="back" aria-label="Back" { a id="back" href="../" { "← All terminations" } }
            p id="updates" {}
            article id="termination" data-live aria-labelledby="name" {
                (render_badge(report))
                h1 id="name" { bdi { (name) } }
                (render_subject(report))
                p class="verdict" { (verdict(report, origin)) }
                (figures(report, origin))
                (diagnoses(report))
                h2 id="timeline" { "Timeline" }
                @if let Some(layout) = BarLayout::from_report(report, origin.now()) { (render_lanes(report, &layout)) }
                h2 id="facts" { "Facts in order" }
                (steps::render_table(report, origin))
                (resets::section(report, origin))
                h2 id="known" { "What is known" }
                (render_known_facts(report))
                p class="links" { a id="json" href={ "../api/v1/terminations/" (key) } { "This report as JSON" } }
            }
        },
    )
}

fn verdict(report: &Report, origin: &Origin) -> String {
    if report.outcome == Outcome::InProgress {
        return format!("In progress: {}.", next_step(report, Some(origin.now())));
    }
    timeline::verdict(report)
}

/// The quantities that this project is about.
fn figures(report: &Report, origin: &Origin) -> Markup {
    let hook = report.hook.as_ref();
    let about_hook = match hook.map(|hook| hook.method) {
        Some(HookMethod::Inferred) => "≈ ",
        Some(HookMethod::Observed) | None => "",
    };
    let resets = report.connections.as_ref().map(|connections| {
        let of = |direction| connections.connections_reset(direction);
        format!(
            "{} sent, {} received",
            of(Direction::Sent),
            of(Direction::Received)
        )
    });
    let exit = report
        .exit
        .as_ref()
        .map(|exit| moment::render_date(exit.at, origin));
    html! {
        dl class="figures" {
            (figure("whole stop", report.total_duration().map(format_duration)))
            (figure("preStop hook", report.hook_duration().map(|time| format!("{about_hook}{}", format_duration(time)))))
            (figure("stop signal to exit", report.stop_signal_to_exit().map(format_duration)))
            (figure("stop signal to SIGKILL", report.stop_signal_to_kill().map(format_duration)))
            (figure("grace period", report.grace.as_ref().map(|grace| format_duration(grace.configured))))
            (figure("connections reset", resets))
            @if let Some(exit) = exit { div { dt { "exit" } dd { (exit) } } }
        }
    }
}

/// A quantity; nothing where there is none.
fn figure(name: &str, value: Option<String>) -> Markup {
    html! {
        @if let Some(value) = value {
            div { dt { (name) } dd { (value) } }
        }
    }
}

/// What is wrong, what to change, and what is not certain.
fn diagnoses(report: &Report) -> Markup {
    let facts = report_facts(report);
    let (findings, doubts): (Vec<_>, Vec<_>) = facts
        .iter()
        .filter(|fact| fact.kind != FactKind::Fact)
        .partition(|fact| fact.kind != FactKind::Doubt);
    html! {
        @if !findings.is_empty() {
            h2 id="findings" { "Findings" }
            (render_facts(&findings))
        }
        @if !doubts.is_empty() {
            h2 id="doubts" { "Honestly unsure" }
            (render_facts(&doubts))
        }
    }
}

fn render_facts(facts: &[&Fact]) -> Markup {
    html! {
        dl class="said" {
            @for fact in facts {
                div class=(look::of_fact(fact.kind)) { dt { (fact.label) } dd { bdi { (fact.text) } } }
            }
        }
    }
}

fn render_known_facts(report: &Report) -> Markup {
    let facts = report_facts(report);
    let facts = facts.iter().filter(|fact| fact.kind == FactKind::Fact);
    html! {
        dl class="known" {
            @for fact in facts {
                div { dt { (fact.label) } dd { bdi { (fact.text) } } }
            }
        }
    }
}
