//! Checks as lines for people and as JSON.

use serde::Serialize;

use super::verdict::{Check, Verdict};
use crate::terminal::text::Line;
use crate::terminal::{BAD, GOOD, ODD, STRONG, Style};

/// Columns of a verdict.
const VERDICT: usize = 4;
/// Columns of a check's name.
const NAME: usize = 13;

/// All checks and whether the agent can run, as one JSON object.
pub(super) fn render_json(checks: &[Check], can_run: bool) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Answer<'a> {
        can_run: bool,
        checks: &'a [Check],
    }
    let mut text = serde_json::to_string_pretty(&Answer { can_run, checks })?;
    text.push('\n');
    Ok(text)
}

/// A line or more for each check, and the conclusion.
pub(super) fn render_text(checks: &[Check], style: &Style) -> String {
    let mut out = String::new();
    for check in checks {
        let (word, color) = match check.verdict {
            Verdict::Ok => ("ok", GOOD),
            Verdict::Warn => ("warn", ODD.bold()),
            Verdict::Fail => ("FAIL", BAD.bold()),
        };
        let mut line = Line::new(style);
        line.painted(color, word);
        line.fill_to(VERDICT + 2);
        line.painted(STRONG, check.name);
        line.fill_to(VERDICT + 2 + NAME + 2);
        out.push_str(&line.paragraph(&check.found));
        if let Some(remedy) = &check.remedy {
            let mut line = Line::new(style);
            line.fill_to(VERDICT + 2 + NAME);
            line.painted(GOOD, if style.unicode { "→ " } else { "> " });
            out.push_str(&line.paragraph(remedy));
        }
    }
    if checks.iter().all(|check| check.verdict != Verdict::Fail) {
        out.push_str(
            "\nThe agent can run here: `gracewatch watch` shows terminations as they happen.\n",
        );
    }
    out
}
