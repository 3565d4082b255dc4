//! `workload_termination_*`: counters and histograms that outlive the subjects, bounded in the number of workloads.

mod connections;

use std::collections::BTreeMap;

use agent_core::connection::ResetCount;
use agent_core::report::{Hook, Report};
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model as model;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::{Histogram, NativeHistogramConfig};
use prometheus_client::registry::Registry;

use self::connections::Connections;
use super::definition::{self as def, Definition};
use super::exemplar::{Exemplars, Pointer};
use super::label::{Labels, Who, word};
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

/// Workloads of these kinds have a new name each time as a rule, so they take at the most half of the room: the others
/// must not end up under `other` because a node ran many jobs.
const SHORT_LIVED: [&str; 2] = ["Job", "Pod"];

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

/// The workloads that have series, and whether each is short-lived.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<Labels, bool>);

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

    /// Counts a finished termination. Gives whether its workload was one too many.
    pub(super) fn count(&self, known: &mut Known, report: &Report, workloads_max: usize) -> bool {
        let who = Who::is(report);
        let (workload, is_other) = known.admit(&who, workloads_max);
        let one_more = |family: &Count, labels| {
            family.get_or_create(&labels).inc();
        };
        let outcome = workload.clone().and("outcome", word(report.outcome));
        one_more(&self.outcomes, outcome.and("trigger", word(report.trigger)));
        for finding in &report.findings {
            let labels = workload.clone().and("finding", word(finding.kind));
            one_more(&self.findings, labels);
        }
        for doubt in &report.doubts {
            one_more(&self.doubts, workload.clone().and("doubt", word(doubt)));
        }
        if let Some(kill) = &report.kill {
            let labels = workload.clone().and("cause", word(kill.cause));
            one_more(&self.sigkills, labels);
        }
        if let Some((hook, failure)) = failed_hook(report) {
            let labels = workload.clone().and("hook", word(hook.kind));
            one_more(&self.hook_failures, labels.and("failure", word(failure)));
        }
        if report.grace.as_ref().is_some_and(|grace| grace.floor_used) {
            one_more(&self.floor_used, workload.clone());
        }
        if is_completed_init(report) {
            return is_other;
        }
        self.connections.count(&workload, report);
        if let Some(advice) = report.advice.as_ref().filter(|_| !is_other) {
            self.connections.advise(&workload, advice);
        }
        if !is_incomplete(report) {
            self.measure(workload, report);
        }
        is_other
    }

    /// Counts resets of a container. Gives whether its workload was one too many.
    pub(super) fn count_resets(
        &self,
        known: &mut Known,
        who: &Who<'_>,
        resets: &[ResetCount],
        workloads_max: usize,
    ) -> bool {
        let (workload, is_other) = known.admit(who, workloads_max);
        self.connections.count_resets(&workload, resets);
        is_other
    }

    fn measure(&self, workload: Labels, report: &Report) {
        let pointer = Pointer::to(report);
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
            let labels = with_hook(workload, hook);
            let value = hook.duration().map(seconds);
            observe(&def::WORKLOAD_HOOK, &self.hook, &labels, value);
        }
    }
}

/// The labels of a hook's duration.
pub(super) fn with_hook(labels: Labels, hook: &Hook) -> Labels {
    labels
        .and("hook", word(hook.kind))
        .and("method", word(hook.method))
}

fn failed_hook(report: &Report) -> Option<(&Hook, agent_core::report::HookFailure)> {
    let hook = report.hook.as_ref()?;
    Some((hook, hook.failure?))
}

impl Known {
    /// The labels to count under: the workload's own, or those of the rest when there is no room for another.
    fn admit(&mut self, who: &Who<'_>, workloads_max: usize) -> (Labels, bool) {
        let workload = Labels::of_workload(who);
        if self.0.contains_key(&workload) {
            return (workload, false);
        }
        let short_lived = who
            .pod
            .is_some_and(|pod| SHORT_LIVED.contains(&pod.workload.kind.as_str()));
        let has_room = self.0.len() < workloads_max
            && (!short_lived || self.short_lived() < workloads_max.div_ceil(2));
        if !has_room {
            return (Labels::of_other_workloads(who), true);
        }
        self.0.insert(workload.clone(), short_lived);
        (workload, false)
    }

    fn short_lived(&self) -> usize {
        self.0.values().filter(|short_lived| **short_lived).count()
    }
}
