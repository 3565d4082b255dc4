//! What the metrics say of one termination, against its report.

use std::time::Duration;

use agent_core::report::{Outcome, Report, Start};
use serde::Serialize;

use super::{Ended, Stage};
use crate::check::Check;

impl Stage<'_> {
    /// The metrics of one finished termination must say what its report says, those of its workload must count it.
    pub(super) fn compare_metrics(&self, check: &mut Check, ended: &Ended) {
        let report = &ended.report;
        let completed = report.outcome == Outcome::Completed;
        let role = ended.pod.container_role(&ended.container);
        // Of an init container that did its work there is no series.
        if !(completed && role.as_deref() == Some("init")) {
            self.compare_last(check, ended);
        }
        self.compare_workload(check, ended);
    }

    /// The series of the container itself, which hold its one termination.
    fn compare_last(&self, check: &mut Check, ended: &Ended) {
        let report = &ended.report;
        let id = ended.pod.container_id(&ended.container).unwrap_or_default();
        let id: String = id.chars().take(SHORT_ID).collect();
        let labels = [
            ("namespace", self.namespace.as_str()),
            ("pod", &ended.pod.name),
            ("container", &ended.container),
            ("container_id", &id),
        ];
        let values = [
            (
                "pod_termination_prestop_duration_seconds",
                seconds(report.hook_duration()),
            ),
            (
                "pod_termination_prestop_failed",
                report
                    .hook
                    .as_ref()
                    .map(|hook| as_number(hook.failure.is_some())),
            ),
            (
                "pod_termination_signal_to_exit_seconds",
                seconds(report.stop_signal_to_exit()),
            ),
            (
                "pod_termination_duration_seconds",
                seconds(report.total_duration()).filter(|_| was_asked(report)),
            ),
            (
                "pod_termination_sigkill_used",
                Some(as_number(report.kill.is_some())),
            ),
        ];
        for (name, value) in values {
            check.agrees(name, ended.page.sum(name, &labels), value);
        }
        let (outcome, trigger) = (json_name(report.outcome), json_name(report.trigger));
        let how = [("outcome", outcome.as_str()), ("trigger", &trigger)];
        let name = "pod_termination_outcome";
        let told = ended.page.sum(name, &[&labels[..], &how[..]].concat());
        check.agrees(name, told, Some(1.0));
    }

    fn compare_workload(&self, check: &mut Check, ended: &Ended) {
        let report = &ended.report;
        let workload = report.pod.as_ref().map(|pod| &pod.workload);
        let (kind, name) =
            workload.map_or(("", ""), |owner| (owner.kind.as_str(), owner.name.as_str()));
        let labels = [
            ("namespace", self.namespace.as_str()),
            ("workload_kind", kind),
            ("workload", name),
            ("container", &ended.container),
        ];
        let (outcome, trigger) = (json_name(report.outcome), json_name(report.trigger));
        let how = [("outcome", outcome.as_str()), ("trigger", &trigger)];
        let counted = |name: &str, more: &[(&str, &str)]| {
            let value = ended.page.sum(name, &[&labels[..], more].concat());
            value.is_some_and(|value| value >= 1.0)
        };
        let name = "workload_termination_outcomes_total";
        check.agrees(format!("{name} counts it"), counted(name, &how), true);
        for finding in &report.findings {
            let name = "workload_termination_findings_total";
            let kind = json_name(finding.kind);
            let counts = counted(name, &[("finding", &kind)]);
            check.agrees(format!("{name} counts {kind}"), counts, true);
        }
    }
}

/// Digits of a container's id in labels.
const SHORT_ID: usize = 12;

/// As the agent writes it in labels and in JSON.
pub(super) fn json_name(value: impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// What ended without being asked to did not take a time for it.
fn was_asked(report: &Report) -> bool {
    matches!(report.start_source, Start::Deletion | Start::Killing)
        || report.hook.is_some()
        || report.stop_signal.is_some()
}

fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|long| long.as_secs_f64())
}

const fn as_number(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}
