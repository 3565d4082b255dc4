//! What a scenario expected and what it found, fact by fact.

use std::fmt::Debug;
use std::time::Duration;

use agent_core::report::{
    Doubt, FindingKind, HookFailure, HookKind, HookMethod, Outcome, Report, Trigger,
};
use agent_core::time::Timestamp;

use crate::klog::Logged;

/// How far a duration of the agent's may be from what kubelet and runtime measure around it: they count their own calls,
/// starting a process in a container among them, and on a busy machine that was seen to take 0.65 s. By how much each is off
/// stands in the table.
const TOLERANCE: Duration = Duration::from_secs(1);

/// One fact.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) expected: String,
    pub(crate) got: String,
    /// How far a duration is off.
    pub(crate) error: Option<Duration>,
    pub(crate) holds: bool,
}

/// How a hook went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Ended,
    Failed(HookFailure),
    /// It was running still when the stop signal came.
    Overran,
}

/// The facts of one scenario.
#[derive(Debug, Default)]
pub(crate) struct Check(pub(crate) Vec<Row>);

impl Check {
    pub(crate) fn passed(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|row| row.holds)
    }

    /// A fact that must be this.
    pub(crate) fn same<T: PartialEq + Debug>(
        &mut self,
        what: impl Into<String>,
        got: T,
        expected: T,
    ) {
        self.0.push(Row {
            what: what.into(),
            holds: got == expected,
            expected: format!("{expected:?}"),
            got: format!("{got:?}"),
            error: None,
        });
    }

    /// A fact that must be so.
    pub(crate) fn that(&mut self, what: impl Into<String>, holds: bool) {
        self.same(what, holds, true);
    }

    /// Something that went wrong before there was a fact.
    pub(crate) fn failed(&mut self, error: &anyhow::Error) {
        self.0.push(Row {
            what: "it ran".to_owned(),
            expected: "to its end".to_owned(),
            got: format!("{error:#}"),
            error: None,
            holds: false,
        });
    }

    /// A duration that must be as long as `by` says.
    pub(crate) fn took(&mut self, what: &str, got: Option<Duration>, own: Duration, by: &str) {
        let error = got.map(|got| got.abs_diff(own));
        self.0.push(Row {
            what: format!("{what} (by {by})"),
            expected: seconds(own),
            got: got.map_or_else(|| "none".to_owned(), seconds),
            error,
            holds: error.is_some_and(|error| error <= TOLERANCE),
        });
    }

    /// A moment that must be when somebody else saw it, both by the node's clock.
    pub(crate) fn when(&mut self, what: &str, got: Option<Timestamp>, own: Timestamp, by: &str) {
        let seconds = |at: Timestamp| seconds(Duration::from_nanos(at.0));
        let error = got.map(|got| got.since(own).max(own.since(got)));
        self.0.push(Row {
            what: format!("time of {what} (by {by})"),
            expected: seconds(own),
            got: got.map_or_else(|| "none".to_owned(), seconds),
            error,
            holds: error.is_some_and(|error| error <= TOLERANCE),
        });
    }

    /// What the hook is said to have been: its kind, where its times are from, and how it went.
    pub(crate) fn hook(&mut self, report: &Report, kind: HookKind, method: HookMethod, how: How) {
        let got = report.hook.as_ref();
        self.same("hook", got.map(|hook| hook.kind), Some(kind));
        self.same("method", got.map(|hook| hook.method), Some(method));
        let got = got.map(|hook| match hook.failure {
            Some(failure) => How::Failed(failure),
            None if hook.running_at_stop_signal => How::Overran,
            None => How::Ended,
        });
        self.same("how the hook went", got, Some(how));
    }

    /// The verdict, each part exactly.
    pub(crate) fn verdict(
        &mut self,
        report: &Report,
        outcome: Outcome,
        trigger: Trigger,
        findings: &[FindingKind],
    ) {
        let found: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
        self.same("outcome", report.outcome, outcome);
        self.same("trigger", report.trigger, trigger);
        self.same("findings", found.as_slice(), findings);
        self.same::<&[Doubt]>("doubts", report.doubts.as_slice(), &[]);
    }

    /// The durations that the node's own logs tell.
    pub(crate) fn logged(&mut self, report: &Report, logged: Logged) {
        // They tell of what this agent has not seen.
        if report.doubts.contains(&Doubt::SeenLate) {
            return;
        }
        // The kubelet says that it ran a hook which it did not even try to run.
        let failure = report.hook.as_ref().and_then(|hook| hook.failure);
        let refused = failure == Some(HookFailure::Unsupported);
        if let Some(own) = logged.hook.filter(|_| !refused) {
            self.took("hook", report.hook_duration(), own, "kubelet");
        }
        if let Some(own) = logged.signal_to_exit {
            self.took(
                "signal to exit",
                report.stop_signal_to_exit(),
                own,
                "containerd",
            );
        }
        if let Some(own) = logged.signal_to_kill {
            self.took(
                "signal to SIGKILL",
                report.stop_signal_to_kill(),
                own,
                "containerd",
            );
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}
