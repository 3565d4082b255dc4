//! The agent's pipeline on a thread of this process: what the engine says comes straight here, without HTTP between.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use agent_core::config::{Config, Limits, Selector};
use agent_core::output::{Effect, Output, UnreportedReason};
use agent_core::report::Report;
use agent_core::time::Timestamp;
use anyhow::{Context as _, Result, anyhow};
use gracewatch::agent_event::AgentEvent;
use gracewatch::journal;
use gracewatch::pipeline::{Pipeline, PipelineOptions};
use gracewatch::sink::Sink;
use tokio::sync::oneshot;

use crate::harness::WrongVerdict;

/// How long it may take to be ready, or to stop.
const LIMIT: Duration = Duration::from_secs(30);

/// What was heard so far.
#[derive(Debug, Default)]
struct Heard {
    scanned: bool,
    /// Processes that the engine wished to be watched.
    wished: BTreeSet<u32>,
    /// Those of them for which that is done: the wish was before a turn of the pipeline that is over.
    watched: BTreeSet<u32>,
    reports: Vec<Report>,
    /// Containers of which there is no report.
    unreported: Vec<(String, UnreportedReason)>,
    /// Containers of which the agent was never told.
    untold: u64,
    /// Containers that are tracked now.
    tracked: BTreeSet<String>,
    /// Why the pipeline ended, if it did.
    ended: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Heard>,
    changed: Condvar,
}

impl Shared {
    fn lock_heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `find` finds something.
    fn wait_for<T>(&self, limit: Duration, find: impl Fn(&Heard) -> Option<T>) -> Result<T> {
        let started = Instant::now();
        let mut heard = self.lock_heard();
        loop {
            if let Some(found) = find(&heard) {
                return Ok(found);
            }
            if let Some(why) = &heard.ended {
                return Err(WrongVerdict(format!("the agent ended: {why}")).into());
            }
            let left = limit
                .checked_sub(started.elapsed())
                .with_context(|| format!("nothing after {limit:?}"))?;
            heard = self
                .changed
                .wait_timeout(heard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Collects what the engine says.
struct Collect(Arc<Shared>);

impl Sink for Collect {
    fn output(&mut self, output: &Output, _now: Timestamp) {
        let mut heard = self.0.lock_heard();
        if let Output::Effect(Effect::Watch { tgid, .. }) = output {
            heard.wished.insert(tgid.0);
            return;
        } else if let Output::Finished(report) = output {
            heard.reports.push(Report::clone(report));
        } else if let Output::Unreported { subject, reason } = output {
            heard.unreported.push((subject.path.clone(), *reason));
        } else if let Output::Tracked { subject, added } = output {
            if *added {
                heard.tracked.insert(subject.path.clone());
            } else {
                heard.tracked.remove(&subject.path);
            }
        } else {
            return;
        }
        self.0.changed.notify_all();
    }

    fn tick(&mut self, _now: Timestamp) {
        let mut heard = self.0.lock_heard();
        let wished = std::mem::take(&mut heard.wished);
        heard.watched.extend(wished);
        self.0.changed.notify_all();
    }

    fn record_agent_event(&mut self, event: &AgentEvent<'_>) {
        if let AgentEvent::Scanned { .. } = event {
            self.0.lock_heard().scanned = true;
            self.0.changed.notify_all();
        } else if let AgentEvent::Counted(counts) = event {
            self.0.lock_heard().untold = counts.untold;
        }
    }
}

/// What became of all containers in a folder: others may come and go on the same machine.
#[derive(Clone, Debug)]
pub struct Tally {
    pub reports: Vec<Report>,
    unreported: Vec<UnreportedReason>,
    pub untold: u64,
    pub tracked: usize,
}

impl Tally {
    fn from_heard(heard: &Heard, folder: &str) -> Self {
        let is_inside = |path: &str| {
            path.strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let reports = heard.reports.iter();
        let unreported = heard.unreported.iter();
        Self {
            reports: reports
                .filter(|report| is_inside(&report.subject.path))
                .cloned()
                .collect(),
            unreported: unreported
                .filter(|(path, _)| is_inside(path))
                .map(|(_, reason)| *reason)
                .collect(),
            untold: heard.untold,
            tracked: heard.tracked.iter().filter(|path| is_inside(path)).count(),
        }
    }

    /// How many have no report for this reason.
    pub fn unreported(&self, reason: UnreportedReason) -> usize {
        self.unreported.iter().filter(|why| **why == reason).count()
    }

    /// How many have no report and are counted.
    pub fn counted(&self) -> usize {
        self.unreported.len() + usize::try_from(self.untold).unwrap_or(usize::MAX)
    }
}

/// A running pipeline; dropping it stops it.
pub struct InProcess {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl InProcess {
    /// Starts it for the cgroups in `folder`, of which `selectors` know more, and waits for its first scan.
    pub fn start(folder: &str, selectors: Vec<Selector>) -> Result<Self> {
        Self::start_recording(folder, selectors, None)
    }

    /// The same, and what the engine is told is recorded.
    pub fn start_recording(
        folder: &str,
        mut selectors: Vec<Selector>,
        journal: Option<journal::Options>,
    ) -> Result<Self> {
        // What lies in `_nested` is found by the paths of real runtimes, as it would be without any glob.
        let ours = format!("{folder}/[!_]*");
        selectors.push(Selector {
            cgroup: ours,
            grace: None,
            stop_signal: None,
            pre_stop: None,
        });
        let config = Config {
            systemd: true,
            containers: true,
            selectors,
            pods: false,
            reset_reasons: None,
            remaining: true,
            limits: Limits::default(),
        };
        let options = PipelineOptions {
            config,
            cgroup_root: None,
            ring_bytes: agent_common::map::EVENTS_BYTES,
            journal,
            probe_log: false,
        };
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let mut sink = Collect(Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("agent".to_owned())
            .spawn(move || {
                let why = match run(options, &mut sink, stopped) {
                    Ok(()) => "it was asked to".to_owned(),
                    Err(error) => format!("{error:#}"),
                };
                sink.0.lock_heard().ended = Some(why);
                sink.0.changed.notify_all();
            })?;
        let agent = Self {
            shared,
            stop: Some(stop),
            thread: Some(thread),
        };
        agent
            .shared
            .wait_for(LIMIT, |heard| heard.scanned.then_some(()))?;
        Ok(agent)
    }

    /// What became of all containers in this folder so far; waits until it is as wanted, but not longer than that.
    pub fn wait_for_tally(
        &self,
        folder: &str,
        limit: Duration,
        is_wanted: impl Fn(&Tally) -> bool,
    ) -> Tally {
        let wanted = |heard: &Heard| Some(Tally::from_heard(heard, folder)).filter(&is_wanted);
        let found = self.shared.wait_for(limit, wanted);
        found.unwrap_or_else(|_timeout| Tally::from_heard(&self.shared.lock_heard(), folder))
    }

    /// Stops it and hears how it ended.
    pub fn stop(mut self) -> Result<()> {
        self.end_agent()
    }

    fn end_agent(&mut self) -> Result<()> {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread
            .join()
            .map_err(|_panic| anyhow!("the agent's thread panicked"))
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.end_agent().ok();
    }
}

fn run(options: PipelineOptions, sink: &mut Collect, stopped: oneshot::Receiver<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let pipeline = Pipeline::start(options)?;
        // The sender is dropped to stop it, so an error is the sign.
        pipeline.run(sink, async { drop(stopped.await) }).await
    })
}

impl InProcess {
    /// Waits until the kernel side watches this process.
    pub fn wait_watched(&self, pid: u32, limit: Duration) -> Result<()> {
        self.shared
            .wait_for(limit, |heard| heard.watched.contains(&pid).then_some(()))
            .with_context(|| format!("process {pid} is not watched"))
    }

    /// Waits until there are so many finished reports of the cgroup with this path, and returns all there are.
    pub fn wait_reports(&self, path: &str, count: usize, limit: Duration) -> Result<Vec<Report>> {
        self.shared.wait_for(limit, |heard| {
            let found = heard.reports_of(path);
            (found.len() >= count).then_some(found)
        })
    }

    /// Whether the cgroup with this path is counted as one of which there is no report.
    pub fn is_unreported(&self, path: &str) -> bool {
        let heard = self.shared.lock_heard();
        heard.unreported.iter().any(|(one, _)| one == path)
    }

    /// The finished reports that there are of it by now, in the order in which they were finished.
    pub fn reports(&self, path: &str) -> Vec<Report> {
        self.shared.lock_heard().reports_of(path)
    }
}

impl Heard {
    fn reports_of(&self, path: &str) -> Vec<Report> {
        let of_path = |report: &&Report| report.subject.path == path;
        self.reports.iter().filter(of_path).cloned().collect()
    }
}
