//! `workload_termination_*`: counters and histograms that outlive the subjects, bounded in the number of workloads.

mod connections;
mod known;

use agent_core::connection::ResetCount;
use agent_core::report::{Hook, Report};
use agent_core::time::Timestamp;
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model as model;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::{Histogram, NativeHistogramConfig};
use prometheus_client::registry::Registry;

use self::connections::Connections;
pub(super) use self::known::{Known, Place};
use super::Retention;
use super::definition::{self as def, Definition};
use super::exemplar::{Exemplars, Pointer};
use super::label::{Labels, SubjectRef, json_name};
use super::measured::{
    at_stop_signal, duration, endpoint_lag, grace_after_hook, grace_used, is_completed_init,
    is_incomplete, last_arrival, number,
};

/// Growth from one native bucket to the next: 10 % at the most, as Prometheus' own clients advise.
const NATIVE_FACTOR: f64 = 1.1;
/// Native buckets of one series at the most; beyond that the resolution is halved.
const NATIVE_BUCKETS_MAX: usize = 100;

/// Makes the classic and native buckets of a definition.
#[derive(Clone, Debug)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        let native = NativeHistogramConfig::with_bucket_factor(NATIVE_FACTOR)
            .max_buckets(NATIVE_BUCKETS_MAX);
        Histogram::new_classic_and_native(self.0.iter().copied(), native)
    }
}

type Count = Family<Labels, Counter>;
type Distribution = Family<Labels, Histogram, Buckets>;

/// The families. Clones share the series.
#[derive(Debug)]
pub(super) struct Workload {
    outcomes: Count,
    findings: Count,
    sigkills: Count,
    doubts: Count,
    hook_failures: Count,
    floor_used: Count,
    hook: Distribution,
    signal_to_exit: Distribution,
    duration: Distribution,
    grace_used: Distribution,
    grace_after_hook: Distribution,
    at_stop_signal: Distribution,
    last_arrival: Distribution,
    endpoint_lag: Distribution,
    connections: Connections,
    exemplars: Exemplars,
}

impl Workload {
    pub(super) fn new() -> Self {
        let distribution =
            |definition: &Definition| Family::new_with_constructor(Buckets(definition.buckets()));
        Self {
            outcomes: Family::default(),
            findings: Family::default(),
            sigkills: Family::default(),
            doubts: Family::default(),
            hook_failures: Family::default(),
            floor_used: Family::default(),
            hook: distribution(&def::WORKLOAD_HOOK),
            signal_to_exit: distribution(&def::WORKLOAD_SIGNAL_TO_EXIT),
            duration: distribution(&def::WORKLOAD_DURATION),
            grace_used: distribution(&def::WORKLOAD_GRACE_USED),
            grace_after_hook: distribution(&def::WORKLOAD_GRACE_AFTER_HOOK),
            at_stop_signal: distribution(&def::WORKLOAD_AT_STOP_SIGNAL),
            last_arrival: distribution(&def::WORKLOAD_LAST_ARRIVAL),
            endpoint_lag: distribution(&def::WORKLOAD_ENDPOINT_LAG),
            connections: Connections::default(),
            exemplars: Exemplars::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        for (definition, count) in [
            (&def::WORKLOAD_OUTCOMES, &self.outcomes),
            (&def::WORKLOAD_FINDINGS, &self.findings),
            (&def::WORKLOAD_SIGKILLS, &self.sigkills),
            (&def::WORKLOAD_DOUBTS, &self.doubts),
            (&def::WORKLOAD_HOOK_FAILURES, &self.hook_failures),
            (&def::WORKLOAD_FLOOR_USED, &self.floor_used),
        ] {
            definition.register(registry, count.clone());
        }
        for (definition, distribution) in [
            (&def::WORKLOAD_HOOK, &self.hook),
            (&def::WORKLOAD_SIGNAL_TO_EXIT, &self.signal_to_exit),
            (&def::WORKLOAD_DURATION, &self.duration),
            (&def::WORKLOAD_GRACE_USED, &self.grace_used),
            (&def::WORKLOAD_GRACE_AFTER_HOOK, &self.grace_after_hook),
            (&def::WORKLOAD_AT_STOP_SIGNAL, &self.at_stop_signal),
            (&def::WORKLOAD_LAST_ARRIVAL, &self.last_arrival),
            (&def::WORKLOAD_ENDPOINT_LAG, &self.endpoint_lag),
        ] {
            definition.register(registry, distribution.clone());
        }
        self.connections.register(registry);
    }

    /// Puts the exemplars of the histograms into what is encoded.
    pub(super) fn attach_exemplars(&self, families: &mut [model::MetricFamily]) {
        self.exemplars.attach(families);
    }

    /// Finds the place where something of this container is counted.
    pub(super) fn find_place(
        &self,
        known: &mut Known,
        who: &SubjectRef<'_>,
        now: Timestamp,
        retention: Retention,
    ) -> Place {
        let place = known.find_or_insert(who, retention, now);
        self.remove(&place.gone);
        place
    }

    /// Counts a finished termination.
    pub(super) fn count_termination(&self, known: &mut Known, place: &Place, report: &Report) {
        let mut own = Own::new(known, place.workload.clone());
        let one_more = |family: &Count, labels: Labels| {
            family.get_or_create(&labels).inc();
        };
        let trigger = json_name(report.trigger);
        let outcome = |own: Labels| own.with_label("outcome", json_name(report.outcome));
        one_more(
            &self.outcomes,
            own.series(|own| outcome(own).with_label("trigger", trigger)),
        );
        for finding in &report.findings {
            let labels = own.series(|own| own.with_label("finding", json_name(finding.kind)));
            one_more(&self.findings, labels);
        }
        for doubt in &report.doubts {
            one_more(
                &self.doubts,
                own.series(|own| own.with_label("doubt", json_name(doubt))),
            );
        }
        if let Some(kill) = &report.kill {
            let labels = own.series(|own| own.with_label("cause", json_name(kill.cause)));
            one_more(&self.sigkills, labels);
        }
        if let Some((hook, failure)) = failed_hook(report) {
            let failed = |own: Labels| own.with_label("handler", json_name(hook.kind));
            let labels = own.series(|own| failed(own).with_label("failure", json_name(failure)));
            one_more(&self.hook_failures, labels);
        }
        if report.grace.as_ref().is_some_and(|grace| grace.floor_used) {
            one_more(&self.floor_used, own.series(|own| own));
        }
        if is_completed_init(report) {
            return;
        }
        self.connections.count_connections(&mut own, report);
        if let Some(advice) = report.advice.as_ref().filter(|_| !place.is_other) {
            self.connections.advise(&own.series(|own| own), advice);
        }
        if !is_incomplete(report) {
            self.measure(&mut own, report);
        }
    }

    /// Counts resets of a container.
    pub(super) fn count_resets(&self, known: &mut Known, place: &Place, resets: &[ResetCount]) {
        let mut own = Own::new(known, place.workload.clone());
        self.connections.count_resets(&mut own, resets);
    }

    /// Takes away what was counted for workloads whose names do not come again, and that were shown long enough.
    pub(super) fn expire(&self, known: &mut Known, now: Timestamp) {
        self.remove(&known.expire(now));
    }

    fn remove(&self, series: &[Labels]) {
        for labels in series {
            for family in self.counts() {
                family.remove(labels);
            }
            for family in self.distributions() {
                family.remove(labels);
            }
            self.connections.remove(labels);
            self.exemplars.remove(labels);
        }
    }

    const fn counts(&self) -> [&Count; 6] {
        [
            &self.outcomes,
            &self.findings,
            &self.sigkills,
            &self.doubts,
            &self.hook_failures,
            &self.floor_used,
        ]
    }

    const fn distributions(&self) -> [&Distribution; 8] {
        [
            &self.hook,
            &self.signal_to_exit,
            &self.duration,
            &self.grace_used,
            &self.grace_after_hook,
            &self.at_stop_signal,
            &self.last_arrival,
            &self.endpoint_lag,
        ]
    }

    fn measure(&self, own: &mut Own<'_>, report: &Report) {
        let workload = own.series(|own| own);
        let pointer = Pointer::from_report(report);
        let seconds = |time: std::time::Duration| time.as_secs_f64();
        let observe = |definition, family: &Distribution, labels: &Labels, value| {
            let Some(value) = value else {
                return;
            };
            family.get_or_create(labels).observe(value);
            if let Some(pointer) = &pointer {
                self.exemplars.observe(definition, labels, value, pointer);
            }
        };
        for (definition, family, value) in [
            (
                &def::WORKLOAD_SIGNAL_TO_EXIT,
                &self.signal_to_exit,
                report.stop_signal_to_exit().map(seconds),
            ),
            (
                &def::WORKLOAD_DURATION,
                &self.duration,
                duration(report).map(seconds),
            ),
            (
                &def::WORKLOAD_GRACE_USED,
                &self.grace_used,
                grace_used(report),
            ),
            (
                &def::WORKLOAD_GRACE_AFTER_HOOK,
                &self.grace_after_hook,
                grace_after_hook(report).map(seconds),
            ),
            (
                &def::WORKLOAD_AT_STOP_SIGNAL,
                &self.at_stop_signal,
                at_stop_signal(report).map(number),
            ),
            (
                &def::WORKLOAD_LAST_ARRIVAL,
                &self.last_arrival,
                last_arrival(report).map(seconds),
            ),
            (
                &def::WORKLOAD_ENDPOINT_LAG,
                &self.endpoint_lag,
                endpoint_lag(report).map(seconds),
            ),
        ] {
            observe(definition, family, &workload, value);
        }
        if let Some(hook) = &report.hook {
            let labels = own.series(|own| with_hook(own, hook));
            let value = hook.duration().map(seconds);
            observe(&def::WORKLOAD_HOOK, &self.hook, &labels, value);
        }
    }
}

/// The labels of a workload, and the books in which its series are noted.
pub(super) struct Own<'a> {
    known: &'a mut Known,
    workload: Labels,
}

impl<'a> Own<'a> {
    const fn new(known: &'a mut Known, workload: Labels) -> Self {
        Self { known, workload }
    }

    /// The labels of one of its series, which is noted.
    fn series(&mut self, of: impl FnOnce(Labels) -> Labels) -> Labels {
        let series = of(self.workload.clone());
        self.known.record_series(&self.workload, &series);
        series
    }
}

/// The labels of a hook's duration.
pub(super) fn with_hook(labels: Labels, hook: &Hook) -> Labels {
    labels
        .with_label("handler", json_name(hook.kind))
        .with_label("method", json_name(hook.method))
}

fn failed_hook(report: &Report) -> Option<(&Hook, agent_core::report::HookFailure)> {
    let hook = report.hook.as_ref()?;
    Some((hook, hook.failure?))
}
