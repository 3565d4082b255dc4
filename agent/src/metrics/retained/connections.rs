//! `pod_termination_*` of connections and of the pod's endpoints.

use agent_core::connection::{Direction, Scope};
use agent_core::report::Report;
use prometheus_client::registry::Registry;

use super::super::definition as def;
use super::super::label::{Labels, json_name};
use super::super::measured::{
    at_exit, at_stop_signal, endpoint_lag, last_arrival, number, signalled,
};
use super::Number;

const DIRECTIONS: [Direction; 2] = [Direction::Sent, Direction::Received];
const SCOPES: [Scope; 2] = [Scope::Container, Scope::Pod];

/// The families. Clones share the series.
#[derive(Debug, Default)]
pub(super) struct Connections {
    reset: Number,
    refused: Number,
    at_stop_signal: Number,
    at_exit: Number,
    finished: Number,
    accepted_after: Number,
    from_node: Number,
    last_arrival: Number,
    endpoint_lag: Number,
}

impl Connections {
    pub(super) fn register(&self, registry: &mut Registry) {
        def::POD_RESETS.register(registry, self.reset.clone());
        def::POD_AT_STOP_SIGNAL.register(registry, self.at_stop_signal.clone());
        def::POD_AT_EXIT.register(registry, self.at_exit.clone());
        def::POD_FINISHED.register(registry, self.finished.clone());
        def::POD_ACCEPTED_AFTER.register(registry, self.accepted_after.clone());
        def::POD_REFUSED.register(registry, self.refused.clone());
        def::POD_FROM_NODE.register(registry, self.from_node.clone());
        def::POD_LAST_ARRIVAL.register(registry, self.last_arrival.clone());
        def::POD_ENDPOINT_LAG.register(registry, self.endpoint_lag.clone());
    }

    /// Shows what a report has of them, under the labels of its subject.
    pub(super) fn set_series(&self, labels: &Labels, report: &Report) {
        let all = report.connections.as_ref();
        let signalled = signalled(report);
        for (family, value) in [
            (&self.at_stop_signal, at_stop_signal(report).map(number)),
            (&self.at_exit, at_exit(report).map(number)),
            (&self.finished, signalled.map(|all| number(all.finished))),
            (
                &self.accepted_after,
                signalled.map(|all| number(all.accepted_after)),
            ),
            (&self.from_node, all.map(|all| number(all.from_node()))),
            (
                &self.last_arrival,
                last_arrival(report).map(|time| time.as_secs_f64()),
            ),
            (
                &self.endpoint_lag,
                endpoint_lag(report).map(|time| time.as_secs_f64()),
            ),
        ] {
            if let Some(value) = value {
                family.get_or_create(labels).set(value);
            }
        }
        let Some(all) = all else {
            return;
        };
        for direction in DIRECTIONS {
            self.reset
                .get_or_create(&with_direction(labels, direction))
                .set(number(all.connections_reset(direction)));
        }
        for (scope, count) in SCOPES.into_iter().zip([all.refused, all.refused_in_pod]) {
            self.refused
                .get_or_create(&labels.clone().scoped(scope))
                .set(number(count));
        }
    }

    /// Takes away what was shown under these labels.
    pub(super) fn remove(&self, labels: &Labels) {
        for family in [
            &self.at_stop_signal,
            &self.at_exit,
            &self.finished,
            &self.accepted_after,
            &self.from_node,
            &self.last_arrival,
            &self.endpoint_lag,
        ] {
            family.remove(labels);
        }
        for direction in DIRECTIONS {
            self.reset.remove(&with_direction(labels, direction));
        }
        for scope in SCOPES {
            self.refused.remove(&labels.clone().scoped(scope));
        }
    }
}

fn with_direction(labels: &Labels, direction: Direction) -> Labels {
    labels.clone().with_label("direction", json_name(direction))
}
