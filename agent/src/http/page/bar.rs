//! A termination as one bar: its phases beside each other, the events on its edge, the resets below.

use std::time::Duration;

use agent_core::report::{Outcome, Report};
use agent_core::time::Timestamp;
use maud::{Markup, html};

use super::drawing::{self, Edge};
use crate::timeline::{Markers, Phase, Row, Scale, format_duration, report_rows, scale_of_rows};

/// Where a bar's parts are, in pixels from its top.
const EDGES: u32 = 8;
const BAR: u32 = 14;
const THICK: u32 = 18;
const RESETS: u32 = 42;

/// What an open termination without a known grace period is drawn up to: the next of these.
const HORIZONS: [u64; 6] = [10, 30, 60, 300, 900, 3600];

/// What is drawn of a report.
pub(super) struct BarLayout {
    pub(super) rows: Vec<Row>,
    pub(super) scale: Scale,
    /// When SIGKILL is due, if it is open and that is known.
    pub(super) due: Option<Timestamp>,
}

impl BarLayout {
    /// None if nothing has a time.
    pub(super) fn from_report(report: &Report, now: Timestamp) -> Option<Self> {
        let now = (report.outcome == Outcome::InProgress).then_some(now);
        let rows = report_rows(report, now);
        let mut scale = scale_of_rows(&rows, now)?;
        let due = now.and_then(|_| grace_end(report));
        if let Some(now) = now {
            // It grows towards its end, not in place.
            scale.to = scale
                .to
                .max(due.unwrap_or_else(|| horizon(scale.from, now)));
        }
        Some(Self { rows, scale, due })
    }
}

/// When the grace period ends, if the main process lives.
fn grace_end(report: &Report) -> Option<Timestamp> {
    let grace = report.grace.as_ref()?;
    if report.exit.is_some() || report.kill.is_some() {
        return None;
    }
    Some(match &report.stop_signal {
        Some(stop) => stop.at.after(grace.after_hook),
        None => report.started_at.after(grace.configured),
    })
}

fn horizon(from: Timestamp, now: Timestamp) -> Timestamp {
    let lasted = now.since(from);
    let next = HORIZONS
        .into_iter()
        .map(Duration::from_secs)
        .find(|horizon| lasted < *horizon);
    next.map_or(now, |next| from.after(next))
}

/// The bar. `id` names it in the page, `name` is whose it is.
pub(super) fn render_bar(report: &Report, layout: &BarLayout, id: &str, name: &str) -> Markup {
    let BarLayout { rows, scale, due } = layout;
    let resets: Vec<_> = rows.iter().filter_map(|row| row.moments.as_ref()).collect();
    let height = if resets.is_empty() { 34 } else { 50 };
    html! {
        svg class="bar" width="100%" height=(height) role="img" aria-labelledby={ (id) "-title " (id) "-desc" } {
            title id={ (id) "-title" } { "Timeline of " (name) }
            desc id={ (id) "-desc" } { (described(rows, scale)) }
            rect class="track" y=(BAR) width="100%" height=(THICK) {}
            @for (row, after_begin) in phases(rows) {
                // What runs beside what began before leaves some of that in sight.
                @let inset = if after_begin { 7 } else { 0 };
                (drawing::render_phase(row, scale, (BAR + inset, THICK - inset)))
            }
            (drawing::render_edges(report, scale, EDGES))
            @if let Some(due) = due {
                (drawing::render_edge(Edge::Due, scale, *due, BAR + THICK / 2))
            }
            @for moments in resets {
                (render_marks(moments, scale))
            }
        }
    }
}

fn render_marks(moments: &Markers, scale: &Scale) -> Markup {
    html! {
        @for at in &moments.at {
            (drawing::render_sign(moments.sign, scale, *at, RESETS))
        }
    }
}

/// The rows that are bars, and whether each began before the one before had ended.
fn phases(rows: &[Row]) -> Vec<(&Row, bool)> {
    let mut until = Timestamp::default();
    let mut phases = Vec::new();
    for row in rows.iter().filter(|row| row.phase != Phase::Over) {
        phases.push((row, row.at < until));
        until = until.max(row.end.unwrap_or(row.at));
    }
    phases
}

/// The rows in words, for who does not see them.
fn described(rows: &[Row], scale: &Scale) -> String {
    let rows = rows.iter().map(|row| {
        let passed = format_duration(row.at.since(scale.from));
        let right = row
            .right_label()
            .map(|(number, word)| format!(", {number} {word}"));
        format!("{passed} {}{}", row.event, right.unwrap_or_default())
    });
    rows.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::sample;

    #[test]
    fn an_open_termination_grows_towards_its_end() {
        let mut report = sample::seed_report();
        report.outcome = Outcome::InProgress;
        report.exit = None;
        report.released_at = None;
        let now = sample::at_micros(15_000_000);
        let layout = BarLayout::from_report(&report, now).unwrap();
        assert_eq!(layout.due, Some(sample::at_micros(30_009_340)));
        assert_eq!(layout.scale.to, sample::at_micros(30_009_340));
        report.grace = None;
        let layout = BarLayout::from_report(&report, now).unwrap();
        assert_eq!(
            (layout.due, layout.scale.to),
            (None, sample::at_micros(30_000_000))
        );
    }

    #[test]
    fn what_overlaps_is_told_apart() {
        let mut report = sample::seed_report();
        let layout = BarLayout::from_report(&report, sample::at_micros(0)).unwrap();
        assert!(phases(&layout.rows).iter().all(|(_, overlaps)| !overlaps));
        if let Some(hook) = &mut report.hook {
            hook.ended_at = Some(sample::at_micros(11_000_000));
            hook.running_at_stop_signal = true;
        }
        let layout = BarLayout::from_report(&report, sample::at_micros(0)).unwrap();
        let overlapping = phases(&layout.rows)
            .iter()
            .filter(|(_, overlaps)| *overlaps)
            .count();
        assert_eq!(overlapping, 1);
    }

    #[test]
    fn a_bar_is_said_in_words() {
        let report = sample::ignored();
        let layout = BarLayout::from_report(&report, sample::at_micros(0)).unwrap();
        assert_eq!(
            described(&layout.rows, &layout.scale),
            "0 s SIGTERM ignored, 30.004 s stopping; 30.004 s SIGKILL, 900 µs dying; \
             30.005 s ended by SIGKILL, 1.00 ms closing; 30.006 s released"
        );
    }
}
