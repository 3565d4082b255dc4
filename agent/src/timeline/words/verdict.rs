//! The verdict of a report in one sentence, with the durations that it rests on.

use std::time::Duration;

use agent_core::event::{ExitStatus, Handler};
use agent_core::report::{KillCause, Outcome, Report};
use agent_core::time::Timestamp;

use super::{has_run, hook_event, stop_request_event};
use crate::timeline::duration::{configured, format_duration};

/// How it ended, or what it waits for, in one sentence.
pub(crate) fn verdict(report: &Report) -> String {
    match report.outcome {
        Outcome::InProgress => format!("In progress: {}.", next_step(report, None)),
        Outcome::Graceful => graceful(report),
        Outcome::SignalIgnored => format!(
            "Ignored {}: the kernel threw it away, the process never saw it. {}.",
            stop_name(report),
            killed(report)
        ),
        Outcome::GraceExceeded => {
            format!(
                "Got {} and did not exit in time. {}.",
                stop_name(report),
                killed(report)
            )
        }
        Outcome::ForceKilled => {
            "Killed by SIGKILL without a stop signal before: no chance to end in order.".to_owned()
        }
        Outcome::KilledByOther => format!(
            "{}, which is part of no ordinary stop.",
            describe_end(report)
        ),
        Outcome::OomKilled => "Killed by the kernel because memory ran out.".to_owned(),
        Outcome::ExitedEarly => {
            format!(
                "{} while it was being terminated, before any stop signal.",
                describe_end(report)
            )
        }
        Outcome::Crashed => format!(
            "{}, not by a stop{}.",
            describe_end(report),
            lifetime(report)
        ),
        Outcome::Completed => format!(
            "Ended by itself with status 0, not by a stop{}.",
            lifetime(report)
        ),
        Outcome::Unknown => match &report.exit {
            Some(_) => format!(
                "{}; the facts do not suffice to say why.",
                describe_end(report)
            ),
            None => "The facts do not suffice to say how it ended.".to_owned(),
        },
    }
}

/// What an open termination waits for, in few words.
pub(crate) fn next_step(report: &Report, now: Option<Timestamp>) -> String {
    if report.exit.is_some() {
        return "exited, closing".to_owned();
    }
    if report.kill.is_some() {
        return "SIGKILL sent, no exit yet".to_owned();
    }
    if let Some(stop) = &report.stop_signal {
        let left = report.grace.as_ref().zip(now).map(|(grace, now)| {
            let passed = now.since(stop.at);
            grace
                .after_hook
                .checked_sub(passed)
                .ok_or_else(|| passed.saturating_sub(grace.after_hook))
        });
        return match left {
            Some(Ok(left)) => format!("{}, SIGKILL in {}", stop.signal, coarse(left)),
            Some(Err(late)) => format!("SIGKILL due {} ago", coarse(late)),
            None => format!("{}, no exit yet", stop.signal),
        };
    }
    match &report.hook {
        Some(hook) if has_run(hook) && hook.ended_at.is_none() => {
            format!("{} is running", hook_event(hook))
        }
        Some(_) => "waiting for stop signal".to_owned(),
        None if stop_request_event(report).is_some() => "waiting for stop signal".to_owned(),
        None => "waiting".to_owned(),
    }
}

/// Tenths of a second: what a ticking display can show without flicker.
fn coarse(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

fn graceful(report: &Report) -> String {
    let stop = stop_name(report);
    let after = report
        .stop_signal_to_exit()
        .map(format_duration)
        .unwrap_or_default();
    let handler = report.stop_signal.as_ref().map(|signal| signal.handler);
    let how = match report.exit.as_ref().map(|exit| exit.status) {
        Some(ExitStatus::Signal { signal, .. })
            if handler == Some(Handler::Default)
                && report
                    .stop_signal
                    .as_ref()
                    .is_some_and(|stop| stop.signal == signal) =>
        {
            format!("Ended by {stop} itself within {after}: it has no handler")
        }
        Some(ExitStatus::Signal { signal, .. }) => {
            format!("Ended by {signal}, {after} after {stop}")
        }
        Some(ExitStatus::Code(code)) => {
            format!("Exited by itself with status {code}, {after} after {stop}")
        }
        None => format!("Exited after {stop}"),
    };
    match &report.grace {
        Some(grace) if grace.after_hook < grace.configured => format!(
            "{how}; {} of its {} grace were left for that.",
            configured(grace.after_hook),
            configured(grace.configured)
        ),
        Some(grace) => format!("{how}; its grace is {}.", configured(grace.configured)),
        None => format!("{how}."),
    }
}

/// `SIGKILL ended it 10.004 s after SIGTERM`, and why it came then.
fn killed(report: &Report) -> String {
    let when = report
        .stop_signal_to_kill()
        .map(|after| format!(" came {} later", format_duration(after)))
        .unwrap_or_default();
    let why = match (&report.grace, report.kill.as_ref().map(|kill| kill.cause)) {
        (Some(grace), Some(KillCause::GraceExpired)) if grace.floor_used => format!(
            ", at the floor of {}: the hook had used up the {} grace",
            configured(grace.after_hook),
            configured(grace.configured)
        ),
        (Some(grace), Some(KillCause::GraceExpired)) if grace.after_hook < grace.configured => {
            format!(
                ", when the {} that were left of its {} grace were over",
                configured(grace.after_hook),
                configured(grace.configured)
            )
        }
        (Some(grace), Some(KillCause::GraceExpired)) => {
            format!(", when its {} grace was over", configured(grace.configured))
        }
        (None, Some(KillCause::GraceExpired)) => ", as at the end of a grace period".to_owned(),
        _ => String::new(),
    };
    format!("SIGKILL{when}{why}")
}

fn stop_name(report: &Report) -> String {
    report.stop_signal.as_ref().map_or_else(
        || "the stop signal".to_owned(),
        |stop| stop.signal.to_string(),
    )
}

/// `Exited by itself with status 3`, `Ended by SIGSEGV (core dumped)`.
fn describe_end(report: &Report) -> String {
    match report.exit.as_ref().map(|exit| exit.status) {
        Some(ExitStatus::Code(code)) => format!("Exited by itself with status {code}"),
        Some(ExitStatus::Signal {
            signal,
            core_dumped: false,
        }) => format!("Ended by {signal}"),
        Some(ExitStatus::Signal {
            signal,
            core_dumped: true,
        }) => format!("Ended by {signal} (core dumped)"),
        None => "Its end was not seen".to_owned(),
    }
}

fn lifetime(report: &Report) -> String {
    let lived = report
        .main
        .as_ref()
        .zip(report.exit.as_ref())
        .map(|(main, exit)| exit.at.since(main.start));
    lived
        .map(|lived| format!(", after it had run for {}", format_duration(lived)))
        .unwrap_or_default()
}
