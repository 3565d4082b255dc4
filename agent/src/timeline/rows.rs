//! The rows of a report, an event each.

use std::time::Duration;

use agent_core::event::{Delivery, ExitStatus};
use agent_core::report::{Hook, HookFailure, HookMethod, Outcome, Report};
use agent_core::time::Timestamp;

use super::phase::Phase;
use super::row::{Length, Row, Severity, phase_row};
use super::{traffic, words};

/// The rows of a report, in the order of their times. With `now`, phases of a report in progress last until then.
pub(crate) fn report_rows(report: &Report, now: Option<Timestamp>) -> Vec<Row> {
    let now = now.filter(|_| report.outcome == Outcome::InProgress);
    let mut rows = Vec::new();
    rows.extend(started(report));
    rows.extend(stop_request_row(report, now));
    rows.extend(hook_rows(report, now));
    rows.extend(stop_signal(report, now));
    rows.extend(kill_row(report, now));
    rows.extend(exit_row(report, now));
    let released = |at| Row::new_event(at, "released".to_owned(), Severity::Neutral, None);
    rows.extend(report.released_at.map(released));
    rows.extend(traffic::traffic_rows(report));
    rows.sort_by_key(|row| row.at);
    rows
}

/// The start of the main process, where the container ended by itself: then that is what there is to tell.
fn started(report: &Report) -> Option<Row> {
    if !matches!(report.outcome, Outcome::Crashed | Outcome::Completed) || report.hook.is_some() {
        return None;
    }
    let start = report.main.as_ref()?.start;
    let event = (start, "started".to_owned(), Severity::Neutral);
    Some(phase_row(event, Phase::Running, &[exit_time(report)], None))
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
fn stop_request_row(report: &Report, now: Option<Timestamp>) -> Option<Row> {
    let text = words::stop_request_event(report)?;
    let event = (report.started_at, text.to_owned(), Severity::Neutral);
    // A hook that begins at once, or takes the place of this row because it never ran, shows the wait itself.
    let begins = report
        .hook
        .as_ref()
        .map(|hook| hook.started_at.filter(|_| words::has_run(hook)));
    match begins {
        Some(begin) if begin.is_none_or(|begin| begin <= report.started_at) => {
            Some(phase_row(event, Phase::Over, &[], None))
        }
        Some(begin) => Some(phase_row(event, Phase::Waiting, &[begin], now)),
        None => {
            let next = next_after_hook(report);
            Some(phase_row(event, Phase::Waiting, &[next], now))
        }
    }
}

/// The hook's own run, which may go on after the stop signal, and the time between its exit and the stop signal where
/// that is long enough to matter.
fn hook_rows(report: &Report, now: Option<Timestamp>) -> Vec<Row> {
    let Some(hook) = &report.hook else {
        return Vec::new();
    };
    let next = next_after_hook(report);
    let began = hook.started_at.unwrap_or(report.started_at);
    let news = match hook.failure {
        Some(
            HookFailure::Missing
            | HookFailure::NotStarted
            | HookFailure::Reported
            | HookFailure::Unsupported,
        ) => Severity::Bad,
        Some(HookFailure::Status) | None => Severity::Neutral,
    };
    let event = (began, words::hook_event(hook), news);
    if !words::has_run(hook) {
        return vec![phase_row(event, Phase::Waiting, &[next], now)];
    }
    let death = exit_time(report).filter(|_| hook.ended_by_container);
    let mut run = phase_row(event, Phase::Hook, &[hook.ended_at, death], now);
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
    let total = report.total_duration().unwrap_or(gap);
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
    let news = if failed {
        Severity::Bad
    } else {
        Severity::Neutral
    };
    Some(phase_row(
        (ended, format!("hook {status}"), news),
        Phase::Waiting,
        &[next],
        now,
    ))
}

fn stop_signal(report: &Report, now: Option<Timestamp>) -> Option<Row> {
    let stop = report.stop_signal.as_ref()?;
    let ignored = stop.result == Delivery::Ignored;
    let (event, news) = if ignored {
        (format!("{} ignored", stop.signal), Severity::Bad)
    } else {
        (stop.signal.to_string(), Severity::Neutral)
    };
    Some(phase_row(
        (stop.at, event, news),
        Phase::Stopping,
        &[kill_time(report), exit_time(report)],
        now,
    ))
}

fn kill_row(report: &Report, now: Option<Timestamp>) -> Option<Row> {
    let event = (kill_time(report)?, "SIGKILL".to_owned(), Severity::Bad);
    Some(phase_row(event, Phase::Dying, &[exit_time(report)], now))
}

fn exit_row(report: &Report, now: Option<Timestamp>) -> Option<Row> {
    let exit = report.exit.as_ref()?;
    let news = if exit.status == ExitStatus::Code(0) {
        Severity::Good
    } else {
        Severity::Bad
    };
    let event = (exit.at, words::exit_short(exit.status), news);
    let lasts = report.released_at.or(now).is_some();
    let after = if lasts { Phase::Closing } else { Phase::Over };
    Some(phase_row(event, after, &[report.released_at], now))
}
