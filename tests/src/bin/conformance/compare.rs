//! A report beside what a row expects: right, unsure or wrong.

use std::fmt::Display;
use std::time::Duration;

use agent_core::event::ExitStatus;
use agent_core::report::{FindingKind, Report};
use serde::Serialize;

use crate::expect::{Expect, Never};

/// How far a duration may be off: processes wait for their turn on a busy machine.
const TOLERANCE: Duration = Duration::from_millis(700);

/// What a report is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    /// Certain, and as it must be.
    Right,
    /// It has doubts that the row allows.
    Unsure,
    /// It has doubts that it need not have, or it is certain of what cannot be known.
    Misjudged,
    /// Certain, and not as it must be; or something that must never be said.
    Wrong,
}

impl Worth {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Unsure => "unsure",
            Self::Misjudged => "needlessly unsure",
            Self::Wrong => "WRONG",
        }
    }

    pub(crate) const fn passes(self) -> bool {
        matches!(self, Self::Right | Self::Unsure)
    }
}

/// What a report is worth, and where it differs.
pub(crate) fn compare_report(
    report: &Report,
    expect: &Expect,
    never: &Never,
) -> (Worth, Vec<String>) {
    let said = never_said(report, never);
    if !said.is_empty() {
        return (Worth::Wrong, said);
    }
    let mut differs = differences(report, expect);
    let needless: Vec<_> = report
        .doubts
        .iter()
        .filter(|doubt| !expect.doubts.contains(doubt))
        .map(|doubt| format!("the doubt {}", json_name(doubt)))
        .collect();
    match (report.doubts.is_empty(), expect.unsure) {
        (true, true) => (
            Worth::Misjudged,
            vec![format!(
                "it is certain, and cannot know: {}",
                json_names(&expect.doubts)
            )],
        ),
        (true, false) if differs.is_empty() => (Worth::Right, differs),
        (true, false) => (Worth::Wrong, differs),
        (false, _) if needless.is_empty() && (expect.unsure || expect.or_unsure) => {
            (Worth::Unsure, Vec::new())
        }
        (false, false) if needless.is_empty() && differs.is_empty() => (Worth::Unsure, differs),
        (false, _) => {
            differs.extend(needless);
            (Worth::Misjudged, differs)
        }
    }
}

fn never_said(report: &Report, never: &Never) -> Vec<String> {
    let mut said = Vec::new();
    if never.outcomes.contains(&report.outcome) {
        said.push(format!("it must not say {}", json_name(&report.outcome)));
    }
    let cause = report.kill.as_ref().map(|kill| kill.cause);
    if let Some(cause) = cause.filter(|cause| never.kill_causes.contains(cause)) {
        said.push(format!(
            "it must not say that SIGKILL was {}",
            json_name(&cause)
        ));
    }
    let kinds = report.findings.iter().map(|finding| finding.kind);
    said.extend(
        kinds
            .filter(|kind| never.findings.contains(kind))
            .map(|kind| format!("it must not find {}", json_name(&kind))),
    );
    let text = text_of(report);
    said.extend(
        never
            .says
            .iter()
            .filter(|words| text.contains(words.as_str()))
            .map(|words| format!("it must not say `{words}`: {text}")),
    );
    said
}

/// Collects what differs.
#[derive(Debug, Default)]
struct Differences(Vec<String>);

impl Differences {
    fn add_difference(&mut self, what: &str, found: &str, expected: &str, holds: bool) {
        if !holds {
            self.0
                .push(format!("{what}: {found}, but it was {expected}"));
        }
    }

    /// A value that must be this, if the row says so.
    fn require_equal<T: Display + PartialEq>(
        &mut self,
        what: &str,
        found: Option<T>,
        expected: Option<T>,
    ) {
        let Some(expected) = expected else { return };
        let holds = found.as_ref() == Some(&expected);
        let found = found.map_or_else(|| "none".to_owned(), |found| found.to_string());
        self.add_difference(what, &found, &expected.to_string(), holds);
    }

    /// A duration in seconds.
    fn check_duration(&mut self, what: &str, found: Option<Duration>, expected: Option<f64>) {
        let Some(expected) = expected.map(Duration::from_secs_f64) else {
            return;
        };
        let holds = found.is_some_and(|found| found.abs_diff(expected) <= TOLERANCE);
        self.add_difference(what, &format!("{found:?}"), &format!("{expected:?}"), holds);
    }
}

fn differences(report: &Report, expect: &Expect) -> Vec<String> {
    let mut differs = Differences::default();
    verdict(report, expect, &mut differs);
    compare_facts(report, expect, &mut differs);
    let text = text_of(report);
    for wanted in &expect.says {
        let holds = text.contains(wanted.as_str());
        differs.add_difference("its words", &text, &format!("`{wanted}`"), holds);
    }
    differs.0
}

/// Outcome, trigger, cause of SIGKILL and findings.
fn verdict(report: &Report, expect: &Expect, differs: &mut Differences) {
    let outcomes = expect.outcome.as_slice();
    let holds = outcomes.contains(&report.outcome);
    differs.add_difference(
        "outcome",
        &json_name(&report.outcome),
        &json_names(outcomes),
        holds,
    );
    let trigger = expect.trigger().map(|trigger| json_name(&trigger));
    differs.require_equal("trigger", Some(json_name(&report.trigger)), trigger);
    let causes = expect.kill_causes();
    let cause = report.kill.as_ref().map(|kill| kill.cause);
    let found = cause.map_or_else(|| "none".to_owned(), |cause| json_name(&cause));
    let holds = cause.map_or(causes.is_empty(), |cause| causes.contains(&cause));
    differs.add_difference("SIGKILL", &found, &json_names(&causes), holds);
    let (found, expected) = (finding_kinds(report), expect.findings(Some(report.outcome)));
    let may = |kind: &FindingKind| expect.may.contains(kind);
    let all_there = expected
        .iter()
        .all(|kind| found.contains(kind) || may(kind));
    let no_others = found
        .iter()
        .all(|kind| expected.contains(kind) || may(kind));
    let holds = all_there && no_others;
    differs.add_difference(
        "findings",
        &json_names(&found),
        &json_names(&expected),
        holds,
    );
}

/// What else the row names.
fn compare_facts(report: &Report, expect: &Expect, differs: &mut Differences) {
    let signal = report
        .stop_signal
        .as_ref()
        .map(|stop| stop.signal.to_string());
    differs.require_equal("stop signal", signal, expect.signal.clone());
    let main = report.main.as_ref().map(|main| main.comm.clone());
    differs.require_equal("main process", main, expect.main.clone());
    let exit = report.exit.as_ref().map(|exit| status(exit.status));
    differs.require_equal("exit", exit, expect.exit.clone());
    let to_exit = report.stop_signal_to_exit();
    differs.check_duration("stop signal to exit", to_exit, expect.signal_to_exit);
    let to_kill = report.stop_signal_to_kill();
    differs.check_duration("stop signal to SIGKILL", to_kill, expect.signal_to_kill);
    differs.check_duration("hook", report.hook_duration(), expect.hook);
    let connections = report.connections.as_ref();
    let at_stop = connections.map(|found| found.at_stop_signal);
    differs.require_equal("connections", at_stop, expect.connections);
    let finished = connections.map(|found| found.finished);
    differs.require_equal(
        "connections finished",
        finished,
        expect.connections_finished,
    );
    let others = Some(report.other_signals.len());
    differs.require_equal("other signals", others, expect.other_signals);
    let repeated = Some(report.stop_signals_repeated);
    differs.require_equal("repeated", repeated, expect.signals_repeated);
}

fn status(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("code {code}"),
        ExitStatus::Signal { signal, .. } => signal.to_string(),
    }
}

/// Kinds of all findings, in their order.
pub(crate) fn finding_kinds(report: &Report) -> Vec<FindingKind> {
    let mut kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    kinds.sort_unstable();
    kinds
}

fn text_of(report: &Report) -> String {
    let all = report.findings.iter();
    let texts: Vec<_> = all
        .map(|finding| format!("{} {}", finding.evidence, finding.advice))
        .collect();
    texts.join(" ")
}

/// The word that reports have for a value.
pub(crate) fn json_name(value: &impl Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    json.as_str().unwrap_or("?").to_owned()
}

/// Several, or `none`.
pub(crate) fn json_names<T: Serialize>(values: &[T]) -> String {
    if values.is_empty() {
        return "none".to_owned();
    }
    let all: Vec<_> = values.iter().map(json_name).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(outcome: &str, findings: &[&str], doubts: &[&str]) -> Report {
        let findings: Vec<_> = findings
            .iter()
            .map(|kind| json!({ "kind": kind, "evidence": "`sh` did it.", "advice": "Mend it." }))
            .collect();
        let trigger = if outcome == "completed" {
            outcome
        } else {
            "stopped"
        };
        serde_json::from_value(json!({
            "id": 1,
            "subject": { "cgroup": 1, "path": "/x", "kind": "cgroup", "name": "x" },
            "main": null, "outcome": outcome, "trigger": trigger, "started_at": 0,
            "start_source": "exit", "hook": null, "stop_signal": null, "stop_signals_repeated": 0,
            "kill": null, "kills_repeated": 0, "exit": null, "released_at": null, "grace": null,
            "signals_inside": 0, "signals_outside": 0, "findings": findings, "doubts": doubts,
        }))
        .unwrap()
    }

    fn expect(text: &str) -> Expect {
        toml::from_str(text).unwrap()
    }

    fn report_worth(report: &Report, expected: &str) -> Worth {
        compare_report(report, &expect(expected), &Never::default()).0
    }

    const GRACEFUL: &str = "outcome = 'graceful'";

    #[test]
    fn certain_and_the_same_is_right() {
        assert_eq!(
            report_worth(&report("graceful", &[], &[]), GRACEFUL),
            Worth::Right
        );
        let several = "outcome = ['completed', 'graceful']\ntrigger = 'stopped'";
        assert_eq!(
            report_worth(&report("graceful", &[], &[]), several),
            Worth::Right
        );
    }

    #[test]
    fn certain_and_other_is_wrong() {
        assert_eq!(
            report_worth(&report("completed", &[], &[]), GRACEFUL),
            Worth::Wrong
        );
        let needless = report("graceful", &["killed_with_main"], &[]);
        assert_eq!(report_worth(&needless, GRACEFUL), Worth::Wrong);
        let may = "outcome = 'graceful'\nmay = ['killed_with_main']";
        assert_eq!(report_worth(&needless, may), Worth::Right);
        let missing = "outcome = 'graceful'\nfindings = ['killed_with_main']";
        assert_eq!(
            report_worth(&report("graceful", &[], &[]), missing),
            Worth::Wrong
        );
        assert_eq!(report_worth(&needless, missing), Worth::Right);
        let other_words =
            "outcome = 'graceful'\nfindings = ['killed_with_main']\nsays = ['`node`']";
        assert_eq!(report_worth(&needless, other_words), Worth::Wrong);
        let other_signal = "outcome = 'graceful'\nsignal = 'SIGTERM'";
        assert_eq!(
            report_worth(&report("graceful", &[], &[]), other_signal),
            Worth::Wrong
        );
    }

    #[test]
    fn a_doubt_passes_where_the_row_allows_it() {
        let doubtful = |outcome| report(outcome, &[], &["grace_unknown"]);
        assert_eq!(
            report_worth(&doubtful("graceful"), GRACEFUL),
            Worth::Misjudged
        );
        let allowed = "outcome = 'graceful'\ndoubts = ['grace_unknown']";
        assert_eq!(report_worth(&doubtful("graceful"), allowed), Worth::Unsure);
        assert_eq!(
            report_worth(&doubtful("completed"), allowed),
            Worth::Misjudged
        );
        let or_unsure = "outcome = 'graceful'\ndoubts = ['grace_unknown']\nor_unsure = true";
        assert_eq!(
            report_worth(&doubtful("completed"), or_unsure),
            Worth::Unsure
        );
        assert_eq!(
            report_worth(&report("completed", &[], &[]), or_unsure),
            Worth::Wrong
        );
        let unsure = "unsure = true\ndoubts = ['grace_unknown']";
        assert_eq!(report_worth(&doubtful("completed"), unsure), Worth::Unsure);
        assert_eq!(
            report_worth(&report("completed", &[], &[]), unsure),
            Worth::Misjudged
        );
    }

    #[test]
    fn what_must_never_be_said_is_wrong_however_unsure() {
        let unsure = expect("unsure = true\ndoubts = ['grace_unknown']");
        let report = report("completed", &["oom_killed"], &["grace_unknown"]);
        for never in [
            "outcomes = ['completed']",
            "findings = ['oom_killed']",
            "says = ['`sh`']",
        ] {
            let never = toml::from_str(never).unwrap();
            assert_eq!(compare_report(&report, &unsure, &never).0, Worth::Wrong);
        }
    }
}
