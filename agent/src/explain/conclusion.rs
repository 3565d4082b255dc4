//! What follows from the facts: how it ended and why, how long each step took, what is wrong, what is not certain.

use std::time::Duration;

use agent_core::report::{Doubt, Grace, HookMethod, KillCause, Report, Start};
use agent_core::time::Timestamp;
use serde::Serialize;

use super::moment::format_offset;
use super::outcome;
use crate::metrics::json_name;
use crate::timeline::{configured, format_duration, words};

/// One thing that follows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Conclusion {
    pub(super) kind: Kind,
    /// What it is: a word of the report, or the name of a duration.
    pub(super) is: String,
    /// Of a duration its length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seconds: Option<f64>,
    /// The facts that it follows from.
    pub(super) because: String,
    /// Of a finding what to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Outcome,
    Trigger,
    Duration,
    Grace,
    Connections,
    Finding,
    Doubt,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Trigger => "trigger",
            Self::Duration => "took",
            Self::Grace => "grace",
            Self::Connections => "network",
            Self::Finding => "finding",
            Self::Doubt => "doubt",
        }
    }
}

fn conclusion(kind: Kind, is: impl Into<String>, because: String) -> Conclusion {
    Conclusion {
        kind,
        is: is.into(),
        seconds: None,
        because,
        advice: None,
    }
}

/// All of them, in the order in which they build on each other.
pub(super) fn conclusions(report: &Report) -> Vec<Conclusion> {
    let mut all = vec![
        conclusion(
            Kind::Outcome,
            json_name(report.outcome),
            outcome::outcome(report),
        ),
        conclusion(
            Kind::Trigger,
            json_name(report.trigger),
            outcome::trigger(report),
        ),
    ];
    all.extend(durations(report));
    all.extend(report.grace.as_ref().map(|grace| grace_left(report, grace)));
    let network = words::network(report).into_iter();
    all.extend(network.map(|(label, text)| conclusion(Kind::Connections, label, text)));
    all.extend(report.findings.iter().map(|finding| Conclusion {
        advice: Some(finding.advice.clone()),
        ..conclusion(
            Kind::Finding,
            json_name(finding.kind),
            finding.evidence.clone(),
        )
    }));
    all.extend(
        report
            .doubts
            .iter()
            .map(|doubt| conclusion(Kind::Doubt, json_name(*doubt), of_doubt(*doubt))),
    );
    all
}

fn of_doubt(doubt: Doubt) -> String {
    let matters = if doubt.is_incomplete() {
        "the report is incomplete"
    } else {
        "the facts allow more than one reading"
    };
    format!("{} So {matters}.", words::doubt(doubt))
}

/// A moment with its name.
type Moment = (&'static str, Timestamp);

fn durations(report: &Report) -> Vec<Conclusion> {
    let start = (start_name(report.start_source), report.started_at);
    let stop = report
        .stop_signal
        .as_ref()
        .map(|stop| ("the stop signal", stop.at));
    let kill = report.kill.as_ref().map(|kill| ("SIGKILL", kill.at));
    let exit = report.exit.as_ref().map(|exit| ("the exit", exit.at));
    let release = report.released_at.map(|at| ("the release", at));
    let whole = Some(start).filter(|(_, at)| stop.is_none_or(|(_, stop)| stop != *at));
    let hook = report.hook.as_ref();
    let hook_began = hook.and_then(|hook| Some(("the hook's begin", hook.started_at?)));
    let hook_ended = hook.and_then(|hook| Some(("its end", hook.ended_at?)));
    let hook_name = match hook.map(|hook| hook.method) {
        Some(HookMethod::Inferred) => "preStop hook, inferred",
        Some(HookMethod::Observed) | None => "preStop hook",
    };
    let unready = report
        .endpoint
        .as_ref()
        .and_then(|one| Some(("not ready", one.unready_at?)));
    let arrived = report
        .connections
        .as_ref()
        .and_then(|one| Some(("the last arrival", one.last_arrival_at?)));
    [
        (hook_name, hook_began, hook_ended),
        ("stop signal to exit", stop, exit),
        ("stop signal to SIGKILL", stop, kill),
        ("SIGKILL to exit", kill, exit),
        // Without anything before it the stop signal is the start.
        ("the whole stop", whole, exit),
        ("exit to release", exit, release),
        (
            "endpoints ready",
            Some(start),
            unready.filter(|(_, at)| *at > report.started_at),
        ),
        ("connections came", Some(start), arrived),
    ]
    .into_iter()
    .filter_map(|(name, from, to)| duration(report, name, from?, to?))
    .collect()
}

/// None where nothing lies between the two.
fn duration(report: &Report, name: &str, from: Moment, to: Moment) -> Option<Conclusion> {
    let took = to.1.since(from.1);
    if took == Duration::ZERO {
        return None;
    }
    let told = |(name, at): Moment| format!("{name} ({})", format_offset(report.started_at, at));
    Some(Conclusion {
        seconds: Some(took.as_secs_f64()),
        ..conclusion(
            Kind::Duration,
            name,
            format!(
                "{}: from {} to {}",
                format_duration(took),
                told(from),
                told(to)
            ),
        )
    })
}

const fn start_name(start: Start) -> &'static str {
    match start {
        Start::Deletion => "the deletion",
        Start::Killing => "the kubelet's Killing",
        Start::Hook => "the hook's begin",
        Start::StopSignal => "the stop signal",
        Start::Kill => "SIGKILL",
        Start::Exit => "the exit",
        Start::Release => "the release",
    }
}

/// What was left of the grace, and what that says of SIGKILL.
fn grace_left(report: &Report, grace: &Grace) -> Conclusion {
    let left = configured(grace.after_hook);
    let hook = if grace.floor_used {
        format!("the hook used it up, so the kubelet's floor of {left} was left for the exit")
    } else if grace.after_hook < grace.configured {
        let hook = configured(grace.configured.saturating_sub(grace.after_hook));
        format!(
            "{hook} of it went to the hook (whole seconds count), so {left} were left for the exit"
        )
    } else {
        "all of it was left for the exit".to_owned()
    };
    let because = match sigkill_due(report, grace) {
        Some(due) => format!("{hook}; {due}"),
        None => hook,
    };
    conclusion(Kind::Grace, configured(grace.configured), because)
}

/// When SIGKILL was due, and whether it came then.
fn sigkill_due(report: &Report, grace: &Grace) -> Option<String> {
    let due = report.stop_signal.as_ref()?.at.after(grace.after_hook);
    let moment = |at| format_offset(report.started_at, at);
    let expired = report.kill.as_ref();
    let expired = expired.filter(|kill| kill.cause == KillCause::GraceExpired);
    let came = match (expired, &report.exit) {
        (Some(kill), _) => format!(" and came at {}", moment(kill.at)),
        (None, Some(exit)) if exit.at < due => {
            format!(", {} after the exit", format_duration(due.since(exit.at)))
        }
        (None, _) => String::new(),
    };
    Some(format!("SIGKILL was due at {}{came}", moment(due)))
}
