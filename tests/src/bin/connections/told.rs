//! What the agent tells of one container's connections: in its report, and in its metrics.

use std::time::Duration;

use agent_core::connection::{Connections, Direction, ResetClass};
use agent_core::report::Report;
use anyhow::Result;
use gracewatch_tests::claim;
use gracewatch_tests::harness::OrWrong as _;
use gracewatch_tests::whole::Whole;
use serde::Serialize;

use crate::capture::Edges;
use crate::case::{REPORT_LIMIT, Stage};
use crate::pod::Container;
use crate::series::Series;

/// The numbers that are compared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers<N> {
    pub(crate) sent: N,
    /// Of those sent, the ones since T0 that did not answer an attempt.
    pub(crate) connections_reset: N,
    pub(crate) received: N,
    /// Of either scope.
    pub(crate) refused: N,
    pub(crate) refused_in_pod: N,
    pub(crate) accepted_after: N,
    pub(crate) at_stop_signal: N,
    pub(crate) at_exit: N,
    pub(crate) finished: N,
}

impl<N: Copy> Numbers<N> {
    fn combine(&self, other: &Self, add: impl Fn(N, N) -> N) -> Self {
        Self {
            sent: add(self.sent, other.sent),
            connections_reset: add(self.connections_reset, other.connections_reset),
            received: add(self.received, other.received),
            refused: add(self.refused, other.refused),
            refused_in_pod: add(self.refused_in_pod, other.refused_in_pod),
            accepted_after: add(self.accepted_after, other.accepted_after),
            at_stop_signal: add(self.at_stop_signal, other.at_stop_signal),
            at_exit: add(self.at_exit, other.at_exit),
            finished: add(self.finished, other.finished),
        }
    }
}

impl Numbers<u64> {
    /// Those of two containers together.
    pub(crate) fn sum_with(&self, other: &Self) -> Self {
        self.combine(other, |one, other| one + other)
    }
}

impl Numbers<Option<f64>> {
    /// Those of two containers together, as far as both are known.
    pub(crate) fn sum_of_known(&self, other: &Self) -> Self {
        self.combine(other, |one, other| Some(one? + other?))
    }
}

/// What was told of one termination.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) report: Report,
    pub(crate) connections: Option<Connections>,
    pub(crate) report_numbers: Numbers<u64>,
    pub(crate) metrics: Numbers<Option<f64>>,
    series: Series,
}

impl Told {
    /// Removes the container's cgroup, as a runtime does, and waits for its report.
    pub(crate) fn end_and_wait(stage: &Stage<'_>, container: &Container<'_>) -> Result<Self> {
        container.cgroup.remove()?;
        Self::wait_for_report(&stage.rig.agent, container)
    }

    /// Waits for the report of a container whose cgroup was removed.
    pub(crate) fn wait_for_report(agent: &Whole, container: &Container<'_>) -> Result<Self> {
        let report = agent.wait_report(container.cgroup.path(), REPORT_LIMIT)?;
        let series = Series::scrape(agent)?;
        let connections = report.connections.clone();
        let told = Self {
            report_numbers: connections.as_ref().map(of_report).unwrap_or_default(),
            metrics: of_metrics(&series, &report),
            connections,
            report,
            series,
        };
        told.check_edges(container)?;
        Ok(told)
    }

    /// When its phases began.
    pub(crate) fn phase_edges(&self) -> Result<Edges> {
        let report = &self.report;
        let closing = report
            .exit
            .as_ref()
            .or_wrong(|| "the report has no exit".to_owned())?
            .at;
        let kill = report.kill.as_ref().map(|kill| kill.at);
        let stop = report.stop_signal.as_ref().map(|stop| stop.at);
        let stopping = stop.or(kill).unwrap_or(closing);
        Ok(Edges {
            hook: report.started_at.min(stopping),
            stopping,
            closing,
            slack: Duration::ZERO,
        })
    }

    /// The edges are what the capture is cut by, so they must be what was done.
    fn check_edges(&self, container: &Container<'_>) -> Result<()> {
        let spans = [
            (
                "stop signal",
                self.report.stop_signal.as_ref().map(|stop| stop.at),
                container.signal,
            ),
            (
                "SIGKILL",
                self.report.kill.as_ref().map(|kill| kill.at),
                container.kill,
            ),
        ];
        for (what, at, span) in spans {
            claim!(
                at.is_some() == span.is_some()
                    && at.zip(span).is_none_or(|(at, span)| span.contains(at)),
                "{what}: reported at {at:?}, but sent within {span:?}"
            );
        }
        Ok(())
    }

    /// The resets by class, sorted.
    pub(crate) fn classes(&self) -> Vec<(ResetClass<String>, u64)> {
        let resets = self.connections.iter().flat_map(|all| &all.resets);
        let mut classes: Vec<_> = resets.map(|one| (one.class.clone(), one.count)).collect();
        classes.sort();
        classes
    }

    /// The exported number of resets of a class; none if it is not exported or no whole number.
    pub(crate) fn exported(&self, class: &ResetClass<String>) -> Option<u64> {
        let workload = &self.report.subject.name;
        let words = [
            json_name(class.phase),
            json_name(class.direction),
            json_name(class.mode),
            json_name(class.scope),
        ];
        let [phase, direction, mode, scope] = words.each_ref().map(String::as_str);
        let mut labels = vec![
            ("workload", workload.as_str()),
            ("phase", phase),
            ("direction", direction),
            ("scope", scope),
        ];
        // Of those received nobody tells more, so that these labels are not there.
        if class.direction == Direction::Sent {
            labels.push(("mode", mode));
            labels.push(("reason", class.reason.as_deref().unwrap_or("unknown")));
        }
        to_whole(self.series.sum_of(RESETS, &labels)?)
    }
}

const RESETS: &str = "workload_connections_reset_total";

fn of_report(connections: &Connections) -> Numbers<u64> {
    let resets = |direction| {
        let all = connections.resets.iter();
        all.filter(|one| one.class.direction == direction)
            .map(|one| one.count)
            .sum()
    };
    Numbers {
        sent: resets(Direction::Sent),
        connections_reset: connections.connections_reset(Direction::Sent),
        received: resets(Direction::Received),
        refused: connections.refused + connections.refused_in_pod,
        refused_in_pod: connections.refused_in_pod,
        accepted_after: connections.accepted_after,
        at_stop_signal: connections.at_stop_signal,
        at_exit: connections.at_exit,
        finished: connections.finished,
    }
}

fn of_metrics(series: &Series, report: &Report) -> Numbers<Option<f64>> {
    let (name, path) = (&report.subject.name, &report.subject.path);
    // A counter of what never happened has no series.
    let resets = |direction| {
        let labels = [("workload", name.as_str()), ("direction", direction)];
        Some(series.sum_of(RESETS, &labels).unwrap_or(0.0))
    };
    let pod = |what: &str, labels: &[(&str, &str)]| {
        let name = format!("pod_termination_connections_{what}");
        let labels = [&[("cgroup", path.as_str())], labels].concat();
        Some(series.sum_of(&name, &labels).unwrap_or(f64::NAN))
    };
    Numbers {
        sent: resets("sent"),
        connections_reset: pod("reset", &[("direction", "sent")]),
        received: resets("received"),
        refused: pod("refused", &[]),
        refused_in_pod: pod("refused", &[("scope", "pod")]),
        accepted_after: pod("accepted_after_stop_signal", &[]),
        at_stop_signal: pod("at_stop_signal", &[]),
        at_exit: pod("at_exit", &[]),
        finished: pod("finished", &[]),
    }
}

/// The label's value of one of the report's words.
fn json_name(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}

fn to_whole(value: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked by casting it back"
    )]
    let number = value as u64;
    #[expect(clippy::cast_precision_loss, reason = "this is the check")]
    let same = number as f64 - value;
    (same.abs() < f64::EPSILON).then_some(number)
}
