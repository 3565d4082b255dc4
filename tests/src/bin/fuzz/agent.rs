//! The agents that watch: the whole binary, one that always gets its time, and one that is starved now and then.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use agent_core::config::Selector;
use agent_core::signal::Signal;
use agent_core::time::Timestamp;
use anyhow::{Context as _, Result};
use gracewatch_tests::rig::clock::{self, Span};
use gracewatch_tests::whole::{self, Whole};
use rustix::process::{Pid, kill_process};
use serde_json::Value;

use crate::case::Known;
use crate::generate::{CONFIGURED, GRACES};

/// How often an agent is asked for reports.
const POLL: Duration = Duration::from_millis(100);
/// The ring buffer of the one that is starved, so that it loses records.
const SMALL_RING: &str = "65536";

/// The beginning of the names of containers that belong to the agent that is starved.
pub(crate) const STARVED: &str = "starved";
/// The same of the other one.
pub(crate) const CALM: &str = "calm";

/// Both agents.
#[derive(Debug)]
pub(crate) struct Agents {
    calm: Agent,
    starved: Agent,
    starving: Mutex<Starving>,
    /// How many containers without a report the starved one is known to have counted.
    counted: Mutex<f64>,
}

#[derive(Debug, Default)]
struct Starving {
    /// How many cases starve it now.
    by: usize,
    since: Option<Timestamp>,
    spans: Vec<Span>,
}

/// One agent, and what it has reported.
#[derive(Debug)]
struct Agent {
    whole: Whole,
    reports: Mutex<Reports>,
}

#[derive(Debug, Default)]
struct Reports {
    since: u64,
    asked_at: Option<Instant>,
    by_path: BTreeMap<String, Vec<Value>>,
    failure: Option<String>,
}

impl Agents {
    /// Starts both for the containers of this folder. `folder` of files is where they write.
    pub(crate) fn start(path: &str, folder: &Path, journals: Option<&Path>) -> Result<Self> {
        let start = |kind: &str, more: &[&str]| -> Result<Agent> {
            let subjects = folder.join(format!("{kind}.json"));
            std::fs::write(&subjects, whole::subjects_file(&selectors(path, kind))?)?;
            let subjects = subjects.display().to_string();
            let journal = journals.map(|folder| {
                let file = folder.join(format!("{kind}.jsonl"));
                file.display().to_string()
            });
            let mut args = vec!["--subjects", &subjects];
            args.extend(more);
            args.extend(journal.iter().flat_map(|file| ["--journal", file]));
            let log = folder.join(format!("{kind}.agent"));
            Ok(Agent {
                whole: Whole::start_at(whole::free_port(0)?, &args, &log)?,
                reports: Mutex::default(),
            })
        };
        Ok(Self {
            calm: start(CALM, &[])?,
            starved: start(STARVED, &["--ring-bytes", SMALL_RING])?,
            starving: Mutex::default(),
            counted: Mutex::default(),
        })
    }

    /// Whether the starved one counted one more container that is gone without a report, because it did not see its main process.
    pub(crate) fn take_counted(&self) -> Result<bool> {
        const COUNTER: &str = "gracewatch_containers_unreported_total";
        let mut taken = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = self.starved.whole.metric(COUNTER, "reason=\"gone\"")?;
        let unseen = self
            .starved
            .whole
            .metric(COUNTER, "reason=\"main_unseen\"")?;
        let is_counted = gone + unseen >= *taken + 1.0;
        if is_counted {
            *taken += 1.0;
        }
        Ok(is_counted)
    }

    /// The starved one gets no time, until as many calls of [`Self::end_starvation`] followed.
    pub(crate) fn starve(&self) {
        let mut starving = self.starving();
        starving.by += 1;
        if starving.by == 1 {
            starving.since = Some(clock::now());
            self.signal(rustix::process::Signal::STOP);
        }
    }

    /// Ends what [`Self::starve`] began.
    pub(crate) fn end_starvation(&self) {
        let mut starving = self.starving();
        starving.by = starving.by.saturating_sub(1);
        if starving.by == 0
            && let Some(before) = starving.since.take()
        {
            self.signal(rustix::process::Signal::CONT);
            let after = clock::now();
            starving.spans.push(Span { before, after });
        }
    }

    /// When it was starved, within this time.
    pub(crate) fn starved_in(&self, span: Span) -> Vec<Span> {
        let spans = self.starving().spans.clone().into_iter();
        spans
            .filter(|one| one.after >= span.before && one.before <= span.after)
            .collect()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = Pid::from_raw(self.starved.whole.pid().cast_signed());
        // An agent that died is noticed when it is asked.
        pid.map(|pid| kill_process(pid, signal));
    }

    fn starving(&self) -> MutexGuard<'_, Starving> {
        self.starving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a report of the container with this path, and then for as long as a second one might take.
    pub(crate) fn reports(&self, starved: bool, path: &str, limit: Duration) -> Result<Vec<Value>> {
        let agent = if starved { &self.starved } else { &self.calm };
        let started = Instant::now();
        loop {
            let found = agent.reports(path)?;
            if !found.is_empty() || started.elapsed() > limit {
                return Ok(found);
            }
            thread::sleep(POLL);
        }
    }

    /// All reports of the container that are there now.
    pub(crate) fn reports_by_now(&self, starved: bool, path: &str) -> Result<Vec<Value>> {
        let agent = if starved { &self.starved } else { &self.calm };
        agent.reports(path)
    }
}

impl Agent {
    /// Asks for what is new, if nobody has just asked.
    fn reports(&self, path: &str) -> Result<Vec<Value>> {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.asked_at.is_none_or(|at| at.elapsed() >= POLL) {
            self.fetch_reports(&mut reports)?;
            reports.asked_at = Some(Instant::now());
        }
        Ok(reports.by_path.get(path).cloned().unwrap_or_default())
    }

    fn fetch_reports(&self, reports: &mut Reports) -> Result<()> {
        let query = format!("/api/v1/terminations?limit=1000&since={}", reports.since);
        let (status, text) = self.whole.get(&query)?;
        anyhow::ensure!(status == 200, "{query} answers {status}");
        let answer: Value = serde_json::from_str(&text).context("the answer is no JSON")?;
        let in_all = answer.get("finished_total").and_then(Value::as_u64);
        let in_all = in_all.context("the answer lacks finished_total")?;
        let finished = answer.get("finished").and_then(Value::as_array);
        let finished = finished.context("the answer lacks finished")?;
        let told = in_all.saturating_sub(reports.since);
        if told > finished.len() as u64 {
            reports.failure = Some(format!("{told} reports, and {} were kept", finished.len()));
        }
        for report in finished {
            let path = report
                .pointer("/subject/path")
                .and_then(Value::as_str)
                .context("a report has no subject")?;
            let of_path = reports.by_path.entry(path.to_owned()).or_default();
            of_path.push(report.clone());
        }
        reports.since = in_all;
        match &reports.failure {
            Some(failure) => anyhow::bail!("{failure}"),
            None => Ok(()),
        }
    }
}

/// What is told of the containers: by the ends of their names.
fn selectors(path: &str, kind: &str) -> Vec<Selector> {
    let graces = GRACES.into_iter().map(Some).chain([None]);
    let all = graces.flat_map(|grace| {
        let signals = CONFIGURED.into_iter().map(Some).chain([None]);
        signals.map(move |signal| Known { grace, signal })
    });
    all.map(|known| Selector {
        cgroup: format!("{path}/{kind}*-{}", known.suffix()),
        grace: known.grace.map(Duration::from_secs),
        stop_signal: known
            .signal
            .and_then(|signal| Signal::try_from(signal).ok()),
        pre_stop: None,
    })
    .collect()
}
