//! `workload_*` of connections: what is counted in finished terminations, what is advised, and resets in any phase.

use std::sync::atomic::AtomicU64;

use agent_core::connection::{Advice, Direction, ResetClass, ResetCount, Scope};
use agent_core::report::Report;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::super::definition as def;
use super::super::label::{Labels, UNKNOWN, json_name};
use super::super::measured::{at_exit, number, signalled};
use super::{Count, Own};

type Number = Family<Labels, Gauge<f64, AtomicU64>>;

/// The families. Clones share the series.
#[derive(Debug, Default)]
pub(super) struct Connections {
    reset: Count,
    at_exit: Count,
    finished: Count,
    accepted_after: Count,
    refused: Count,
    recommended_sleep: Number,
    recommended_grace: Number,
    recommendation_terminations: Number,
}

impl Connections {
    pub(super) fn register(&self, registry: &mut Registry) {
        def::WORKLOAD_AT_EXIT.register(registry, self.at_exit.clone());
        def::WORKLOAD_FINISHED.register(registry, self.finished.clone());
        def::WORKLOAD_ACCEPTED_AFTER.register(registry, self.accepted_after.clone());
        def::WORKLOAD_REFUSED.register(registry, self.refused.clone());
        def::WORKLOAD_RECOMMENDED_SLEEP.register(registry, self.recommended_sleep.clone());
        def::WORKLOAD_RECOMMENDED_GRACE.register(registry, self.recommended_grace.clone());
        def::WORKLOAD_RECOMMENDATION_TERMINATIONS
            .register(registry, self.recommendation_terminations.clone());
        def::WORKLOAD_RESETS.register(registry, self.reset.clone());
    }

    /// Counts those of a finished termination. What was measured is there at once, be it 0, so that the next one is seen as
    /// a step.
    pub(super) fn count_connections(&self, own: &mut Own<'_>, report: &Report) {
        let signalled = signalled(report);
        let all = report.connections.as_ref();
        for (family, scope, count) in [
            (&self.at_exit, None, at_exit(report)),
            (&self.finished, None, signalled.map(|all| all.finished)),
            (
                &self.accepted_after,
                None,
                signalled.map(|all| all.accepted_after),
            ),
            (
                &self.refused,
                Some(Scope::Container),
                all.map(|all| all.refused),
            ),
            (
                &self.refused,
                Some(Scope::Pod),
                all.map(|all| all.refused_in_pod),
            ),
        ] {
            let Some(count) = count else {
                continue;
            };
            let labels = own.series(|own| match scope {
                Some(scope) => own.scoped(scope),
                None => own,
            });
            family.get_or_create(&labels).inc_by(count);
        }
    }

    /// Shows the last advice.
    pub(super) fn advise(&self, workload: &Labels, advice: &Advice) {
        self.recommended_sleep
            .get_or_create(workload)
            .set(advice.pre_stop_sleep.as_secs_f64());
        self.recommendation_terminations
            .get_or_create(workload)
            .set(number(advice.terminations));
        match advice.grace {
            Some(grace) => {
                self.recommended_grace
                    .get_or_create(workload)
                    .set(grace.as_secs_f64());
            }
            // The one before does not hold any more.
            None => {
                self.recommended_grace.remove(workload);
            }
        }
    }

    /// Counts further resets.
    pub(super) fn count_resets(&self, own: &mut Own<'_>, resets: &[ResetCount]) {
        for ResetCount { class, count } in resets {
            let labels = own.series(|own| with_class(own, class));
            self.reset.get_or_create(&labels).inc_by(*count);
        }
    }

    /// Takes away what has these labels.
    pub(super) fn remove(&self, labels: &Labels) {
        for family in [
            &self.reset,
            &self.at_exit,
            &self.finished,
            &self.accepted_after,
            &self.refused,
        ] {
            family.remove(labels);
        }
        for family in [
            &self.recommended_sleep,
            &self.recommended_grace,
            &self.recommendation_terminations,
        ] {
            family.remove(labels);
        }
    }
}

/// The labels of a reset. What made it and why is told only of one that the container's side sent.
fn with_class(workload: Labels, class: &ResetClass<String>) -> Labels {
    let labels = workload
        .with_label("phase", json_name(class.phase))
        .with_label("direction", json_name(class.direction));
    let labels = match class.direction {
        Direction::Sent => labels
            .with_label("mode", json_name(class.mode))
            .with_label("reason", class.reason.as_deref().unwrap_or(UNKNOWN)),
        Direction::Received => labels,
    };
    labels.scoped(class.scope)
}
