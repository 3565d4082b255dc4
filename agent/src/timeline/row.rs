//! A row of a timeline: an event, and the phase that it began, or the moments of many events alike.

use agent_core::time::Timestamp;

use super::bar::Scale;
use super::duration::format_duration;
use super::moments::Markers;
use super::phase::Phase;

/// An event and the phase that it began.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) at: Timestamp,
    pub(crate) event: String,
    pub(crate) news: Severity,
    pub(crate) phase: Phase,
    /// When the phase ended, or now if it lasts. `None`: nobody saw the end.
    pub(crate) end: Option<Timestamp>,
    /// What is known of how long it took.
    pub(crate) length: Length,
    /// What is drawn in the place of a bar.
    pub(crate) moments: Option<Markers>,
}

/// Whether an event is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Good,
    Bad,
    Neutral,
}

/// What is known of how long a phase took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// From begin to end.
    Whole,
    /// It was seen to last so long, and longer.
    AtLeast,
    /// It lasts.
    SoFar,
    /// Concluded, not seen.
    Inferred,
}

impl Row {
    /// An event that began no phase, or several alike.
    pub(super) const fn new_event(
        at: Timestamp,
        event: String,
        news: Severity,
        moments: Option<Markers>,
    ) -> Self {
        Self {
            at,
            event,
            news,
            phase: Phase::Over,
            end: None,
            length: Length::Whole,
            moments,
        }
    }

    /// What stands right of the bar: how long the phase took and its name, or how many events there were.
    pub(crate) fn right_label(&self) -> Option<(String, &'static str)> {
        if let Some(in_all) = self.moments.as_ref().and_then(|moments| moments.in_all) {
            return Some((in_all.to_string(), "in all"));
        }
        (self.phase != Phase::Over).then(|| (self.duration_text(), self.phase.name()))
    }

    fn last_moment(&self) -> Option<Timestamp> {
        self.moments.as_ref()?.at.iter().max().copied()
    }

    /// How long the phase took: `2.021 s`, `>2.021 s` where its end was not seen, `≈2.021 s` where it
    /// was concluded, `?` where nothing is known.
    fn duration_text(&self) -> String {
        let Some(end) = self.end else {
            return "?".to_owned();
        };
        let text = format_duration(end.since(self.at));
        match self.length {
            Length::Whole | Length::SoFar => text,
            Length::AtLeast => format!(">{text}"),
            Length::Inferred => format!("≈{text}"),
        }
    }
}

/// What the width of the bars stands for: the first to the last time of all rows.
pub(crate) fn scale_of_rows(rows: &[Row], now: Option<Timestamp>) -> Option<Scale> {
    let from = rows.iter().map(|row| row.at).min()?;
    let to = rows
        .iter()
        .flat_map(|row| [Some(row.at), row.end, row.last_moment()])
        .flatten()
        .max()?;
    let to = now
        .filter(|_| rows.iter().any(|row| row.length == Length::SoFar))
        .map_or(to, |now| to.max(now));
    Some(Scale { from, to })
}

/// A phase that began at `at`: until the first of `ends` that was seen, else until now if it may last.
pub(super) fn phase_row(
    (at, event, news): (Timestamp, String, Severity),
    phase: Phase,
    ends: &[Option<Timestamp>],
    now: Option<Timestamp>,
) -> Row {
    let seen = ends.iter().copied().flatten().next();
    Row {
        at,
        event,
        news,
        phase,
        end: seen.or(now),
        length: if seen.is_none() && now.is_some() {
            Length::SoFar
        } else {
            Length::Whole
        },
        moments: None,
    }
}
