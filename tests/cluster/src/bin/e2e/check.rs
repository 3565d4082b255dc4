//! What a scenario expected and what it found, fact by fact.

use std::fmt::Debug;
use std::time::Duration;

use agent_core::report::{
    Doubt, FindingKind, HookFailure, HookKind, HookMethod, Outcome, Report, Trigger,
};
use agent_core::time::Timestamp;
use gracewatch_tests::harness::{Disagreements, Judged};

use crate::klog::Logged;

/// How far a duration of the agent's may be from what kubelet and runtime measure around it: they count their own calls,
/// starting a process in a container among them, and on a busy machine that was seen to take 0.65 s. By how much each is off
/// stands in the table.
const TOLERANCE: Duration = Duration::from_secs(1);

/// With whom a fact is compared: this says whose fault it is if the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    /// The agent with somebody who saw what happened.
    Witness,
    /// The agent with what the scenario planned, which holds if the plan was kept.
    Plan,
    /// Others than the agent with the plan; or a witness that had to wait for its turn on a busy machine, and cannot tell.
    Stage,
}

/// Which way a witness is off if it has to wait for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Off {
    /// Its duration is longer, or its moment later.
    More,
    /// Its duration is shorter, or its moment earlier.
    Less,
    /// One or the other.
    Either,
}

/// One fact.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) expected: String,
    pub(crate) got: String,
    /// How far a duration is off.
    pub(crate) error: Option<Duration>,
    pub(crate) holds: bool,
    with: With,
}

impl Row {
    fn describe(&self) -> String {
        let (what, got, expected) = (&self.what, &self.got, &self.expected);
        format!("{what}: {got}, but it was {expected}")
    }
}

impl Judged for Check {
    fn disagreements(&self) -> Disagreements {
        let of = |with: With| {
            let rows = self.0.iter().filter(|row| !row.holds && row.with == with);
            rows.map(Row::describe).collect()
        };
        Disagreements {
            wrong: of(With::Witness),
            unlike_plan: of(With::Plan),
            off_plan: of(With::Stage),
        }
    }
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
    /// Whether all facts hold so far.
    pub(crate) fn holds(&self) -> bool {
        self.0.iter().all(|row| row.holds)
    }

    /// A fact that the agent must say, as the scenario planned it.
    pub(crate) fn require_equal<T: PartialEq + Debug>(
        &mut self,
        what: impl Into<String>,
        got: T,
        expected: T,
    ) {
        self.add_row(With::Plan, what.into(), (&got, &expected), got == expected);
    }

    /// A fact that must be so, as the scenario planned it.
    pub(crate) fn require(&mut self, what: impl Into<String>, holds: bool) {
        self.require_equal(what, holds, true);
    }

    /// A fact that the agent must say, since somebody else saw it.
    pub(crate) fn agrees<T: PartialEq + Debug>(
        &mut self,
        what: impl Into<String>,
        got: T,
        seen: T,
    ) {
        self.add_row(With::Witness, what.into(), (&got, &seen), got == seen);
    }

    /// What must have happened on the stage, by somebody else than the agent.
    pub(crate) fn staged<T: PartialEq + Debug>(
        &mut self,
        what: impl Into<String>,
        seen: T,
        planned: T,
    ) {
        self.add_row(With::Stage, what.into(), (&seen, &planned), seen == planned);
    }

    fn add_row(&mut self, with: With, what: String, values: (&dyn Debug, &dyn Debug), holds: bool) {
        let (got, expected) = values;
        self.0.push(Row {
            what,
            expected: format!("{expected:?}"),
            got: format!("{got:?}"),
            error: None,
            holds,
            with,
        });
    }

    /// What went wrong beside the facts, for the table.
    pub(crate) fn failed(&mut self, why: &[String]) {
        self.0.push(Row {
            what: "it ran".to_owned(),
            expected: "to its end".to_owned(),
            got: why.join("; "),
            error: None,
            holds: false,
            with: With::Stage,
        });
    }

    /// A duration that must be as long as `by` saw; `off` tells which way that one is off on a busy machine.
    pub(crate) fn check_duration(
        &mut self,
        what: &str,
        got: Option<Duration>,
        own: Duration,
        (by, off): (&str, Off),
    ) {
        self.close_to(format!("{what} (by {by})"), got, own, (off, With::Witness));
    }

    /// A duration that must be as long as the scenario planned; on a busy machine it really is longer.
    pub(crate) fn lasted(
        &mut self,
        what: &str,
        got: Option<Duration>,
        planned: Duration,
        by: &str,
    ) {
        let what = format!("{what} (by {by})");
        self.close_to(what, got, planned, (Off::Less, With::Plan));
    }

    fn close_to(
        &mut self,
        what: String,
        got: Option<Duration>,
        own: Duration,
        (off, with): (Off, With),
    ) {
        let error = got.map(|got| got.abs_diff(own));
        let holds = error.is_some_and(|error| error <= TOLERANCE);
        let excused = got.is_some_and(|got| match off {
            Off::More => own > got,
            Off::Less => own < got,
            Off::Either => true,
        });
        self.0.push(Row {
            what,
            expected: seconds(own),
            got: got.map_or_else(|| "none".to_owned(), seconds),
            error,
            holds,
            with: if excused { With::Stage } else { with },
        });
    }

    /// A moment that must be when somebody else saw it, who says so right afterwards; both by the node's clock.
    pub(crate) fn check_time(
        &mut self,
        what: &str,
        got: Option<Timestamp>,
        own: Timestamp,
        by: &str,
    ) {
        self.moment(what, got, own, (by, Off::More));
    }

    /// A moment of which somebody else says right before that it will come.
    pub(crate) fn when_announced(
        &mut self,
        what: &str,
        got: Option<Timestamp>,
        own: Timestamp,
        by: &str,
    ) {
        self.moment(what, got, own, (by, Off::Less));
    }

    /// A moment that each of two onlookers may see later than the other.
    pub(crate) fn when_seen(
        &mut self,
        what: &str,
        got: Option<Timestamp>,
        own: Timestamp,
        by: &str,
    ) {
        self.moment(what, got, own, (by, Off::Either));
    }

    fn moment(
        &mut self,
        what: &str,
        got: Option<Timestamp>,
        own: Timestamp,
        (by, off): (&str, Off),
    ) {
        let since_boot = |at: Timestamp| Duration::from_nanos(at.0);
        let what = format!("time of {what} (by {by})");
        let off = (off, With::Witness);
        self.close_to(what, got.map(since_boot), since_boot(own), off);
    }

    /// What the hook is said to have been: its kind, where its times are from, and how it went.
    pub(crate) fn check_hook(
        &mut self,
        report: &Report,
        kind: HookKind,
        method: HookMethod,
        how: How,
    ) {
        let got = report.hook.as_ref();
        self.require_equal("hook", got.map(|hook| hook.kind), Some(kind));
        self.require_equal("method", got.map(|hook| hook.method), Some(method));
        let got = got.map(|hook| match hook.failure {
            Some(failure) => How::Failed(failure),
            None if hook.running_at_stop_signal => How::Overran,
            None => How::Ended,
        });
        self.require_equal("how the hook went", got, Some(how));
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
        self.require_equal("outcome", report.outcome, outcome);
        self.require_equal("trigger", report.trigger, trigger);
        self.require_equal("findings", found.as_slice(), findings);
        self.require_equal::<&[Doubt]>("doubts", report.doubts.as_slice(), &[]);
    }

    /// The verdict on a stop that somebody had to begin anew, because the kubelet or the runtime was restarted in the middle
    /// of it: the report says so, and which grace was told then it may leave open.
    pub(crate) fn begun_anew(
        &mut self,
        report: &Report,
        outcome: Outcome,
        findings: &[FindingKind],
    ) {
        let found = report.findings.iter().map(|finding| finding.kind);
        let (anew, rest): (Vec<_>, Vec<_>) =
            found.partition(|kind| *kind == FindingKind::KubeletRestarted);
        self.require_equal("outcome", report.outcome, outcome);
        self.require_equal("trigger", report.trigger, Trigger::Deleted);
        self.require_equal("findings of the restart", anew.len(), 1);
        self.require_equal("findings beside it", rest.as_slice(), findings);
        let of_the_grace = |doubt: &&Doubt| **doubt == Doubt::GraceUnknown;
        let other: Vec<_> = report
            .doubts
            .iter()
            .filter(|doubt| !of_the_grace(doubt))
            .collect();
        self.require_equal("doubts but of the grace", other, vec![]);
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
            self.check_duration("hook", report.hook_duration(), own, ("kubelet", Off::More));
        }
        if let Some(own) = logged.signal_to_exit {
            self.check_duration(
                "signal to exit",
                report.stop_signal_to_exit(),
                own,
                ("containerd", Off::More),
            );
        }
        if let Some(own) = logged.signal_to_kill {
            self.check_duration(
                "signal to SIGKILL",
                report.stop_signal_to_kill(),
                own,
                ("containerd", Off::Either),
            );
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_that_waited_for_its_turn_cannot_tell() {
        let second = Duration::from_secs(1);
        let of = |got: u32, own: u32, off: Off| {
            let mut check = Check::default();
            check.check_duration("hook", Some(second * got), second * own, ("kubelet", off));
            let found = check.disagreements();
            (found.wrong.len(), found.off_plan.len())
        };
        assert_eq!(of(3, 3, Off::More), (0, 0));
        assert_eq!(of(3, 5, Off::More), (0, 1));
        assert_eq!(of(5, 3, Off::More), (1, 0));
        assert_eq!(of(5, 3, Off::Less), (0, 1));
        assert_eq!(of(5, 3, Off::Either), (0, 1));
    }

    #[test]
    fn what_is_not_said_at_all_is_wrong() {
        let mut check = Check::default();
        check.check_duration(
            "hook",
            None,
            Duration::from_secs(1),
            ("kubelet", Off::Either),
        );
        assert_eq!(check.disagreements().wrong.len(), 1);
    }
}
