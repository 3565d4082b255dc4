//! An open termination in one line, for a display that ticks.

use agent_core::report::Report;
use agent_core::time::Timestamp;

use super::bar::Scale;
use super::moments::Marker;
use super::name::short_name;
use super::paint;
use super::phase::Phase;
use super::row::{Row, scale_of_rows};
use super::rows::report_rows;
use super::traffic::sign_of;
use super::words;
use crate::terminal::text::{self, Line};
use crate::terminal::{DIM, NORMAL, STRONG, Style};

/// Columns of what it waits for.
const NEXT: usize = 27;
/// Columns of the number and of how long it has lasted.
const NUMBER: usize = 6;
const LASTED: usize = 10;
/// Columns of the subject's name: no fewer, also where the line then gets too long; and no more.
const NAME_MIN: usize = 18;
const NAME_MAX: usize = 64;

/// Draws an open termination in one line: whose it is, its phases so far to scale in one bar with a sign where it was
/// reset (see [`LEGEND`](super::LEGEND)), how long it has lasted, what it waits for. No newline.
pub fn render_open(report: &Report, now: Timestamp, style: &Style) -> String {
    let rows = report_rows(report, Some(now));
    let bar = if style.width < 90 { 12 } else { 18 };
    let taken = NUMBER + 1 + bar + LASTED + NEXT;
    let name = style.width.saturating_sub(taken).clamp(NAME_MIN, NAME_MAX);
    let mut line = Line::new(style);
    line.painted(DIM, &format!("{:>4}  ", format!("#{}", report.id)));
    line.painted(STRONG, &short_name(report, name));
    line.fill_to(NUMBER + name + 1);
    if let Some(scale) = scale_of_rows(&rows, Some(now)) {
        let resets = resets(report, &scale, bar);
        for (column, reset) in resets.into_iter().enumerate() {
            if let Some(sign) = reset {
                line.painted(paint::of_sign(sign), &sign.symbol().to_string());
            } else {
                let phase = phase_at(&rows, &scale, (column, bar));
                line.painted(phase.map_or(NORMAL, paint::of_phase), texture(phase, style));
            }
        }
    }
    line.fill_to(NUMBER + name + 1 + bar);
    line.painted(STRONG, &format!("{:>8}  ", tenths(report, now)));
    let room = style.width.saturating_sub(line.width());
    line.push_plain(&text::truncate(
        &words::next_step(report, Some(now)),
        room,
        style,
    ));
    line.finish()
}

fn tenths(report: &Report, now: Timestamp) -> String {
    let lasted = report
        .total_duration()
        .unwrap_or_else(|| now.since(report.started_at));
    let tenths = lasted.as_millis() / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// Of each column the reset that is drawn over it: of several kinds the one that tells most of the container.
fn resets(report: &Report, scale: &Scale, columns: usize) -> Vec<Option<Marker>> {
    let mut drawn = vec![None; columns];
    let marks = report.connections.iter().flat_map(|one| &one.marks);
    for mark in marks {
        let (column, sign) = (scale.column(mark.at, columns), sign_of(mark));
        if let Some(cell) = drawn.get_mut(column) {
            *cell = Some(cell.map_or(sign, |before: Marker| before.min(sign)));
        }
    }
    drawn
}

/// The phase in the middle of a column: the one that began last of those that had not ended.
fn phase_at(rows: &[Row], scale: &Scale, (column, columns): (usize, usize)) -> Option<Phase> {
    let whole = scale.to.since(scale.from);
    let parts = u32::try_from(2 * columns).unwrap_or(u32::MAX);
    let middle = scale
        .from
        .after(whole / parts * u32::try_from(2 * column + 1).unwrap_or(u32::MAX));
    let lasts = |row: &&Row| row.at <= middle && row.end.is_some_and(|end| end >= middle);
    rows.iter().rev().find(lasts).map(|row| row.phase)
}

const fn texture(phase: Option<Phase>, style: &Style) -> &'static str {
    match (phase, style.unicode) {
        (Some(Phase::Hook), true) => "▒",
        (Some(Phase::Hook), false) => "=",
        (Some(Phase::Running | Phase::Stopping), true) => "█",
        (Some(Phase::Running | Phase::Stopping), false) => "#",
        (Some(Phase::Dying), true) => "▓",
        (Some(Phase::Dying), false) => "x",
        (Some(Phase::Waiting | Phase::Closing | Phase::Over), true) => "░",
        (Some(Phase::Waiting | Phase::Closing | Phase::Over), false) => ".",
        (None, _) => " ",
    }
}
