//! A termination in large: a lane for each event with the phase that it began, on a common scale.

use std::time::Duration;

use agent_core::report::Report;
use agent_core::time::Timestamp;
use maud::{Markup, html};

use super::bar::BarLayout;
use super::drawing::{self, Edge};
use super::look;
use crate::timeline::{Row, Scale, format_duration};

/// Ticks of the scale at the most.
const TICKS_MAX: u64 = 5;

/// The lanes; a table, so that each row is read as: when, what, how long.
pub(super) fn render_lanes(report: &Report, layout: &BarLayout) -> Markup {
    let BarLayout { rows, scale, due } = layout;
    let ticks = tick_times(scale);
    html! {
        table class="lanes" {
            caption class="hidden" { "Timeline: each event, with the phase that it began" }
            thead {
                tr {
                    th scope="col" class="number" { "after" }
                    th scope="col" { "event" }
                    th class="drawn" aria-hidden="true" { (render_axis(scale, &ticks)) }
                    th scope="col" class="number" { "took" }
                    th scope="col" { "phase" }
                }
            }
            tbody {
                @for row in rows {
                    (render_lane(report, row, scale, &ticks, *due))
                }
            }
        }
    }
}

fn render_lane(
    report: &Report,
    row: &Row,
    scale: &Scale,
    ticks: &[Duration],
    due: Option<Timestamp>,
) -> Markup {
    let (length, word) = row.right_label().unwrap_or_default();
    let edge = Edge::edges_of_report(report)
        .into_iter()
        .find(|(_, at)| *at == row.at && row.moments.is_none());
    html! {
        tr {
            td class="number" { (format_duration(row.at.since(scale.from))) }
            th scope="row" class=(look::of_news(row.news)) { (row.event) }
            td class="drawn" aria-hidden="true" {
                svg width="100%" height="22" focusable="false" {
                    @for tick in ticks {
                        (render_line(scale, scale.from.after(*tick), "grid"))
                    }
                    @if let Some(due) = due { (render_line(scale, due, "due")) }
                    (drawing::render_phase(row, scale, (4, 14)))
                    @if let Some(moments) = &row.moments {
                        @for at in &moments.at { (drawing::render_sign(moments.sign, scale, *at, 11)) }
                    }
                    @if let Some((edge, at)) = edge { (drawing::render_edge(edge, scale, at, 11)) }
                }
            }
            td class="number" { (length) }
            td { (word) }
        }
    }
}

fn render_line(scale: &Scale, at: Timestamp, class: &str) -> Markup {
    let x = drawing::percent(scale, at);
    html! { line class=(class) x1=(x) x2=(x) y1="0" y2="22" {} }
}

fn render_axis(scale: &Scale, ticks: &[Duration]) -> Markup {
    html! {
        svg width="100%" height="18" focusable="false" {
            @for tick in ticks {
                @let at = scale.from.after(*tick);
                @let anchor = if tick.is_zero() { "start" } else if scale.percent(at) > 92.0 { "end" } else { "middle" };
                text x=(drawing::percent(scale, at)) y="13" text-anchor=(anchor) { (format_duration(*tick)) }
            }
        }
    }
}

/// Round times on the scale, beginning with 0.
fn tick_times(scale: &Scale) -> Vec<Duration> {
    let whole = u64::try_from(scale.to.since(scale.from).as_nanos()).unwrap_or(u64::MAX);
    let step = tick_step(whole);
    let ticks = (0..=TICKS_MAX).map(|tick| tick.saturating_mul(step));
    ticks
        .take_while(|tick| *tick <= whole)
        .map(Duration::from_nanos)
        .collect()
}

/// The smallest of 1, 2 and 5 times a power of ten that needs no more ticks than the most.
fn tick_step(whole: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if whole / step <= TICKS_MAX {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks_up_to(nanos: u64) -> Vec<String> {
        let scale = Scale {
            from: Timestamp(7),
            to: Timestamp(7 + nanos),
        };
        tick_times(&scale)
            .into_iter()
            .map(format_duration)
            .collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks_up_to(12_033_000_000), ["0 s", "5.000 s", "10.000 s"]);
        assert_eq!(
            ticks_up_to(400_000),
            ["0 s", "100 µs", "200 µs", "300 µs", "400 µs"]
        );
        assert_eq!(ticks_up_to(0), ["0 s"]);
        assert_eq!(ticks_up_to(u64::MAX - 7).len(), 4);
    }
}
