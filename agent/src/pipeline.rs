//! From this machine to the engine and back: the composition root that `run` and `watch` share.

mod effects;
mod tables;

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use agent_core::config::Config;
use agent_core::decode::{DecodeError, decode};
use agent_core::event::{CgroupId, Event};
use agent_core::input::Input;
use agent_core::time::Timestamp;
use anyhow::Context as _;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use self::effects::EffectExecutor;
use crate::agent_event::AgentEvent;
use crate::cgroups::Tree;
use crate::clock;
use crate::driver::Driver;
use crate::failure::UsageError;
use crate::journal::{self, Journal};
use crate::kubernetes::ApiUpdate;
use crate::probes::{self, Counters, ProbeLog, Probes, Programs, Ring};
use crate::processes;
use crate::sink::Sink;

/// How often the kernel's counters are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Every how many ticks the kernel's accounting of the programs is looked at, and what it counted of connections.
const TICKS_PER_ACCOUNTING: u32 = 5;

/// What a pipeline is started with.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// The engine's configuration, of [`crate::subjects::SubjectArgs::config`].
    pub config: Config,
    /// Where the cgroup v2 tree is mounted; found if it is not given.
    pub cgroup_root: Option<PathBuf>,
    /// Size of the ring buffer in bytes.
    pub ring_bytes: u32,
    /// Where to record what the engine is told, if anywhere.
    pub journal: Option<journal::Options>,
    /// Whether the kernel programs log what they do, at level debug.
    pub probe_log: bool,
}

/// Everything between the kernel and the engine, ready to run.
#[derive(Debug)]
pub struct Pipeline {
    driver: Driver,
    executor: EffectExecutor,
    ring: Ring,
    counters: Counters,
    programs: Programs,
    log: Option<ProbeLog>,
    /// What the Kubernetes API tells, if it is asked.
    facts: Option<Receiver<ApiUpdate>>,
    /// What was decoded of one batch; kept for its memory.
    batch: Vec<Result<Event, DecodeError>>,
    lost: u64,
    unattributed: u64,
    /// When the kernel side's counters were looked at last.
    counted_at: Timestamp,
    ticks: u32,
    /// Whether it was said that a scan did not reach all cgroups.
    warned_of_cut: bool,
}

impl Pipeline {
    /// Looks at the machine, loads and attaches the probes, opens the journal. From here on the kernel records, so that
    /// nothing happens unseen between this and the first scan in [`Self::run`].
    ///
    /// # Errors
    /// One sentence that says what this machine lacks, or a [`UsageError`] for a wrong configuration.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O enabled.
    pub fn start(options: PipelineOptions) -> anyhow::Result<Self> {
        processes::check_namespace()?;
        let tree = Tree::find(options.cgroup_root.as_deref())?;
        let signals = effects::signal_mask(&options.config.signals());
        // The engine judges the configuration before anything is loaded, and before the journal overwrites an older file.
        let judged = |config: &Config| {
            Driver::new(config.clone()).map_err(|error| UsageError::new(error.to_string()))
        };
        judged(&options.config)?;
        let Probes {
            programs,
            tracker,
            sockets,
            counters,
            ring,
            log,
        } = Probes::load(&probes::Options {
            ring_bytes: options.ring_bytes,
            signals,
            log: options.probe_log,
        })?;
        // Only now is known what this kernel tells of connections, which is part of what the journal says first.
        let config = Config {
            reset_reasons: programs.reset_reasons(),
            remaining: true,
            ..options.config
        };
        let mut driver = judged(&config)?;
        if let Some(journal) = &options.journal {
            driver.record_into(Journal::create(journal, &config)?);
        }
        let sockets = config.reset_reasons.is_some().then_some(sockets);
        Ok(Self {
            driver,
            executor: EffectExecutor::new(tree, tracker, sockets, &config),
            ring,
            counters,
            programs,
            log,
            facts: None,
            batch: Vec::new(),
            lost: 0,
            unattributed: 0,
            counted_at: clock::now(),
            ticks: 0,
            warned_of_cut: false,
        })
    }

    /// Listens to what the Kubernetes API tells, too.
    pub fn listen_to(&mut self, facts: Receiver<ApiUpdate>) {
        self.facts = Some(facts);
    }

    /// Scans the cgroup tree, then runs until `shutdown`; then gives out the open terminations as they stand, flushes the
    /// journal and detaches.
    ///
    /// # Errors
    /// If the ring buffer cannot be read any more.
    pub async fn run(
        mut self,
        sink: &mut impl Sink,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        if let Some(log) = self.log.take() {
            tokio::spawn(log.forward());
        }
        sink.record_agent_event(&AgentEvent::Started(clock::wall_clock()));
        sink.record_agent_event(&AgentEvent::Attached(self.programs.states()));
        sink.record_agent_event(&AgentEvent::TcpFeatures(&self.programs.tcp_features()));
        self.executor.ask_for_scan();
        self.scan_if_asked(sink);
        let mut shutdown = pin!(shutdown);
        let mut tick = interval_at(Instant::now() + TICK, TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = loop {
            let timeout = self.driver.timeout();
            tokio::select! {
                biased;
                () = &mut shutdown => break Ok(()),
                _ = tick.tick() => self.tick(sink),
                read = self.ring.next_batch(|bytes| self.batch.push(decode(bytes))) => match read {
                    Ok(_records) => self.tell_batch(sink),
                    Err(error) => break Err(error).context("cannot read the ring buffer any more"),
                },
                fact = next(&mut self.facts) => self.tell_fact(fact, sink),
                () = wait_until_due(timeout) => self.run_timeouts(sink),
            }
            self.scan_if_asked(sink);
        };
        self.finish(sink);
        ended
    }

    /// Tells the engine what was read, and executes its effects after each record: a container that was just made
    /// is tracked before the next record is looked at.
    fn tell_batch(&mut self, sink: &mut impl Sink) {
        let mut batch = std::mem::take(&mut self.batch);
        for decoded in batch.drain(..) {
            match decoded {
                Ok(event) => {
                    let at = event.at;
                    if self.driver.timeout().is_some_and(|due| due <= at) {
                        self.tell_losses(sink);
                        self.run_due(at, sink);
                    }
                    self.executor.look_at(&event);
                    self.driver.handle_input(Input::Event(event), at, sink);
                    self.executor.execute_effects(&mut self.driver, sink);
                }
                Err(error) => {
                    tracing::debug!(%error, "a record was skipped");
                    sink.record_agent_event(&AgentEvent::Undecodable(error.reason()));
                }
            }
        }
        self.batch = batch;
    }

    /// What the kernel recorded before is told before, so that one journal holds both in their order.
    fn tell_fact(&mut self, fact: Option<ApiUpdate>, sink: &mut impl Sink) {
        match fact {
            Some(ApiUpdate::Input(input)) => {
                self.drain_ring(sink);
                self.driver.tell_found(*input, clock::now(), sink);
                self.executor.execute_effects(&mut self.driver, sink);
            }
            Some(ApiUpdate::AgentEvent(event)) => sink.record_agent_event(&event),
            None => {
                tracing::error!(
                    "the thread for the Kubernetes API ended; measuring goes on without pods"
                );
                self.facts = None;
            }
        }
    }

    /// Reads the ring buffer until it is empty, but not forever.
    fn drain_ring(&mut self, sink: &mut impl Sink) {
        const BATCHES_MAX: usize = 64;
        for _batch in 0..BATCHES_MAX {
            let read = self.ring.drain(|bytes| self.batch.push(decode(bytes)));
            self.tell_batch(sink);
            if read == 0 {
                break;
            }
        }
    }

    /// What happened before a timeout is told before it, losses included: a report that overlaps one must say so.
    fn run_timeouts(&mut self, sink: &mut impl Sink) {
        let now = clock::now();
        self.drain_ring(sink);
        self.tell_losses(sink);
        self.run_due(now, sink);
    }

    /// Runs the timeouts that are due, and executes the effects of each.
    fn run_due(&mut self, now: Timestamp, sink: &mut impl Sink) {
        while self.driver.run_timeout(now, sink) {
            self.executor.execute_effects(&mut self.driver, sink);
        }
    }

    fn tell_losses(&mut self, sink: &mut impl Sink) {
        let looked_at = clock::now();
        let counts = match self.counters.read() {
            Ok(counts) => counts,
            Err(error) => {
                tracing::warn!(%error, "the kernel side's counters cannot be read, so losses are not seen");
                return;
            }
        };
        let refused = counts.map_full.iter().map(|(_, count)| count);
        let lost = counts.lost.values().chain(refused).sum::<u64>();
        let is_any_lost = lost > self.lost;
        self.lost = lost;
        let unattributed = counts.unattributed.saturating_sub(self.unattributed);
        self.unattributed = counts.unattributed;
        let since = std::mem::replace(&mut self.counted_at, looked_at);
        sink.record_agent_event(&AgentEvent::Counted(&counts));
        self.executor.note_counts(&counts);
        if unattributed > 0 {
            tracing::warn!(
                records = unattributed,
                "the ring buffer was full and records were lost; open reports are incomplete, --ring-bytes gives more room"
            );
            self.tell_lost(None, unattributed, since, sink);
        }
        if is_any_lost {
            for (outermost, records) in self.executor.newly_lost() {
                self.tell_lost(Some(outermost), records, since, sink);
            }
        }
    }

    fn tell_lost(
        &mut self,
        outermost: Option<CgroupId>,
        records: u64,
        since: Timestamp,
        sink: &mut impl Sink,
    ) {
        let now = clock::now();
        let lost = Input::Lost {
            outermost,
            records,
            between: Some((since, now)),
        };
        self.driver.tell_found(lost, now, sink);
        self.executor.execute_effects(&mut self.driver, sink);
    }

    fn tick(&mut self, sink: &mut impl Sink) {
        self.run_timeouts(sink);
        self.executor.sweep(sink);
        self.executor.look_at_tables(&self.driver, sink);
        self.executor.place_again(&mut self.driver, sink);
        self.executor.tell_node_addresses(sink);
        if self.ticks.is_multiple_of(TICKS_PER_ACCOUNTING) {
            self.executor.tell_sockets(&mut self.driver, sink);
            sink.record_agent_event(&AgentEvent::ProgramsRan(&self.programs.run_stats()));
        }
        self.ticks = self.ticks.wrapping_add(1);
        self.flush_journal(sink);
        sink.tick(clock::now());
    }

    fn flush_journal(&mut self, sink: &mut impl Sink) {
        if let Some(journal) = self.driver.journal() {
            journal.flush();
            sink.record_agent_event(&AgentEvent::Journal {
                bytes: journal.size_in_bytes(),
                stopped: journal.is_stopped(),
            });
        }
    }

    /// Tells the engine every cgroup there is. The ring buffer is read in between, since a first look at hundreds of
    /// containers takes its time.
    fn scan_if_asked(&mut self, sink: &mut impl Sink) {
        if !self.executor.take_scan() {
            return;
        }
        let begin = clock::now();
        let mut scan = self.executor.tree().scan();
        if scan.cut {
            if !std::mem::replace(&mut self.warned_of_cut, true) {
                tracing::warn!(
                    cgroups = scan.cgroups.len(),
                    "a part of the cgroup tree is larger than a scan goes, and containers beyond are found only as they are made; further scans of which this is true are not told"
                );
            }
            // What a scan does not find is taken for gone.
            let found = scan.cgroups.iter().map(|cgroup| cgroup.id).collect();
            scan.cgroups.extend(self.executor.tracked_beside(&found));
        }
        let cgroups = scan.cgroups.len();
        for found in scan.cgroups {
            let input = Input::CgroupFound {
                cgroup: found.id,
                parent: found.parent,
                path: found.path,
            };
            self.driver.tell_found(input, clock::now(), sink);
            if self.executor.execute_effects(&mut self.driver, sink) {
                self.drain_ring(sink);
            }
        }
        self.driver
            .tell_found(Input::ScanFinished, clock::now(), sink);
        self.executor.execute_effects(&mut self.driver, sink);
        let took = clock::now().since(begin);
        tracing::debug!(cgroups, ?took, "the cgroup tree was scanned");
        sink.record_agent_event(&AgentEvent::Scanned { took, cgroups });
    }

    fn finish(&mut self, sink: &mut impl Sink) {
        self.drain_ring(sink);
        self.tell_losses(sink);
        self.executor.tell_sockets(&mut self.driver, sink);
        self.driver
            .handle_input(Input::Shutdown, clock::now(), sink);
        self.executor.execute_effects(&mut self.driver, sink);
        self.flush_journal(sink);
    }
}

/// The next fact; never one where Kubernetes is not asked.
async fn next(facts: &mut Option<Receiver<ApiUpdate>>) -> Option<ApiUpdate> {
    match facts {
        Some(facts) => facts.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits until then on the boot clock; forever if there is nothing to wait for. The timer itself does not count the time
/// that the machine is suspended, for which the tick makes up.
async fn wait_until_due(due: Option<Timestamp>) {
    match due {
        Some(due) => sleep_until(Instant::now() + due.since(clock::now())).await,
        None => std::future::pending().await,
    }
}
