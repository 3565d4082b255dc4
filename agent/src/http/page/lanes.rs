//! A termination in large: a lane for each event with the phase that it began, on a common scale.

use std::time::Duration;

use agent_core::report::Report;
use agent_core::time::Timestamp;
use maud::{Markup, html};

use super::bar::BarLayout;
use super::drawing::{self, Edge};
use super::look;
use crate::timeline::{Row, Scale, human};

/// Ticks of the scale at the most.
const TICKS_MAX: u64 = 5;

/// The lanes; a table, so that each row is read as: when, what, how long.
pub(super) fn lanes(report: &Report, layout: &BarLayout) -> Markup {
    let BarLayout { rows, scale, due } = layout;
    let ticks = ticks(scale);
    html! {
        table class="lanes" {
            caption class="hidden" { "Timeline: each event, with the phase that it began" }
            thead {
                tr {
                    th scope="col" class="number" { "after" }
                    th scope="col" { "event" }
                    th class="drawn" aria-hidden="true" { (axis(scale, &ticks)) }
                    th scope="col" class="number" { "took" }
                    th scope="col" { "phase" }
                }
            }
            tbody {
                @for row in rows {
                    (lane(report, row, scale, &ticks, *due))
                }
            }
        }
    }
}

fn lane(
    report: &Report,
    row: &Row,
    scale: &Scale,
    ticks: &[Duration],
    due: Option<Timestamp>,
) -> Markup {
    let (length, word) = row.right().unwrap_or_default();
    let edge = Edge::of(report)
        .into_iter()
        .find(|(_, at)| *at == row.at && row.moments.is_none());
    html! {
        tr {
            td class="number" { (human(row.at.since(scale.from))) }
            th scope="row" class=(look::of_news(row.news)) { (row.event) }
            td class="drawn" aria-hidden="true" {
                svg width="100%" height="22" focusable="false" {
                    @for tick in ticks {
                        (line(scale, scale.from.after(*tick), "grid"))
                    }
                    @if let Some(due) = due { (line(scale, due, "due")) }
                    (drawing::phase(row, scale, (4, 14)))
                    @if let Some(moments) = &row.moments {
                        @for at in &moments.at { (drawing::sign(moments.sign, scale, *at, 11)) }
                    }
                    @if let Some((edge, at)) = edge { (drawing::edge(edge, scale, at, 11)) }
                }
            }
            td class="number" { (length) }
            td { (word) }
        }
    }
}

fn line(scale: &Scale, at: Timestamp, class: &str) -> Markup {
    let x = drawing::percent(scale, at);
    html! { line class=(class) x1=(x) x2=(x) y1="0" y2="22" {} }
}

fn axis(scale: &Scale, ticks: &[Duration]) -> Markup {
    html! {
        svg width="100%" height="18" focusable="false" {
            @for tick in ticks {
                @let at = scale.from.after(*tick);
                @let anchor = if tick.is_zero() { "start" } else if scale.percent(at) > 92.0 { "end" } else { "middle" };
                text x=(drawing::percent(scale, at)) y="13" text-anchor=(anchor) { (human(*tick)) }
            }
        }
    }
}

/// Round times on the scale, beginning with 0.
fn ticks(scale: &Scale) -> Vec<Duration> {
    let whole = u64::try_from(scale.to.since(scale.from).as_nanos()).unwrap_or(u64::MAX);
    let step = step(whole);
    let ticks = (0..=TICKS_MAX).map(|tick| tick.saturating_mul(step));
    ticks
        .take_while(|tick| *tick <= whole)
        .map(Duration::from_nanos)
        .collect()
}

/// The smallest of 1, 2 and 5 times a power of ten that needs no more ticks than the most.
fn step(whole: u64) -> u64 {
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

    fn on(nanos: u64) -> Vec<String> {
        let scale = Scale {
            from: Timestamp(7),
            to: Timestamp(7 + nanos),
        };
        ticks(&scale).into_iter().map(human).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(on(12_033_000_000), ["0 s", "5.000 s", "10.000 s"]);
        assert_eq!(on(400_000), ["0 s", "100 µs", "200 µs", "300 µs", "400 µs"]);
        assert_eq!(on(0), ["0 s"]);
        assert_eq!(on(u64::MAX - 7).len(), 4);
    }
}
