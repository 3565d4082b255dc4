//! `workload_termination_*`: counters and histograms that outlive the subjects, bounded in the number of workloads.

use std::collections::BTreeSet;

use agent_core::report::Report;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::{Histogram, NativeHistogramConfig};
use prometheus_client::registry::Registry;

use super::definition::{self as def, Definition};
use super::label::{
    WorkloadCauseLabels, WorkloadDoubtLabels, WorkloadFindingLabels, WorkloadLabels,
    WorkloadOutcomeLabels, word,
};
use super::retained::{duration, grace_used, is_incomplete};

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

type Distribution = Family<WorkloadLabels, Histogram, Buckets>;

/// The families. Clones share the series.
#[derive(Debug)]
pub(super) struct Workload {
    outcomes: Family<WorkloadOutcomeLabels, Counter>,
    findings: Family<WorkloadFindingLabels, Counter>,
    sigkills: Family<WorkloadCauseLabels, Counter>,
    doubts: Family<WorkloadDoubtLabels, Counter>,
    hook: Distribution,
    signal_to_exit: Distribution,
    duration: Distribution,
    grace_used: Distribution,
}

/// The workloads that have series.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeSet<WorkloadLabels>);

impl Workload {
    pub(super) fn new() -> Self {
        let distribution =
            |definition: &Definition| Family::new_with_constructor(Buckets(definition.buckets()));
        Self {
            outcomes: Family::default(),
            findings: Family::default(),
            sigkills: Family::default(),
            doubts: Family::default(),
            hook: distribution(&def::WORKLOAD_HOOK),
            signal_to_exit: distribution(&def::WORKLOAD_SIGNAL_TO_EXIT),
            duration: distribution(&def::WORKLOAD_DURATION),
            grace_used: distribution(&def::WORKLOAD_GRACE_USED),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        def::WORKLOAD_OUTCOMES.register(registry, self.outcomes.clone());
        def::WORKLOAD_FINDINGS.register(registry, self.findings.clone());
        def::WORKLOAD_SIGKILLS.register(registry, self.sigkills.clone());
        def::WORKLOAD_DOUBTS.register(registry, self.doubts.clone());
        def::WORKLOAD_HOOK.register(registry, self.hook.clone());
        def::WORKLOAD_SIGNAL_TO_EXIT.register(registry, self.signal_to_exit.clone());
        def::WORKLOAD_DURATION.register(registry, self.duration.clone());
        def::WORKLOAD_GRACE_USED.register(registry, self.grace_used.clone());
    }

    /// Counts a finished termination. Gives whether its workload was one too many.
    pub(super) fn count(&self, known: &mut Known, report: &Report, workloads_max: usize) -> bool {
        let (workload, evicted) = known.admit(WorkloadLabels::of(report), workloads_max);
        self.outcomes
            .get_or_create(&WorkloadOutcomeLabels {
                workload: workload.clone(),
                outcome: word(report.outcome),
            })
            .inc();
        for finding in &report.findings {
            self.findings
                .get_or_create(&WorkloadFindingLabels {
                    workload: workload.clone(),
                    finding: word(finding.kind),
                })
                .inc();
        }
        for doubt in &report.doubts {
            self.doubts
                .get_or_create(&WorkloadDoubtLabels {
                    workload: workload.clone(),
                    doubt: word(doubt),
                })
                .inc();
        }
        if let Some(kill) = &report.kill {
            self.sigkills
                .get_or_create(&WorkloadCauseLabels {
                    workload: workload.clone(),
                    cause: word(kill.cause),
                })
                .inc();
        }
        if !is_incomplete(report) {
            self.observe(&workload, report);
        }
        evicted
    }

    fn observe(&self, workload: &WorkloadLabels, report: &Report) {
        let seconds = [
            (&self.hook, report.hook_duration()),
            (&self.signal_to_exit, report.stop_signal_to_exit()),
            (&self.duration, duration(report)),
        ];
        for (family, time) in seconds {
            if let Some(time) = time {
                family.get_or_create(workload).observe(time.as_secs_f64());
            }
        }
        if let Some(share) = grace_used(report) {
            self.grace_used.get_or_create(workload).observe(share);
        }
    }
}

impl Known {
    /// The labels to count under: the workload's own, or those of the rest when there is no room for another.
    fn admit(&mut self, workload: WorkloadLabels, workloads_max: usize) -> (WorkloadLabels, bool) {
        if self.0.contains(&workload) {
            return (workload, false);
        }
        if self.0.len() >= workloads_max {
            return (workload.other(), true);
        }
        self.0.insert(workload.clone());
        (workload, false)
    }
}
