//! The numbers of a termination, each by everybody who knows it.

use agent_core::connection::Direction;
use gracewatch_tests::harness::Disagreements;

use crate::capture::{Observed, Range};
use crate::clients::Met;
use crate::expected::Expected;
use crate::told::Numbers;

/// One number by everybody who knows it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) expected: Option<u64>,
    pub(crate) report: u64,
    pub(crate) metrics: Option<f64>,
    pub(crate) capture: Option<Range>,
    pub(crate) clients: Option<u64>,
}

impl Row {
    /// Whether all who know it say the same.
    pub(crate) fn agrees(&self) -> bool {
        let mut found = Disagreements::default();
        self.add_disagreements(&mut found);
        found == Disagreements::default()
    }

    /// Adds who disagrees with whom. The capture saw what happened: who differs from it is wrong, be it the agent, the
    /// clients or the plan. Where it cannot tell, the agent is compared with the clients, and else with the plan.
    pub(crate) fn add_disagreements(&self, to: &mut Disagreements) {
        let (what, report) = (self.what, self.report);
        #[expect(clippy::cast_precision_loss, reason = "a count of a test, below 2^52")]
        let exported = self
            .metrics
            .is_none_or(|metrics| (metrics - report as f64).abs() < 0.5);
        if !exported {
            let words = format!(
                "{what}: {report} in the report, {:?} in the metrics",
                self.metrics
            );
            to.wrong.push(words);
        }
        if let Some(capture) = self.capture.filter(|capture| !capture.contains(report)) {
            let words = format!("{what}: {report} in the report, {capture} in the capture");
            to.wrong.push(words);
        }
        for (whose, number) in [("clients", self.clients), ("plan", self.expected)] {
            let Some(number) = number.filter(|number| *number != report) else {
                continue;
            };
            let words = format!("{what}: {report} in the report, {number} by the {whose}");
            match self.capture {
                Some(capture) if !capture.contains(number) => to.off_plan.push(words),
                _ => to.unlike_plan.push(words),
            }
        }
    }
}

/// Who knows numbers, beside the agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Others<'a> {
    pub(crate) observed: &'a Observed,
    pub(crate) expected: Option<&'a Expected>,
    pub(crate) met: Option<&'a Met>,
}

/// A row for each number.
pub(crate) fn number_rows(
    report: &Numbers<u64>,
    metrics: &Numbers<Option<f64>>,
    others: Others<'_>,
) -> Vec<Row> {
    let told = |what, of: fn(&Numbers<u64>) -> u64, exported: fn(&Numbers<Option<f64>>) -> _| Row {
        what,
        expected: None,
        report: of(report),
        metrics: exported(metrics),
        capture: None,
        clients: None,
    };
    let known = |row, capture, of: fn(&Expected) -> u64| Row {
        expected: others.expected.map(of),
        capture,
        ..row
    };
    let by_clients = |row, of: fn(&Met) -> u64| Row {
        clients: others.met.map(of),
        ..row
    };
    let observed = others.observed;
    let exactly = |number| Some(Range::exactly(number));
    let sent = told("resets sent", |all| all.sent, |all| all.sent);
    let reset = told(
        "connections reset since T0",
        |all| all.connections_reset,
        |all| all.connections_reset,
    );
    let received = told("resets received", |all| all.received, |all| all.received);
    let refused = told("refused", |all| all.refused, |all| all.refused);
    let in_pod = told(
        "… scope pod",
        |all| all.refused_in_pod,
        |all| all.refused_in_pod,
    );
    let after = told(
        "accepted after",
        |all| all.accepted_after,
        |all| all.accepted_after,
    );
    let at_stop = told(
        "at stop signal",
        |all| all.at_stop_signal,
        |all| all.at_stop_signal,
    );
    let at_exit = told("at exit", |all| all.at_exit, |all| all.at_exit);
    let finished = told("finished between", |all| all.finished, |all| all.finished);
    let sent = known(sent, exactly(observed.sent), |all| {
        all.resets(Direction::Sent)
    });
    let received = known(received, exactly(observed.received), |all| {
        all.resets(Direction::Received)
    });
    let refused = known(refused, exactly(observed.refused), |all| all.refused);
    let after = known(after, Some(observed.accepted_after), |all| {
        all.accepted_after
    });
    vec![
        by_clients(sent, |met| met.reset + met.refused),
        Row {
            capture: Some(observed.connections_reset),
            ..reset
        },
        by_clients(received, |met| met.aborted),
        by_clients(refused, |met| met.refused),
        known(in_pod, None, |all| all.refused_in_pod),
        by_clients(after, |met| met.accepted_after),
        known(at_stop, Some(observed.at_stop_signal), |all| {
            all.at_stop_signal
        }),
        known(at_exit, Some(observed.at_exit), |all| all.at_exit),
        known(finished, Some(observed.finished), |all| all.finished),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disagreements(
        report: u64,
        capture: Option<Range>,
        clients: u64,
        expected: u64,
    ) -> [usize; 3] {
        let row = Row {
            what: "resets sent",
            expected: Some(expected),
            report,
            metrics: Some(3.0),
            capture,
            clients: Some(clients),
        };
        let mut found = Disagreements::default();
        row.add_disagreements(&mut found);
        [found.wrong, found.unlike_plan, found.off_plan].map(|list| list.len())
    }

    #[test]
    fn who_differs_from_the_capture_is_wrong() {
        let three = Some(Range::exactly(3));
        assert_eq!(disagreements(3, three, 3, 3), [0, 0, 0]);
        assert_eq!(disagreements(3, three, 2, 4), [0, 0, 2]);
        // The report, from the capture and from its own metrics; the others say what the report says.
        assert_eq!(disagreements(4, three, 4, 4), [2, 0, 0]);
        // The report as well, and the others say what the capture says.
        assert_eq!(disagreements(4, three, 3, 3), [2, 2, 0]);
    }

    #[test]
    fn where_the_capture_cannot_tell_the_plan_counts() {
        let any = Some(Range { least: 2, most: 4 });
        assert_eq!(disagreements(3, any, 3, 4), [0, 1, 0]);
        assert_eq!(disagreements(3, None, 2, 3), [0, 1, 0]);
    }
}
