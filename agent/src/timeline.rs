//! A report as a person reads it: its phases as bars to scale, then the verdict in words with its reasons.
//!
//! Everything here is pure: a report and a style in, text out.

mod bar;
mod duration;
mod moments;
mod name;
mod open;
pub(crate) mod paint;
mod phase;
mod row;
mod rows;
#[cfg(test)]
pub(crate) mod sample;
mod steps;
#[cfg(test)]
mod tests;
mod traffic;
pub(crate) mod words;

use agent_core::report::Report;

use crate::terminal::text::{self, Line};
use crate::terminal::{DIM, STRONG};

pub(crate) use self::bar::Scale;
pub(crate) use self::duration::configured;
pub use self::duration::format_duration;
pub use self::moments::LEGEND;
pub(crate) use self::moments::{Marker, Markers};
pub use self::name::name;
pub(crate) use self::name::short_name;
pub(crate) use self::name::workload_kind;
pub use self::open::render_open;
pub(crate) use self::phase::Phase;
pub(crate) use self::row::{Row, Severity, scale_of_rows};
pub(crate) use self::rows::report_rows;
pub(crate) use self::steps::report_steps;
pub(crate) use self::traffic::sign_of;
pub(crate) use self::words::{
    Fact, FactKind, certainty, next_step, phase_name, report_facts, reset_kinds, sign_and_word,
    trigger, verdict,
};
pub use crate::terminal::Style;

/// Columns of a phase's name.
const NAME: usize = 8;
/// A bar has at least so many columns, also where the line then gets too long.
const BAR_MIN: usize = 10;
/// The subject's name has at least so many columns, also where the heading then gets too long.
const NAME_MIN: usize = 20;
/// Columns of the label in front of a fact.
const LABEL: usize = 8;

/// Draws a report as a timeline: a heading, one row for each event with the phase that it began as a bar to scale,
/// one for each kind of reset with a sign for each of them,
/// the verdict in words, who did what, the findings and the doubts. Ends with a newline.
///
/// A report in progress is drawn up to the last fact that it holds.
pub fn render(report: &Report, style: &Style) -> String {
    let mut out = picture(report, style);
    for fact in report_facts(report) {
        out.push_str(&labelled(&fact, style));
    }
    out
}

/// The heading, the rows and the verdict of [`render`], without the facts below them.
pub(crate) fn picture(report: &Report, style: &Style) -> String {
    let mut out = heading(report, style);
    out.push('\n');
    for line in render_bars(&report_rows(report, None), style) {
        out.push_str(&line);
        out.push('\n');
    }
    for line in text::wrap_lines(&verdict(report), style.width.saturating_sub(2)) {
        let mut strong = Line::new(style);
        strong.push_plain("  ");
        strong.painted(STRONG, &line);
        out.push_str(&strong.finish());
        out.push('\n');
    }
    out
}

/// `#3  shop/web-7d4b9c6f5-x2x9k/app  Deployment            ✔ GRACEFUL  2.02 s`
fn heading(report: &Report, style: &Style) -> String {
    let mut badge = words::outcome_badge(report.outcome, style);
    if let Some(certainty) = certainty(report) {
        badge = format!("{badge} ({certainty})");
    }
    let total = report
        .total_duration()
        .filter(|total| !total.is_zero())
        .map(|total| format!("  {}", format_duration(total)))
        .unwrap_or_default();
    let number = format!("#{}", report.id);
    let kind = workload_kind(report);
    let taken = text::display_width(&number)
        + text::display_width(&badge)
        + text::display_width(&total)
        + kind.len()
        + 6;
    let name = short_name(report, style.width.saturating_sub(taken).max(NAME_MIN));
    let mut line = Line::new(style);
    line.painted(DIM, &number);
    line.push_plain("  ");
    line.painted(STRONG, &name);
    line.push_plain("  ");
    line.painted(DIM, &kind);
    let right = text::display_width(&badge) + text::display_width(&total);
    line.fill_to(style.width.saturating_sub(right).max(line.width() + 2));
    line.painted(paint::of_outcome(report.outcome), &badge);
    line.painted(STRONG, &total);
    line.finish()
}

/// Where the parts of a row begin, and how wide they are, in columns.
struct Columns {
    time: usize,
    event: usize,
    bar: usize,
    duration: usize,
}

impl Columns {
    fn from_rows(rows: &[Row], scale: &Scale, style: &Style) -> Self {
        let widest = |text: fn(&Row, &Scale) -> String| {
            rows.iter()
                .map(|row| text::display_width(&text(row, scale)))
                .max()
                .unwrap_or(0)
        };
        let time = widest(passed).max(8);
        let event = widest(|row, _| row.event.clone());
        let right = |row: &Row, _: &Scale| {
            row.right_label()
                .map_or_else(String::new, |(number, _)| number)
        };
        let duration = widest(right).max(8);
        let taken = 2 + time + 2 + event + 2 + 1 + duration + 1 + NAME;
        Self {
            time,
            event,
            bar: style.width.saturating_sub(taken).max(BAR_MIN),
            duration,
        }
    }
}

/// When an event was, counted from the first.
fn passed(row: &Row, scale: &Scale) -> String {
    format_duration(row.at.since(scale.from))
}

/// The rows as lines: when, what, the bar, how long, which phase.
fn render_bars(rows: &[Row], style: &Style) -> Vec<String> {
    let Some(scale) = scale_of_rows(rows, None) else {
        return Vec::new();
    };
    let columns = Columns::from_rows(rows, &scale, style);
    rows.iter()
        .map(|row| bar_line(row, &scale, &columns, style))
        .collect()
}

fn bar_line(row: &Row, scale: &Scale, columns: &Columns, style: &Style) -> String {
    let mut line = Line::new(style);
    line.push_plain("  ");
    let passed = passed(row, scale);
    line.push_plain(&" ".repeat(columns.time.saturating_sub(text::display_width(&passed))));
    line.painted(DIM, &passed);
    line.push_plain("  ");
    line.painted(paint::of_event(row), &row.event);
    let bar_begin = 2 + columns.time + 2 + columns.event + 2;
    line.fill_to(bar_begin);
    if let Some(end) = row.end {
        let (blank, cells) = bar::render_span(scale, (row.at, end), columns.bar, style);
        line.push_plain(&" ".repeat(blank));
        line.painted(paint::of_phase(row.phase), &cells);
    }
    if let Some(moments) = &row.moments {
        line.painted(
            paint::of_sign(moments.sign),
            &moments.render_cells(scale, columns.bar),
        );
    }
    if let Some((number, word)) = row.right_label() {
        let blank = columns
            .duration
            .saturating_sub(text::display_width(&number));
        line.fill_to(bar_begin + columns.bar + 1 + blank);
        line.push_plain(&number);
        line.push_plain(" ");
        line.painted(DIM, word);
    }
    line.finish()
}

/// A fact with its label in front, wrapped under itself.
fn labelled(fact: &Fact, style: &Style) -> String {
    let mut line = Line::new(style);
    line.push_plain("  ");
    line.painted(paint::of_fact(fact.kind), &fact.label);
    line.fill_to((2 + LABEL).max(line.width()) + 2);
    line.paragraph(&fact.text)
}
