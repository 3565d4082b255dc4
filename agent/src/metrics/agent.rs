//! `gracewatch_*`: the agent itself.

use std::sync::atomic::{AtomicU64, Ordering};

use agent_common::map::FullMap;
use agent_core::output::{DropReason, UnreportedReason};
use agent_core::report::{Report, Subject};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::definition as def;
use super::label::{Labels, json_name, record_kind};
use crate::agent_event::{AgentEvent, EventFate};
use crate::probes::{Counts, RunStats};

/// The families. Clones share the series.
#[derive(Debug, Default)]
pub(super) struct Agent {
    /// Empty where nothing measures: in a replay.
    start_time: Family<Labels, Gauge<f64, AtomicU64>>,
    probe_attached: Family<Labels, Gauge>,
    tcp_feature_available: Family<Labels, Gauge>,
    records: Family<Labels, Counter>,
    records_lost: Family<Labels, Counter>,
    map_full: Family<Labels, Counter>,
    decode_errors: Family<Labels, Counter>,
    dropped: Family<Labels, Counter>,
    updates_failed: Family<Labels, Counter>,
    unattributed: Family<Labels, Counter>,
    pods_known: Gauge,
    watch_connected: Family<Labels, Gauge>,
    api_errors: Family<Labels, Counter>,
    kubernetes_events: Family<Labels, Counter>,
    tracked: Family<Labels, Gauge>,
    unreported: Family<Labels, Counter>,
    open: Gauge,
    series_evicted: Family<Labels, Counter>,
    scans: Counter,
    scan_duration: Gauge<f64, AtomicU64>,
    scan_cgroups: Gauge,
    program_runs: Family<Labels, Counter>,
    program_seconds: Family<Labels, Counter<f64, AtomicU64>>,
    journal_bytes: Gauge,
    journal_stopped: Gauge,
}

/// The pod was not known in time.
const POD_UNKNOWN: &str = "pod_unknown";
/// The pod was known, and none of its containers had the id.
const CONTAINER_UNKNOWN: &str = "container_unknown";
/// Of a container that is gone no record found room.
const UNTOLD: &str = "records_lost";

impl Agent {
    pub(super) fn register(&self, registry: &mut Registry) {
        let version = Labels::from_label("version", env!("CARGO_PKG_VERSION"));
        def::BUILD.register(registry, Info::new(version));
        def::START_TIME.register(registry, self.start_time.clone());
        def::PROBE_ATTACHED.register(registry, self.probe_attached.clone());
        def::TCP_FEATURE_AVAILABLE.register(registry, self.tcp_feature_available.clone());
        def::RECORDS.register(registry, self.records.clone());
        def::RECORDS_LOST.register(registry, self.records_lost.clone());
        def::MAP_FULL.register(registry, self.map_full.clone());
        def::DECODE_ERRORS.register(registry, self.decode_errors.clone());
        def::DROPPED.register(registry, self.dropped.clone());
        def::UPDATES_FAILED.register(registry, self.updates_failed.clone());
        def::UNATTRIBUTED.register(registry, self.unattributed.clone());
        def::PODS_KNOWN.register(registry, self.pods_known.clone());
        def::WATCH_CONNECTED.register(registry, self.watch_connected.clone());
        def::API_ERRORS.register(registry, self.api_errors.clone());
        def::KUBERNETES_EVENTS.register(registry, self.kubernetes_events.clone());
        def::TRACKED.register(registry, self.tracked.clone());
        def::UNREPORTED.register(registry, self.unreported.clone());
        def::OPEN.register(registry, self.open.clone());
        def::SERIES_EVICTED.register(registry, self.series_evicted.clone());
        def::SCANS.register(registry, self.scans.clone());
        def::SCAN_DURATION.register(registry, self.scan_duration.clone());
        def::SCAN_CGROUPS.register(registry, self.scan_cgroups.clone());
        def::PROGRAM_RUNS.register(registry, self.program_runs.clone());
        def::PROGRAM_SECONDS.register(registry, self.program_seconds.clone());
        def::JOURNAL_BYTES.register(registry, self.journal_bytes.clone());
        def::JOURNAL_STOPPED.register(registry, self.journal_stopped.clone());
        // A loss or an error must be seen as a step from 0, not as a series that begins.
        for reason in DropReason::ALL {
            drop(
                self.dropped
                    .get_or_create(&Labels::from_label("reason", json_name(reason))),
            );
        }
        for reason in UnreportedReason::ALL {
            let label = Labels::from_label("reason", json_name(reason));
            drop(self.unreported.get_or_create(&label));
        }
        for reason in [POD_UNKNOWN, CONTAINER_UNKNOWN] {
            drop(
                self.unattributed
                    .get_or_create(&Labels::from_label("reason", reason)),
            );
        }
        for fate in EventFate::ALL {
            let label = Labels::from_label("result", fate.name());
            drop(self.kubernetes_events.get_or_create(&label));
        }
    }

    pub(super) fn dropped(&self, reason: DropReason) {
        self.dropped
            .get_or_create(&Labels::from_label("reason", json_name(reason)))
            .inc();
    }

    pub(super) fn unreported(&self, reason: UnreportedReason) {
        self.unreported
            .get_or_create(&Labels::from_label("reason", json_name(reason)))
            .inc();
    }

    /// Counts a finished report whose container is not known by name.
    pub(super) fn attributed(&self, report: &Report) {
        let reason = match (&report.pod, &report.subject.pod_uid) {
            (None, Some(_)) => POD_UNKNOWN,
            (Some(pod), _) if pod.container.is_none() => CONTAINER_UNKNOWN,
            (Some(_) | None, _) => return,
        };
        self.unattributed
            .get_or_create(&Labels::from_label("reason", reason))
            .inc();
    }

    pub(super) fn tracked(&self, subject: &Subject, added: bool) {
        let label = Labels::from_label("kind", json_name(subject.kind));
        let gauge = self.tracked.get_or_create(&label);
        if added {
            gauge.inc();
        } else {
            gauge.dec();
        }
    }

    pub(super) fn set_open_terminations(&self, terminations: usize) {
        set_gauge(&self.open, terminations);
    }

    pub(super) fn evicted(&self, family: &'static str, series: u64) {
        if series > 0 {
            self.series_evicted
                .get_or_create(&Labels::from_label("family", family))
                .inc_by(series);
        }
    }

    pub(super) fn record_agent_event(&self, event: &AgentEvent<'_>) {
        match event {
            AgentEvent::Started(wall) => {
                self.start_time.get_or_create(&Labels::default()).set(*wall);
            }
            AgentEvent::Attached(programs) => {
                for state in *programs {
                    self.probe_attached
                        .get_or_create(&Labels::from_label("probe", state.program.name))
                        .set(i64::from(state.refused.is_none()));
                }
            }
            AgentEvent::TcpFeatures(facts) => {
                for (fact, is_visible) in *facts {
                    self.tcp_feature_available
                        .get_or_create(&Labels::from_label("feature", fact.name()))
                        .set(i64::from(*is_visible));
                }
            }
            AgentEvent::Scanned { took, cgroups } => {
                self.scans.inc();
                self.scan_duration.set(took.as_secs_f64());
                set_gauge(&self.scan_cgroups, *cgroups);
            }
            AgentEvent::Full(_) => {}
            AgentEvent::Counted(counts) => self.counted(counts),
            AgentEvent::ProgramsRan(programs) => self.programs_ran(programs),
            AgentEvent::Undecodable(reason) => {
                self.decode_errors
                    .get_or_create(&Labels::from_label("reason", *reason))
                    .inc();
            }
            AgentEvent::UpdateFailed(update) => {
                self.updates_failed
                    .get_or_create(&Labels::from_label("update", update.name()))
                    .inc();
            }
            AgentEvent::Journal { bytes, stopped } => {
                self.journal_bytes
                    .set(i64::try_from(*bytes).unwrap_or(i64::MAX));
                self.journal_stopped.set(i64::from(*stopped));
            }
            AgentEvent::Watching {
                resource,
                connected,
            } => {
                self.watch_connected
                    .get_or_create(&Labels::from_label("resource", *resource))
                    .set(i64::from(*connected));
            }
            AgentEvent::ApiFailed { resource, reason } => {
                self.api_errors
                    .get_or_create(
                        &Labels::from_label("resource", *resource).with_label("reason", *reason),
                    )
                    .inc();
            }
            AgentEvent::PodsKnown(pods) => set_gauge(&self.pods_known, *pods),
            AgentEvent::EventWritten(fate) => {
                self.kubernetes_events
                    .get_or_create(&Labels::from_label("result", fate.name()))
                    .inc();
            }
        }
    }

    fn programs_ran(&self, programs: &[RunStats]) {
        for program in programs {
            let label = Labels::from_label("program", program.name);
            raise_counter(&self.program_runs.get_or_create(&label), program.runs);
            let seconds = program.run_time.as_secs_f64();
            self.program_seconds
                .get_or_create(&label)
                .inner()
                .store(seconds.to_bits(), Ordering::Relaxed);
        }
    }

    fn counted(&self, counts: &Counts) {
        for (family, by_kind) in [
            (&self.records, &counts.recorded),
            (&self.records_lost, &counts.lost),
        ] {
            for (kind, count) in by_kind {
                raise_counter(
                    &family.get_or_create(&Labels::from_label("kind", record_kind(*kind))),
                    *count,
                );
            }
        }
        let untold = self
            .unreported
            .get_or_create(&Labels::from_label("reason", UNTOLD));
        raise_counter(&untold, counts.untold);
        for (full, count) in &counts.map_full {
            let map = match full {
                FullMap::Subjects => "subjects",
                FullMap::Watched => "watched",
                FullMap::Resets => "resets",
                FullMap::Share => "share",
            };
            raise_counter(
                &self.map_full.get_or_create(&Labels::from_label("map", map)),
                *count,
            );
        }
    }
}

/// Sets a counter to what the kernel counted.
fn raise_counter(counter: &Counter, count: u64) {
    counter.inner().store(count, Ordering::Relaxed);
}

fn set_gauge(gauge: &Gauge, count: usize) {
    gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
}
