//! An explanation as text and as JSON, and the list of what is remembered.

use agent_core::report::Report;
use serde::Serialize;

use super::choose::Chosen;
use super::conclusion::{Conclusion, Kind, conclusions};
use super::fact::{Milestone, milestones};
use super::moment::{format_date, format_offset};
use super::source::Remembered;
use crate::metrics::json_name;
use crate::terminal::text::{self, Line};
use crate::terminal::{BAD, DIM, GOOD, ODD, STRONG, Style};
use crate::timeline::{self, format_duration, paint, words};

/// Columns of a fact's source and of a conclusion's kind.
const LABEL: usize = 9;

/// The picture, the facts in order, and what follows.
pub(super) fn render_text(remembered: &Remembered, chosen: &Chosen<'_>, style: &Style) -> String {
    let report = chosen.report;
    let mut out = timeline::picture(report, style);
    out.push('\n');
    out.push_str(&render_title(
        "What happened",
        &counted_from(remembered, report),
        style,
    ));
    let facts = milestones(report);
    let moment = |fact: &Milestone| format_offset(report.started_at, fact.at);
    let widest = facts
        .iter()
        .map(|fact| text::display_width(&moment(fact)))
        .max();
    let widest = widest.unwrap_or(0);
    // A hundred resets alike are one thing to know.
    let alike =
        |one: &Milestone, next: &Milestone| (one.source, &one.what) == (next.source, &next.what);
    for several in facts.chunk_by(alike) {
        let (Some(first), Some(last)) = (several.first(), several.last()) else {
            continue;
        };
        let times = match (several.len(), first.peer) {
            (1, Some(peer)) => format!(" · peer {peer}"),
            (1, None) => String::new(),
            (times, _) => format!(" · {times} times, until {}", moment(last)),
        };
        out.push_str(&fact_line(first, &moment(first), &times, widest, style));
    }
    out.push('\n');
    out.push_str(&render_title(
        "What follows",
        "each with the facts that it follows from",
        style,
    ));
    for conclusion in conclusions(report) {
        out.push_str(&conclusion_lines(&conclusion, style));
    }
    out.push('\n');
    out.push_str(&render_title("Whose it was", "", style));
    for (label, text) in words::identity(report) {
        let mut line = Line::new(style);
        line.push_plain("  ");
        line.painted(DIM, &label);
        line.fill_to(2 + LABEL + 2);
        out.push_str(&line.paragraph(&text));
    }
    out.push_str(&others(chosen, style));
    out
}

fn render_title(title: &str, about: &str, style: &Style) -> String {
    let mut line = Line::new(style);
    line.painted(STRONG, title);
    if about.is_empty() {
        return line.finish() + "\n";
    }
    line.push_plain(", ");
    line.paragraph(about)
}

/// `counted from the deletion of the pod, 2026-11-27T04:00:01.123Z`
fn counted_from(remembered: &Remembered, report: &Report) -> String {
    let start = match remembered
        .wall_at_boot
        .and_then(|wall| format_date(report.started_at, wall))
    {
        Some(date) => format!("T0, {date} by the node's clock"),
        None => "T0, where the termination starts".to_owned(),
    };
    format!("counted from {start}")
}

fn fact_line(fact: &Milestone, moment: &str, times: &str, widest: usize, style: &Style) -> String {
    let mut line = Line::new(style);
    line.push_plain(&" ".repeat(2 + widest - text::display_width(moment)));
    line.painted(DIM, moment);
    line.push_plain("  ");
    line.painted(DIM, fact.source.as_str());
    line.fill_to(2 + widest + 2 + LABEL + 2);
    let hook = fact
        .hook
        .map(|hook| format!(" ({hook})"))
        .unwrap_or_default();
    line.paragraph(&format!("{}{times}{hook}", fact.what))
}

fn conclusion_lines(conclusion: &Conclusion, style: &Style) -> String {
    let mut line = Line::new(style);
    line.push_plain("  ");
    let paint = match conclusion.kind {
        Kind::Finding => BAD.bold(),
        Kind::Doubt => ODD.bold(),
        Kind::Outcome | Kind::Trigger | Kind::Duration | Kind::Grace | Kind::Connections => DIM,
    };
    line.painted(paint, conclusion.kind.as_str());
    line.fill_to(2 + LABEL + 2);
    let joint = match conclusion.kind {
        Kind::Duration => " ",
        Kind::Outcome | Kind::Trigger => ", because ",
        Kind::Grace | Kind::Connections | Kind::Finding | Kind::Doubt => ": ",
    };
    let mut out = line.paragraph(&format!("{}{joint}{}", conclusion.is, conclusion.because));
    if let Some(advice) = &conclusion.advice {
        let mut line = Line::new(style);
        line.push_plain("  ");
        line.painted(GOOD.bold(), "advice");
        line.fill_to(2 + LABEL + 2);
        out.push_str(&line.paragraph(advice));
    }
    out
}

/// That there were more of the same container.
fn others(chosen: &Chosen<'_>, style: &Style) -> String {
    if chosen.others.is_empty() {
        return String::new();
    }
    let numbers: Vec<_> = chosen
        .others
        .iter()
        .map(|one| format!("#{}", one.id))
        .collect();
    let line = Line::new(style);
    format!(
        "\n{}",
        line.paragraph(&format!(
            "This is the last of {}; explain an earlier one by its number: {}.",
            numbers.len() + 1,
            numbers.join(", ")
        ))
    )
}

/// `#12  shop/web-7d4b9c6f5-x2x9k/app  graceful  2.021 s`
pub(super) fn summary_line(report: &Report) -> String {
    let total = report
        .total_duration()
        .map(format_duration)
        .unwrap_or_default();
    format!(
        "#{}  {}  {}  {total}",
        report.id,
        timeline::name(report),
        json_name(report.outcome)
    )
    .trim_end()
    .to_owned()
}

/// A line for each termination that is remembered.
pub(super) fn render_list(remembered: &Remembered, style: &Style) -> String {
    if remembered.reports.is_empty() {
        return format!(
            "{} remembers no termination yet; stop a service or a container, and ask again.\n",
            remembered.whose
        );
    }
    let mut out = format!(
        "{} remembers {}, the newest first:\n\n",
        remembered.whose,
        match remembered.reports.len() {
            1 => "1 termination".to_owned(),
            many => format!("{many} terminations"),
        }
    );
    for report in &remembered.reports {
        out.push_str(&render_row(remembered, report, style));
        out.push('\n');
    }
    out.push_str(
        "\n`gracewatch explain NAME` (or `last`, or a number such as '#1') explains one of them.\n",
    );
    out
}

fn render_row(remembered: &Remembered, report: &Report, style: &Style) -> String {
    let ended = report
        .exit
        .as_ref()
        .map(|exit| exit.at)
        .or(report.released_at);
    let date = remembered
        .wall_at_boot
        .and_then(|wall| format_date(ended.unwrap_or(report.started_at), wall))
        .unwrap_or_default();
    let total = report
        .total_duration()
        .filter(|total| !total.is_zero())
        .map(format_duration)
        .unwrap_or_default();
    let mut line = Line::new(style);
    line.painted(DIM, &format!("{:>5}  ", format!("#{}", report.id)));
    let right = 2
        + 16
        + 12
        + if date.is_empty() {
            0
        } else {
            2 + text::display_width(&date)
        };
    let room = style.width.saturating_sub(line.width() + right).max(20);
    let begin = line.width();
    line.painted(STRONG, &timeline::short_name(report, room));
    line.fill_to(begin + room + 2);
    line.painted(
        paint::of_outcome(report.outcome),
        &json_name(report.outcome),
    );
    line.fill_to(begin + room + 2 + 16);
    line.push_plain(&format!("{total:>12}"));
    line.push_plain("  ");
    line.painted(DIM, &date);
    line.finish()
}

/// The report, its facts and its conclusions as one object.
pub(super) fn render_json(
    remembered: &Remembered,
    chosen: &Chosen<'_>,
) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Explanation<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        wall_at_boot: Option<u64>,
        facts: Vec<Milestone>,
        conclusions: Vec<Conclusion>,
        report: &'a Report,
    }
    pretty(&Explanation {
        wall_at_boot: remembered.wall_at_boot,
        facts: milestones(chosen.report),
        conclusions: conclusions(chosen.report),
        report: chosen.report,
    })
}

/// What is remembered, as one object.
pub(super) fn json_list(remembered: &Remembered) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct List<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        wall_at_boot: Option<u64>,
        terminations: &'a [Report],
    }
    pretty(&List {
        wall_at_boot: remembered.wall_at_boot,
        terminations: &remembered.reports,
    })
}

fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(text)
}
