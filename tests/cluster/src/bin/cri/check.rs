//! Compares a container's report with what is expected, with the kernel's trace, with the runtime's and the client's
//! clocks, and with the metrics.

use std::time::Duration;

use agent_core::report::{Doubt, HookFailure, Report};
use agent_core::time::Timestamp;
use anyhow::{Context as _, Result};
use gracewatch_tests::harness::{Disagreements, Judged, OrWrong as _};
use gracewatch_tests::rig::clock::{self, Span};
use gracewatch_tests::rig::trace::Traced;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::metrics;
use crate::pod::{Container, Pod};
use crate::stage::Stage;
use crate::verdict::Verdict;

/// How long the agent may take to say what it must say.
const REPORT_LIMIT: Duration = Duration::from_secs(20);
/// How long the runtime may take to say that the container has ended.
const END_LIMIT: Duration = Duration::from_secs(10);
/// How far a duration may be from the kernel's trace: the processor may be taken away between the two hooks.
const TRACE_TOLERANCE: Duration = Duration::from_millis(25);
/// From when before a hook's exec its process is looked for in the trace: the number may have been another's before.
const BEFORE_HOOK_NS: u64 = 25_000_000;
/// How far an exit may be from when the runtime says it was: it hears of it by SIGCHLD, through its shim, and its clock is read
/// by us at another time than by it.
const RUNTIME_TOLERANCE: Duration = Duration::from_millis(500);
/// How far the time to SIGKILL may be from the timeout: the runtime starts a process for it on a busy machine.
const TIMEOUT_TOLERANCE: Duration = Duration::from_millis(700);

/// A row of the table: one container of a case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) container: String,
    pub(crate) expected: String,
    pub(crate) got: String,
    /// How far each duration is from the kernel's trace.
    pub(crate) errors: Vec<(String, Duration)>,
}

/// What was done to a container: the truth about the times of its report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// The call that stopped it.
    pub(crate) stop: Option<Span>,
    /// What the stop signal was given before SIGKILL, if it came to that.
    pub(crate) timeout: Option<Duration>,
    /// The call that ran the hook.
    pub(crate) hook: Option<Span>,
    /// Whether the runtime still knows the container.
    pub(crate) removed: bool,
}

impl Done {
    /// It was stopped by this call.
    pub(crate) fn stopped(stop: Span) -> Self {
        Self {
            stop: Some(stop),
            ..Self::default()
        }
    }

    /// SIGKILL had to come after these seconds.
    pub(crate) fn killed_after(mut self, seconds: u64) -> Self {
        self.timeout = Some(Duration::from_secs(seconds));
        self
    }

    /// The hook was run by this call.
    pub(crate) fn with_hook(mut self, hook: Span) -> Self {
        self.hook = Some(hook);
        self
    }

    /// The runtime has forgotten it.
    pub(crate) fn removed(mut self) -> Self {
        self.removed = true;
        self
    }
}

/// Collects what one case finds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) rows: Vec<Row>,
    wrong: Vec<String>,
    /// Where the agent differs from what the case planned.
    unlike_plan: Vec<String>,
    /// What the stage did otherwise than it should have.
    off_plan: Vec<String>,
}

impl Judged for Check {
    fn disagreements(&self) -> Disagreements {
        Disagreements {
            wrong: self.wrong.clone(),
            unlike_plan: self.unlike_plan.clone(),
            off_plan: self.off_plan.clone(),
        }
    }
}

impl Check {
    /// A fact that must be so.
    pub(crate) fn require(&mut self, what: impl Into<String>, holds: bool) {
        if !holds {
            self.wrong.push(what.into());
        }
    }

    /// What must have happened on the stage, whatever the agent says of it.
    pub(crate) fn staged(&mut self, what: impl Into<String>, holds: bool) {
        if !holds {
            self.off_plan.push(what.into());
        }
    }

    /// Takes the container's one report and compares it with everything; gives it.
    pub(crate) fn container(
        &mut self,
        stage: &Stage<'_>,
        container: &Container<'_>,
        done: Done,
        expected: Verdict,
    ) -> Result<Report> {
        let report = stage
            .agent
            .wait_report(&container.path, REPORT_LIMIT * stage.rig.patience)
            .or_wrong(|| format!("expected {expected}"))?;
        let got = Verdict::from_report(&report);
        if got != expected {
            self.unlike_plan
                .push(format!("the report says {got}; right is {expected}"));
        }
        // Nothing tells from outside when the agent follows a container.
        self.staged(
            "the agent did not follow the container before it was stopped",
            expected.doubts(Doubt::SeenLate) || !report.doubts.contains(&Doubt::SeenLate),
        );
        self.places(stage, container, &report);
        let errors = self.compare_trace(stage, container, &report)?;
        self.clients(stage, &report, done);
        if !done.removed {
            self.runtime(stage, container, &report, &expected)?;
        }
        self.wrong
            .extend(metrics::find_differences(stage.agent, &report)?);
        let reports = stage.agent.reports(&container.path)?.len();
        self.require(format!("{reports} reports of one container"), reports == 1);
        self.rows.push(Row {
            container: container.name.clone(),
            expected: expected.to_string(),
            got: got.to_string(),
            errors,
        });
        Ok(report)
    }

    /// Ends the pod as a kubelet does, and makes sure that the sandbox's own end was told by nobody.
    pub(crate) fn end_pod(
        &mut self,
        stage: &Stage<'_>,
        pod: &Pod<'_>,
        container: &Container<'_>,
    ) -> Result<()> {
        // As a kubelet, which asks again until it is done.
        pod.stop().or_else(|_first| pod.stop())?;
        pod.remove()?;
        let pause = container.path.replace(&container.id, &pod.sandbox);
        let reports = stage.agent.reports(&pause)?.len();
        self.require("the sandbox's pause has a report", reports == 0);
        Ok(())
    }

    /// Who and where: its main process, and who sent the signals.
    fn places(&mut self, stage: &Stage<'_>, container: &Container<'_>, report: &Report) {
        let main = report.main.as_ref().map(|main| main.tgid.0);
        self.require(
            format!("the main process is {main:?} and not {}", container.pid),
            main == Some(container.pid),
        );
        let id = report.subject.container_id.as_deref();
        self.require(format!("its id is {id:?}"), id == Some(&container.id));
        let stop = report.stop_signal.as_ref().map(|stop| &stop.sender);
        let kill = report.kill.as_ref().map(|kill| &kill.sender);
        for sender in stop.into_iter().chain(kill) {
            self.require(
                format!("a signal was sent by {sender:?}"),
                // Who happened to run says nothing where the kernel itself sends.
                sender.kernel || (sender.comm == stage.rig.runtime && sender.outside),
            );
        }
    }

    /// Every duration, by the kernel's trace.
    fn compare_trace(
        &mut self,
        stage: &Stage<'_>,
        container: &Container<'_>,
        report: &Report,
    ) -> Result<Vec<(String, Duration)>> {
        let trace = &stage.rig.trace;
        let (pid, since) = (container.pid, container.started_after);
        let first = |what| trace.first_time(pid, what, since);
        let exit = report.exit.as_ref().map(|exit| exit.at);
        let own_exit = trace.last_time(pid, Traced::Exit, since, clock::now());
        let mut spans = Vec::new();
        if let Some(stop) = &report.stop_signal {
            let own = first(Traced::Signal(stop.signal.into()));
            spans.push(("Ts→Te", Some(stop.at), exit, own, own_exit));
            if let Some(kill) = &report.kill {
                let own_kill = first(Traced::Signal(9));
                spans.push(("Ts→Tk", Some(stop.at), Some(kill.at), own, own_kill));
            }
        }
        if let Some(hook) = &report.hook
            && let (Some(tgid), Some(at)) = (hook.tgid, hook.started_at)
        {
            let around = Timestamp(at.0.saturating_sub(BEFORE_HOOK_NS));
            let own = trace.first_time(tgid.0, Traced::Exec, around);
            let own_end = trace.first_time(tgid.0, Traced::Exit, around);
            if hook.failure == Some(HookFailure::Missing) {
                self.require("what is told as missing was executed", own.is_none());
                self.require("what is told as missing never ended", own_end.is_some());
            } else {
                spans.push(("hook", hook.started_at, hook.ended_at, own, own_end));
            }
        }
        let mut errors = Vec::new();
        for (what, from, to, own_from, own_to) in spans {
            let measured = from.zip(to).map(|(from, to)| to.since(from));
            let own = own_from
                .zip(own_to)
                .map(|(from, to)| to.since(from))
                .with_context(|| format!("{what} is not in the kernel's trace"))?;
            let Some(measured) = measured else {
                self.wrong
                    .push(format!("{what} is not reported; it was {own:?}"));
                continue;
            };
            let error = measured.abs_diff(own);
            self.require(
                format!("{what} is {measured:?}, but {own:?} by the kernel's trace"),
                error <= TRACE_TOLERANCE * stage.rig.patience,
            );
            errors.push((what.to_owned(), error));
        }
        Ok(errors)
    }

    /// What the client's clock says: everything lies within the call that caused it.
    fn clients(&mut self, stage: &Stage<'_>, report: &Report, done: Done) {
        let mut within = |what: &str, at: Option<Timestamp>, span: Span| {
            if at.is_none_or(|at| !span.contains(at)) {
                let at = at.map(|at| at.0);
                self.wrong
                    .push(format!("{what} is at {at:?}, but it was within {span}"));
            }
        };
        if let Some(stop) = done.stop {
            let exit = report.exit.as_ref().map(|exit| exit.at);
            within("the exit", exit, stop);
            for (what, at) in [
                ("Ts", report.stop_signal.as_ref().map(|stop| stop.at)),
                ("Tk", report.kill.as_ref().map(|kill| kill.at)),
            ] {
                if at.is_some() {
                    within(what, at, stop);
                }
            }
        }
        if let (Some(span), Some(hook)) = (done.hook, &report.hook)
            && hook.tgid.is_some()
        {
            if hook.started_at.is_some() {
                within("the hook's beginning", hook.started_at, span);
            }
            within("the hook's end", hook.ended_at, span);
        }
        if let Some(timeout) = done.timeout {
            let waited = report.stop_signal_to_kill();
            let what = format!("SIGKILL after {waited:?}, but the timeout was {timeout:?}");
            let longest = timeout + TIMEOUT_TOLERANCE * stage.rig.patience;
            // How long it was really, the kernel's trace says.
            self.staged(what.clone(), waited.is_none_or(|waited| waited <= longest));
            if waited.is_none_or(|waited| waited + TIMEOUT_TOLERANCE < timeout) {
                self.unlike_plan.push(what);
            }
        }
    }

    /// What the runtime's status says: exit code and time.
    fn runtime(
        &mut self,
        stage: &Stage<'_>,
        container: &Container<'_>,
        report: &Report,
        expected: &Verdict,
    ) -> Result<()> {
        let status = container.wait_until_exited(END_LIMIT * stage.rig.patience)?;
        let code = Some(status.exit_code);
        let words = format!("the runtime says exit code {code:?}");
        self.require(
            words.clone(),
            code == Verdict::from_report(report).exit_code(),
        );
        self.staged(words, code == expected.exit_code());
        let Some(exit) = &report.exit else {
            return Ok(());
        };
        let finished_at = on_the_boot_clock(status.finished_at);
        let error = Duration::from_nanos(finished_at.0.abs_diff(exit.at.0));
        let what = format!(
            "the exit is at {}, but the runtime says {}",
            exit.at.0, finished_at.0
        );
        let is_close = error <= RUNTIME_TOLERANCE * stage.rig.patience;
        // On a busy machine it hears of it later still.
        self.staged(what.clone(), is_close || finished_at < exit.at);
        self.require(what, is_close || finished_at > exit.at);
        Ok(())
    }
}

/// A time of the wall clock, which may have been set since then, on the boot clock.
fn on_the_boot_clock(wall_ns: i64) -> Timestamp {
    let wall = clock_gettime(ClockId::Realtime);
    let now = i128::from(wall.tv_sec) * 1_000_000_000 + i128::from(wall.tv_nsec);
    let ago = u64::try_from(now - i128::from(wall_ns)).unwrap_or_default();
    Timestamp(clock::now().0.saturating_sub(ago))
}
