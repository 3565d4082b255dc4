//! What a scenario found out: every fact that differs from the truth, and how far every duration was off.

use std::fmt::Debug;
use std::time::Duration;

use agent_core::event::ExitStatus;
use agent_core::report::{Doubt, FindingKind, Outcome, Report};
use agent_core::signal::Signal;
use agent_core::time::Timestamp;
use gracewatch_tests::harness::{Disagreements, Judged};
use gracewatch_tests::rig::clock::Span;
use gracewatch_tests::rig::kubelet::Stopped;

/// What a duration was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Clock {
    /// tracefs, on the same hooks.
    Trace,
    /// The boot clock as the processes concerned read it.
    Processes,
}

/// A duration that the agent measured, and the same one by a clock that it knows nothing of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compared {
    pub(crate) what: &'static str,
    pub(crate) clock: Clock,
    pub(crate) measured: Duration,
    pub(crate) own: Duration,
}

impl Compared {
    /// How far the two lie apart.
    pub(crate) fn difference(&self) -> Duration {
        self.measured.abs_diff(self.own)
    }
}

/// Collects what one scenario finds.
#[derive(Debug)]
pub(crate) struct Check {
    /// Facts that are not as they should be.
    pub(crate) wrong: Vec<String>,
    /// What the stage did otherwise than it should have.
    off_plan: Vec<String>,
    /// Durations compared.
    pub(crate) compared: Vec<Compared>,
    /// What a reader of the results should know.
    pub(crate) notes: Vec<String>,
    tolerance: Duration,
}

impl Check {
    /// `tolerance`: how far a duration may be off.
    pub(crate) fn new(tolerance: Duration) -> Self {
        Self {
            wrong: Vec::new(),
            off_plan: Vec::new(),
            compared: Vec::new(),
            notes: Vec::new(),
            tolerance,
        }
    }

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

    /// A fact that must be this.
    pub(crate) fn require_equal<T: PartialEq + Debug>(
        &mut self,
        what: &str,
        found: T,
        expected: T,
    ) {
        if found != expected {
            self.wrong
                .push(format!("{what}: {found:?}, but it was {expected:?}"));
        }
    }

    /// A time that must lie between two readings of the clock.
    pub(crate) fn check_time(&mut self, what: &str, at: Option<Timestamp>, span: Span) {
        match at {
            None => self.wrong.push(format!("{what}: not reported")),
            Some(at) if span.contains(at) => {}
            Some(at) => self
                .wrong
                .push(format!("{what}: at {}, but it was within {span}", at.0)),
        }
    }

    /// A duration that must be as long as our own clock says.
    pub(crate) fn check_duration(
        &mut self,
        what: &'static str,
        measured: Option<Duration>,
        own: Duration,
    ) {
        self.took_between(what, measured, own, own + self.tolerance);
    }

    /// A duration of which processes that waited for their turn know two bounds: `own`, which is counted as their time, and
    /// `longest`. On a busy machine they may be far apart, and only what lies outside is wrong.
    pub(crate) fn took_between(
        &mut self,
        what: &'static str,
        measured: Option<Duration>,
        own: Duration,
        longest: Duration,
    ) {
        let Some(measured) = measured else {
            self.wrong.push(format!("{what}: not reported"));
            return;
        };
        let compared = Compared {
            what,
            clock: Clock::Processes,
            measured,
            own,
        };
        let shortest = own.saturating_sub(self.tolerance);
        if measured < shortest || measured > longest.max(own + self.tolerance) {
            self.wrong.push(format!(
                "{what}: {measured:?}, but it was {own:?} to {longest:?} by our clock"
            ));
        }
        self.compared.push(compared);
    }

    /// The verdict: outcome, findings, doubts, each exactly.
    pub(crate) fn verdict(
        &mut self,
        report: &Report,
        outcome: Outcome,
        findings: &[FindingKind],
        doubts: &[Doubt],
    ) {
        self.require_equal("outcome", report.outcome, outcome);
        let found: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
        self.require_equal("findings", found.as_slice(), findings);
        self.require_equal("doubts", report.doubts.as_slice(), doubts);
    }

    /// Everything that the kubelet's stop tells of a report: signal, SIGKILL, their times and senders, the exit.
    pub(crate) fn stop(&mut self, report: &Report, stopped: &Stopped, signal: Signal) {
        self.check_time(
            "stop signal",
            report.stop_signal.as_ref().map(|stop| stop.at),
            stopped.signal,
        );
        if let Some(stop) = &report.stop_signal {
            self.require_equal("stop signal", stop.signal, signal);
            self.require_equal("its sender", stop.sender.comm.as_str(), "send");
            self.require(
                "its sender was outside",
                stop.sender.outside && !stop.sender.kernel,
            );
        }
        match (&report.kill, stopped.kill) {
            (Some(kill), Some(span)) => {
                self.check_time("SIGKILL", Some(kill.at), span);
                self.require_equal("its sender", kill.sender.comm.as_str(), "send");
                let own = span.before.since(stopped.signal.after);
                let longest = span.after.since(stopped.signal.before);
                let measured = report.stop_signal_to_kill();
                self.took_between("stop signal to SIGKILL", measured, own, longest);
            }
            (found, span) => {
                self.require_equal("SIGKILL was used", found.is_some(), span.is_some());
            }
        }
        self.check_exit(report, stopped);
    }

    /// The exit: its status, and that it lies between the last act and the moment the parent was told.
    pub(crate) fn check_exit(&mut self, report: &Report, stopped: &Stopped) {
        let before = stopped.kill.unwrap_or(stopped.signal).before;
        let span = Span {
            before,
            after: stopped.ended.told_at,
        };
        self.check_time("exit", report.exit.as_ref().map(|exit| exit.at), span);
        self.status(report, stopped.ended.status);
    }

    /// The exit's status, as the parent was told it.
    pub(crate) fn status(&mut self, report: &Report, status: std::process::ExitStatus) {
        self.require_equal(
            "exit status",
            report.exit.as_ref().map(|exit| exit.status),
            Some(exit_status(status)),
        );
    }
}

impl Judged for Check {
    fn disagreements(&self) -> Disagreements {
        Disagreements {
            wrong: self.wrong.clone(),
            unlike_plan: Vec::new(),
            off_plan: self.off_plan.clone(),
        }
    }
}

/// The parent's words for how a process ended, in the agent's.
pub(crate) fn exit_status(status: std::process::ExitStatus) -> ExitStatus {
    use std::os::unix::process::ExitStatusExt as _;
    match status
        .signal()
        .and_then(|signal| Signal::try_from(signal.unsigned_abs()).ok())
    {
        Some(signal) => ExitStatus::Signal {
            signal,
            core_dumped: status.core_dumped(),
        },
        None => ExitStatus::Code(
            status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or_default(),
        ),
    }
}
