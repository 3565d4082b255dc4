//! The rows of a timeline: each event of a report, and the phase that it began.

use std::time::Duration;

use agent_core::event::{Delivery, ExitStatus};
use agent_core::report::{Hook, HookFailure, HookMethod, Outcome, Report};
use agent_core::time::Timestamp;

use super::bar::Scale;
use super::duration::human;
use super::phase::Phase;
use super::words;

/// An event and the phase that it began.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) at: Timestamp,
    pub(super) event: String,
    pub(super) mark: Mark,
    pub(super) phase: Phase,
    /// When the phase ended, or now if it lasts. `None`: nobody saw the end.
    pub(super) end: Option<Timestamp>,
    /// What is known of how long it took.
    length: Length,
}

/// Whether an event is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Good,
    Bad,
    Neutral,
}

/// What is known of how long a phase took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
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
    /// How long the phase took: `2.021 s`, `>2.021 s` where its end was not seen, `≈2.021 s` where it
    /// was concluded, `?` where nothing is known.
    pub(super) fn duration_text(&self) -> String {
        let Some(end) = self.end else {
            return "?".to_owned();
        };
        let text = human(end.since(self.at));
        match self.length {
            Length::Whole | Length::SoFar => text,
            Length::AtLeast => format!(">{text}"),
            Length::Inferred => format!("≈{text}"),
        }
    }
}

/// The rows of a report, in the order of their times. With `now`, phases of a report in progress last until then.
pub(super) fn rows(report: &Report, now: Option<Timestamp>) -> Vec<Row> {
    let now = now.filter(|_| report.outcome == Outcome::InProgress);
    let mut rows = Vec::new();
    rows.extend(started(report));
    rows.extend(asked(report, now));
    rows.extend(hook(report, now));
    rows.extend(stop_signal(report, now));
    rows.extend(kill(report, now));
    rows.extend(exit(report, now));
    rows.extend(report.released_at.map(|at| Row {
        at,
        event: "released".to_owned(),
        mark: Mark::Neutral,
        phase: Phase::Over,
        end: None,
        length: Length::Whole,
    }));
    rows.sort_by_key(|row| row.at);
    rows
}

/// What the width of the bars stands for: the first to the last time of all rows.
pub(super) fn scale(rows: &[Row], now: Option<Timestamp>) -> Option<Scale> {
    let from = rows.iter().map(|row| row.at).min()?;
    let to = rows
        .iter()
        .flat_map(|row| [Some(row.at), row.end])
        .flatten()
        .max()?;
    let to = now
        .filter(|_| rows.iter().any(|row| row.length == Length::SoFar))
        .map_or(to, |now| to.max(now));
    Some(Scale { from, to })
}

/// A phase that began at `at`: until the first of `ends` that was seen, else until now if it may last.
fn phase(
    (at, event, mark): (Timestamp, String, Mark),
    phase: Phase,
    ends: &[Option<Timestamp>],
    now: Option<Timestamp>,
) -> Row {
    let seen = ends.iter().copied().flatten().next();
    Row {
        at,
        event,
        mark,
        phase,
        end: seen.or(now),
        length: if seen.is_none() && now.is_some() {
            Length::SoFar
        } else {
            Length::Whole
        },
    }
}

/// The start of the main process, where the container ended by itself: then that is what there is to tell.
fn started(report: &Report) -> Option<Row> {
    if !matches!(report.outcome, Outcome::Crashed | Outcome::Completed) || report.hook.is_some() {
        return None;
    }
    let start = report.main.as_ref()?.start;
    let event = (start, "started".to_owned(), Mark::Neutral);
    Some(phase(event, Phase::Running, &[exit_time(report)], None))
}

fn exit_time(report: &Report) -> Option<Timestamp> {
    report.exit.as_ref().map(|exit| exit.at)
}

fn kill_time(report: &Report) -> Option<Timestamp> {
    report.kill.as_ref().map(|kill| kill.at)
}

/// What came first after the request to stop.
fn next_after_hook(report: &Report) -> Option<Timestamp> {
    let stop = report.stop_signal.as_ref().map(|stop| stop.at);
    stop.or(kill_time(report)).or(exit_time(report))
}

/// The request to stop, where Kubernetes told of it: a mark, and the wait for what follows if there is one to see.
fn asked(report: &Report, now: Option<Timestamp>) -> Option<Row> {
    let text = words::asked(report)?;
    let event = (report.started_at, text.to_owned(), Mark::Neutral);
    // A hook that begins at once, or takes the place of this row because it never ran, shows the wait itself.
    let begins = report
        .hook
        .as_ref()
        .map(|hook| hook.started_at.filter(|_| words::has_run(hook)));
    match begins {
        Some(begin) if begin.is_none_or(|begin| begin <= report.started_at) => {
            Some(phase(event, Phase::Over, &[], None))
        }
        Some(begin) => Some(phase(event, Phase::Waiting, &[begin], now)),
        None => {
            let next = next_after_hook(report);
            Some(phase(event, Phase::Waiting, &[next], now))
        }
    }
}

/// The hook's own run, which may go on after the stop signal, and the time between its exit and the stop signal where
/// that is long enough to matter.
fn hook(report: &Report, now: Option<Timestamp>) -> Vec<Row> {
    let Some(hook) = &report.hook else {
        return Vec::new();
    };
    let next = next_after_hook(report);
    let began = hook.started_at.unwrap_or(report.started_at);
    let mark = match hook.failure {
        Some(HookFailure::Missing | HookFailure::Reported | HookFailure::Unsupported) => Mark::Bad,
        Some(HookFailure::Status) | None => Mark::Neutral,
    };
    let event = (began, words::hook_event(hook), mark);
    if !words::has_run(hook) {
        return vec![phase(event, Phase::Waiting, &[next], now)];
    }
    let death = exit_time(report).filter(|_| hook.ended_by_container);
    let mut run = phase(event, Phase::Hook, &[hook.ended_at, death], now);
    if run.end.is_none() {
        run.end = next;
        run.length = Length::AtLeast;
    } else if hook.method == HookMethod::Inferred && run.length == Length::Whole {
        run.length = Length::Inferred;
    }
    let mut rows = vec![run];
    rows.extend(waiting(hook, next, report, now));
    rows
}

fn waiting(
    hook: &Hook,
    next: Option<Timestamp>,
    report: &Report,
    now: Option<Timestamp>,
) -> Option<Row> {
    let ended = hook.ended_at?;
    let gap = next.or(now)?.since(ended);
    let total = report.total().unwrap_or(gap);
    let matters = gap >= Duration::from_millis(100)
        && gap * 50 >= total
        && hook.method == HookMethod::Observed;
    let failed = hook
        .status
        .is_some_and(|status| status != ExitStatus::Code(0));
    if hook.ended_by_container || hook.running_at_stop_signal || !(matters || failed) {
        return None;
    }
    let status = hook
        .status
        .map_or_else(|| "ended".to_owned(), words::exit_short);
    let mark = if failed { Mark::Bad } else { Mark::Neutral };
    Some(phase(
        (ended, format!("hook {status}"), mark),
        Phase::Waiting,
        &[next],
        now,
    ))
}

fn stop_signal(report: &Report, now: Option<Timestamp>) -> Option<Row> {
    let stop = report.stop_signal.as_ref()?;
    let ignored = stop.result == Delivery::Ignored;
    let (event, mark) = if ignored {
        (format!("{} ignored", stop.signal), Mark::Bad)
    } else {
        (stop.signal.to_string(), Mark::Neutral)
    };
    Some(phase(
        (stop.at, event, mark),
        Phase::Stopping,
        &[kill_time(report), exit_time(report)],
        now,
    ))
}

fn kill(report: &Report, now: Option<Timestamp>) -> Option<Row> {
    let event = (kill_time(report)?, "SIGKILL".to_owned(), Mark::Bad);
    Some(phase(event, Phase::Dying, &[exit_time(report)], now))
}

fn exit(report: &Report, now: Option<Timestamp>) -> Option<Row> {
    let exit = report.exit.as_ref()?;
    let mark = if exit.status == ExitStatus::Code(0) {
        Mark::Good
    } else {
        Mark::Bad
    };
    let event = (exit.at, words::exit_short(exit.status), mark);
    let lasts = report.released_at.or(now).is_some();
    let after = if lasts { Phase::Closing } else { Phase::Over };
    Some(phase(event, after, &[report.released_at], now))
}
