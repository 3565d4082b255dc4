//! Connections in words: how many were open, what came, what was reset and why.

use agent_core::connection::{Advice, Connections};
use agent_core::report::{Doubt, Endpoint, Outcome, Report, Start};
use agent_core::time::Timestamp;

use super::fact::{Fact, FactKind, new_fact};
use super::reset;
use crate::timeline::duration::{configured, format_duration};

/// What was measured of its connections, nothing where they are not counted.
pub(super) fn traffic_facts(report: &Report) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut tell = |label: &str, text: String| facts.push(new_fact(FactKind::Fact, label, text));
    if let Some(connections) = report
        .connections
        .as_ref()
        .filter(|_| counted_to_the_end(report))
    {
        if let Some(open) = describe_open(report, connections) {
            tell("open", open);
        }
        if let Some(arrivals) = arrivals(report, connections) {
            tell("arrivals", arrivals);
        }
        if let Some(refused) = refused(report, connections) {
            tell("refused", refused);
        }
        for text in reset::describe_resets(connections) {
            tell("reset", text);
        }
    }
    if let Some(endpoint) = &report.endpoint {
        tell("endpoint", self::endpoint(report, endpoint));
    }
    if let Some(advice) = &report.advice {
        tell("so far", so_far(report, advice));
    }
    facts
}

/// Whether the numbers are the last ones. Until they are read, there are the times of the first resets at the most.
pub(in crate::timeline) fn counted_to_the_end(report: &Report) -> bool {
    report.outcome != Outcome::InProgress && !report.doubts.contains(&Doubt::ConnectionsMissing)
}

/// `1 connection`, `2 connections`.
fn with_plural(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// The edge from which its shutdown counts: the stop signal, else SIGKILL, else the exit.
fn shutdown_edge(report: &Report) -> String {
    match (&report.stop_signal, &report.kill) {
        (Some(stop), _) => stop.signal.to_string(),
        (None, Some(_)) => "SIGKILL".to_owned(),
        (None, None) => "the exit".to_owned(),
    }
}

/// `1.203 s after the deletion`: when something was, counted from T0.
fn since_start(report: &Report, at: Timestamp) -> String {
    let start = match report.start_source {
        Start::Deletion => "the deletion",
        Start::Killing => "the kubelet began to stop it",
        Start::Hook => "the hook began",
        Start::StopSignal | Start::Kill | Start::Exit => &shutdown_edge(report),
        Start::Release => "the release",
    };
    if at < report.started_at {
        return format!(
            "{} before {start}",
            format_duration(report.started_at.since(at))
        );
    }
    format!(
        "{} after {start}",
        format_duration(at.since(report.started_at))
    )
}

/// How many there were, and what became of them.
fn describe_open(report: &Report, connections: &Connections) -> Option<String> {
    let (before, left) = (connections.at_stop_signal, connections.at_exit);
    if before == 0 && left == 0 {
        return None;
    }
    let signalled = report.stop_signal.is_some() || report.kill.is_some();
    let became = if signalled && report.exit.is_some() {
        format!(
            " · until the exit {} ended by FIN, {} left",
            none_or(connections.finished),
            was_or_were(left)
        )
    } else {
        String::new()
    };
    let own = counted(connections.initiated_at_stop_signal, |count| {
        format!(", {count} of them its own to others")
    });
    Some(format!(
        "{} at {}{}{became}",
        with_plural(before, "connection"),
        shutdown_edge(report),
        own.unwrap_or_default()
    ))
}

fn none_or(count: u64) -> String {
    if count == 0 {
        "none".to_owned()
    } else {
        count.to_string()
    }
}

fn was_or_were(count: u64) -> String {
    let verb = if count <= 1 { "was" } else { "were" };
    format!("{} {verb}", none_or(count))
}

/// What still came after it was asked to stop, and until when.
fn arrivals(report: &Report, connections: &Connections) -> Option<String> {
    let edge = shutdown_edge(report);
    let last = connections
        .last_arrival_at
        .map(|at| format!("the last connection came {}", since_start(report, at)));
    let before = counted(connections.accepted_in_hook, |count| {
        format!("{count} accepted before {edge}")
    });
    let after = counted(connections.accepted_after, |count| {
        format!("{count} accepted after {edge}")
    });
    let of_probes = counted(connections.from_node(), |count| {
        format!("{count} from the node itself, most likely probes, are not in this")
    });
    joined([before, after, last, of_probes, pollers(connections)])
}

/// Those who came as a scraper or a health check does.
fn pollers(connections: &Connections) -> Option<String> {
    let pollers = connections.pollers.iter();
    let all: Vec<_> = pollers
        .map(|poller| {
            format!(
                "{} from {} to port {} every {}",
                poller.accepted.saturating_add(poller.refused),
                poller.address,
                poller.port,
                format_duration(poller.every)
            )
        })
        .collect();
    (!all.is_empty()).then(|| format!("{}, as scrapers and health checks come", all.join(", ")))
}

/// What came and found nobody.
fn refused(report: &Report, connections: &Connections) -> Option<String> {
    let own = counted(connections.refused, |count| with_plural(count, "attempt"));
    let of_pod = counted(connections.refused_in_pod, |count| {
        format!("{count} at other ports of its pod, of which container is not known")
    });
    own.as_ref().or(of_pod.as_ref())?;
    let closed = connections
        .last_listener_closed_at
        .map(|at| format!("its last listener was closed {}", since_start(report, at)));
    joined([own, of_pod, closed])
}

pub(super) fn counted(count: u64, text: impl Fn(u64) -> String) -> Option<String> {
    (count > 0).then(|| text(count))
}

fn joined<const PARTS: usize>(parts: [Option<String>; PARTS]) -> Option<String> {
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

fn endpoint(report: &Report, endpoint: &Endpoint) -> String {
    let at = |what: &str, at: Option<Timestamp>| {
        at.map(|at| format!("{what} {}", since_start(report, at)))
    };
    let (unready, terminating) = if endpoint.unready_at == endpoint.terminating_at {
        (at("not ready and terminating", endpoint.unready_at), None)
    } else {
        (
            at("not ready", endpoint.unready_at),
            at("terminating", endpoint.terminating_at),
        )
    };
    let last = report
        .connections
        .as_ref()
        .and_then(|one| one.last_arrival_at);
    let lag = last
        .zip(endpoint.unready_at)
        .filter(|(last, unready)| last > unready)
        .map(|(last, unready)| {
            format!(
                "connections came for {} more",
                format_duration(last.since(unready))
            )
        });
    joined([unready, terminating, lag]).unwrap_or_else(|| "it stayed ready".to_owned())
}

/// What the terminations of its workload so far advise. Only pods have preStop hooks.
fn so_far(report: &Report, advice: &Advice) -> String {
    let sleep = configured(advice.pre_stop_sleep);
    let sleep = match (advice.pre_stop_sleep.is_zero(), &report.pod) {
        (true, Some(_)) => "needed no preStop sleep".to_owned(),
        (false, Some(_)) => format!("been covered by a preStop sleep of {sleep}"),
        (true, None) => "lost nothing by closing the listener at once".to_owned(),
        (false, None) => format!("been covered by going on listening for {sleep}"),
    };
    let grace = advice.grace.map_or_else(
        || "what grace period they need is not known, since too many were killed".to_owned(),
        |grace| {
            format!(
                "a grace period of {} would have sufficed",
                configured(grace)
            )
        },
    );
    format!(
        "99 % of {} terminations would have {sleep}; {grace}",
        advice.terminations
    )
}
