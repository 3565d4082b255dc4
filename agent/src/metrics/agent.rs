//! `gracewatch_*`: the agent itself.

use std::sync::atomic::{AtomicU64, Ordering};

use agent_common::map::Full;
use agent_core::output::DropReason;
use agent_core::report::Subject;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::definition as def;
use super::label::{
    FamilyLabel, KindLabel, MapLabel, ProbeLabel, ProgramLabel, ReasonLabel, UpdateLabel,
    record_kind, word,
};
use crate::probes::Counts;
use crate::vital::Vital;

/// The families. Clones share the series.
#[derive(Debug, Default)]
pub(super) struct Agent {
    probe_attached: Family<ProbeLabel, Gauge>,
    records: Family<KindLabel, Counter>,
    records_lost: Family<KindLabel, Counter>,
    map_full: Family<MapLabel, Counter>,
    decode_errors: Family<ReasonLabel, Counter>,
    dropped: Family<ReasonLabel, Counter>,
    wishes_failed: Family<UpdateLabel, Counter>,
    tracked: Family<KindLabel, Gauge>,
    open: Gauge,
    series_evicted: Family<FamilyLabel, Counter>,
    scans: Counter,
    scan_duration: Gauge<f64, AtomicU64>,
    scan_cgroups: Gauge,
    program_runs: Family<ProgramLabel, Counter>,
    program_seconds: Family<ProgramLabel, Counter<f64, AtomicU64>>,
    journal_bytes: Gauge,
    journal_stopped: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

impl Agent {
    pub(super) fn register(&self, registry: &mut Registry) {
        let version = env!("CARGO_PKG_VERSION");
        def::BUILD.register(registry, Info::new(Build { version }));
        def::PROBE_ATTACHED.register(registry, self.probe_attached.clone());
        def::RECORDS.register(registry, self.records.clone());
        def::RECORDS_LOST.register(registry, self.records_lost.clone());
        def::MAP_FULL.register(registry, self.map_full.clone());
        def::DECODE_ERRORS.register(registry, self.decode_errors.clone());
        def::DROPPED.register(registry, self.dropped.clone());
        def::WISHES_FAILED.register(registry, self.wishes_failed.clone());
        def::TRACKED.register(registry, self.tracked.clone());
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
            drop(self.dropped.get_or_create(&ReasonLabel::new(word(reason))));
        }
    }

    pub(super) fn dropped(&self, reason: DropReason) {
        self.dropped
            .get_or_create(&ReasonLabel::new(word(reason)))
            .inc();
    }

    pub(super) fn tracked(&self, subject: &Subject, added: bool) {
        let label = KindLabel::new(word(subject.kind));
        let gauge = self.tracked.get_or_create(&label);
        if added {
            gauge.inc();
        } else {
            gauge.dec();
        }
    }

    pub(super) fn open(&self, terminations: usize) {
        self.open
            .set(i64::try_from(terminations).unwrap_or(i64::MAX));
    }

    pub(super) fn evicted(&self, family: &'static str, series: u64) {
        if series > 0 {
            self.series_evicted
                .get_or_create(&FamilyLabel::new(family))
                .inc_by(series);
        }
    }

    pub(super) fn vital(&self, vital: &Vital<'_>) {
        match vital {
            Vital::Attached(programs) => {
                for state in *programs {
                    self.probe_attached
                        .get_or_create(&ProbeLabel::new(state.program.name))
                        .set(i64::from(state.refused.is_none()));
                }
            }
            Vital::Scanned { took, cgroups } => {
                self.scans.inc();
                self.scan_duration.set(took.as_secs_f64());
                self.scan_cgroups
                    .set(i64::try_from(*cgroups).unwrap_or(i64::MAX));
            }
            Vital::Counted(counts) => self.counted(counts),
            Vital::ProgramsRan(programs) => {
                for program in *programs {
                    let label = ProgramLabel::new(program.name);
                    raise(&self.program_runs.get_or_create(&label), program.runs);
                    let seconds = program.run_time.as_secs_f64();
                    self.program_seconds
                        .get_or_create(&label)
                        .inner()
                        .store(seconds.to_bits(), Ordering::Relaxed);
                }
            }
            Vital::Undecodable(reason) => {
                self.decode_errors
                    .get_or_create(&ReasonLabel::new(*reason))
                    .inc();
            }
            Vital::UpdateFailed(update) => {
                self.wishes_failed
                    .get_or_create(&UpdateLabel::new(update.name()))
                    .inc();
            }
            Vital::Journal { bytes, stopped } => {
                self.journal_bytes
                    .set(i64::try_from(*bytes).unwrap_or(i64::MAX));
                self.journal_stopped.set(i64::from(*stopped));
            }
        }
    }

    fn counted(&self, counts: &Counts) {
        for (family, by_kind) in [
            (&self.records, &counts.recorded),
            (&self.records_lost, &counts.lost),
        ] {
            for (kind, count) in by_kind {
                raise(
                    &family.get_or_create(&KindLabel::new(record_kind(*kind))),
                    *count,
                );
            }
        }
        for (full, count) in &counts.map_full {
            let map = match full {
                Full::Subjects => "subjects",
                Full::Watched => "watched",
            };
            raise(&self.map_full.get_or_create(&MapLabel::new(map)), *count);
        }
    }
}

/// Sets a counter to what the kernel counted.
fn raise(counter: &Counter, count: u64) {
    counter.inner().store(count, Ordering::Relaxed);
}
