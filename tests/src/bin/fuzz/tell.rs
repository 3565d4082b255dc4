//! What is told of one stop: what was wrong, what was done, and the case to play it again.

use std::io::Write as _;

use crate::case::Case;
use crate::judge::{Judgement, Wrong};
use crate::runner::{Ending, Tried};
use crate::stage::Played;

/// Says what is wrong with one; `all` also what is not.
pub(crate) fn print_tried(tried: &Tried, all: bool) {
    let lines = describe_lines(tried, all);
    if lines.is_empty() {
        return;
    }
    // Whole, so that what is told of others does not come between.
    let text = lines.join("\n    ");
    writeln!(std::io::stdout().lock(), "{text}").ok();
}

fn describe_lines(tried: &Tried, all: bool) -> Vec<String> {
    let Tried {
        number,
        case,
        ending,
    } = tried;
    let (judgement, played, reports) = match ending {
        Ending::StageFailed(why) => return vec![format!("stop {number}: no stage: {why}")],
        Ending::Judged {
            judgement,
            played,
            reports,
        } => (judgement, played, reports),
    };
    let mut lines = match judgement {
        Judgement::Wrong(wrong) => {
            let mut lines = vec![format!("stop {number} ... WRONG")];
            lines.extend(wrong.iter().map(in_words));
            lines.extend(
                judgement
                    .fault_class()
                    .map(|class| format!("class: {class}")),
            );
            lines
        }
        Judgement::Unsure {
            doubts,
            allowed: false,
        } => {
            let doubts = doubts.join(", ");
            vec![format!(
                "stop {number} ... unsure, and it could know: {doubts}"
            )]
        }
        Judgement::Right { .. } | Judgement::Unsure { .. } | Judgement::Unseen if all => {
            vec![format!("stop {number} ... {judgement:?}")]
        }
        Judgement::Right { .. } | Judgement::Unsure { .. } | Judgement::Unseen => {
            return Vec::new();
        }
    };
    lines.push(format!("case: {}", as_json(case)));
    lines.push(course(played));
    lines.extend(reports.iter().map(|report| format!("report: {report}")));
    lines
}

fn in_words(wrong: &Wrong) -> String {
    let Wrong {
        what,
        expected,
        reported,
    } = wrong;
    format!("{what}: {reported} was reported, and it was {expected}")
}

/// What was done, in the order of time.
fn course(played: &Played) -> String {
    let ms =
        |at: agent_core::time::Timestamp| at.since(played.started_after).as_secs_f64() * 1000.0;
    let mut steps: Vec<(f64, String)> = Vec::new();
    for sent in &played.sent {
        let of_stop = if sent.is_of_stop { " (stop)" } else { "" };
        let text = format!("signal {} by {:?}{of_stop}", sent.signal, sent.from);
        steps.push((ms(sent.span.before), text));
    }
    let is_mask = |line: &str| line.contains("mask");
    let log = played.log.iter().filter(|(_, line)| !is_mask(line));
    steps.extend(log.map(|(at, line)| (ms(*at), format!("`{line}`"))));
    steps.extend(played.frozen.iter().flat_map(|span| {
        [
            (ms(span.before), "frozen".to_owned()),
            (ms(span.after), "thawed".to_owned()),
        ]
    }));
    steps.push((ms(played.told_at), format!("{}", played.status)));
    steps.sort_by(|one, other| one.0.total_cmp(&other.0));
    let steps: Vec<String> = steps
        .into_iter()
        .map(|(at, what)| format!("{at:.1} {what}"))
        .collect();
    format!("course in ms: {}", steps.join("; "))
}

pub(crate) fn as_json(case: &Case) -> String {
    serde_json::to_string(case).unwrap_or_else(|error| error.to_string())
}
