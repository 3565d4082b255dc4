//! What a report measures, as both families tell it. `None`: it was not measured, and there is no series; a 0 would
//! stand for something that was.

use std::time::Duration;

use agent_core::connection::Connections;
use agent_core::pod::Role;
use agent_core::report::{Outcome, Report, Start};

/// An init container that did its work: nothing was stopped, and there are more of them than of anything else.
pub(super) fn is_completed_init(report: &Report) -> bool {
    let role = report.pod.as_ref().and_then(|pod| pod.role);
    role == Some(Role::Init) && report.outcome == Outcome::Completed
}

/// Whether facts are missing.
pub(super) fn is_incomplete(report: &Report) -> bool {
    report.doubts.iter().any(|doubt| doubt.is_incomplete())
}

/// How long the stop took, from its start on. What ended without being asked to has no such duration.
pub(super) fn duration(report: &Report) -> Option<Duration> {
    report.total_duration().filter(|_| was_asked(report))
}

fn was_asked(report: &Report) -> bool {
    matches!(report.start_source, Start::Deletion | Start::Killing)
        || report.hook.is_some()
        || report.stop_signal.is_some()
}

/// What the hook left of the grace for the stop signal.
pub(super) fn grace_after_hook(report: &Report) -> Option<Duration> {
    report.hook.as_ref()?;
    Some(report.grace.as_ref()?.after_hook)
}

/// [`duration`] as a share of the configured grace.
pub(super) fn grace_used(report: &Report) -> Option<f64> {
    let grace = report.grace.as_ref()?.configured;
    (!grace.is_zero()).then_some(duration(report)?.as_secs_f64() / grace.as_secs_f64())
}

/// Its connections, if a stop signal or SIGKILL came: what ended by itself has none at, between and after these.
pub(super) fn signalled(report: &Report) -> Option<&Connections> {
    let has_signal = report.stop_signal.is_some() || report.kill.is_some();
    report.connections.as_ref().filter(|_| has_signal)
}

/// Connections at the stop signal.
pub(super) fn at_stop_signal(report: &Report) -> Option<u64> {
    Some(signalled(report)?.at_stop_signal)
}

/// Connections at the exit.
pub(super) fn at_exit(report: &Report) -> Option<u64> {
    report.exit.as_ref()?;
    Some(report.connections.as_ref()?.at_exit)
}

/// How long connections came, from the start of the stop on.
pub(super) fn last_arrival(report: &Report) -> Option<Duration> {
    let last = report.connections.as_ref()?.last_arrival_at?;
    was_asked(report).then(|| last.since(report.started_at))
}

/// How long the pod's endpoints stayed ready, from the start of the stop on.
pub(super) fn endpoint_lag(report: &Report) -> Option<Duration> {
    let unready = report.endpoint.as_ref()?.unready_at?;
    was_asked(report).then(|| unready.since(report.started_at))
}

/// As the metrics' formats have numbers.
#[expect(
    clippy::cast_precision_loss,
    reason = "the formats' numbers are floats; counts stay exact up to 2^53"
)]
pub(super) const fn number(count: u64) -> f64 {
    count as f64
}
