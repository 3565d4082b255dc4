//! What the kubelet's log says of each container that ended, and in what a report differs from it.

use std::collections::BTreeMap;
use std::time::Duration;

use agent_core::pod::Role;
use agent_core::report::{FindingKind, Report};
use gracewatch_cluster::suites::compare;

use crate::klog;

/// How far a hook's duration may be from what the kubelet measures around its call: on a busy machine that takes long.
const HOOK_TOLERANCE: Duration = Duration::from_secs(1);

/// One container, by the kubelet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The seconds of each call that stops it: what hook and order have left of the grace period.
    graces: Vec<u64>,
    /// When its first hook began and ended, by the time of day.
    hook_began: Option<Duration>,
    hook_ended: Option<Duration>,
    exit_code: Option<i64>,
}

/// Reads the kubelet's log; the containers by their id.
pub(super) fn parse(log: &str) -> BTreeMap<String, Said> {
    let mut all: BTreeMap<String, Said> = BTreeMap::new();
    for line in log.lines() {
        let Some(id) = quoted(line, "containerID=\"") else {
            continue;
        };
        let id = id.strip_prefix("containerd://").unwrap_or(id);
        let said = all.entry(id.to_owned()).or_default();
        if line.contains("\"Running preStop hook\"") {
            said.hook_began = said.hook_began.or_else(|| klog::time_of_day(line));
        } else if line.contains("\"PreStop hook completed\"") {
            said.hook_ended = said.hook_ended.or_else(|| klog::time_of_day(line));
        } else if line.contains("\"Killing container with a grace period\"") {
            said.graces.extend(number::<u64>(line, "gracePeriod="));
        } else if line.contains("\"Generic (PLEG): container finished\"") {
            said.exit_code = said.exit_code.or_else(|| number(line, "exitCode="));
        }
    }
    all
}

impl Said {
    /// Everything in which the container's report differs.
    pub(super) fn differences(&self, report: &Report) -> Vec<String> {
        let mut wrong = Vec::new();
        let code = report
            .exit
            .as_ref()
            .map(|exit| compare::exit_code(exit.status));
        if self.exit_code.is_some() && code != self.exit_code {
            wrong.push(format!("exit code: {code:?}"));
        }
        if report.doubts.is_empty() {
            wrong.extend(self.wrong_grace(report));
            wrong.extend(self.wrong_hook(report));
        }
        wrong
            .into_iter()
            .map(|wrong| format!("{wrong}, but the kubelet says {self:?}"))
            .collect()
    }

    /// A sidecar also waits for others, for which the kubelet takes whole seconds off.
    fn wrong_grace(&self, report: &Report) -> Option<String> {
        let left = report.grace.as_ref()?.after_hook.as_secs();
        let waits = report.pod.as_ref()?.role == Some(Role::Sidecar);
        let is_it = |grace: &u64| *grace == left || waits && *grace < left;
        (report.stop_signal.is_some() && !self.graces.iter().any(is_it))
            .then(|| format!("grace period left: {left} s"))
    }

    fn wrong_hook(&self, report: &Report) -> Option<String> {
        let not_run =
            |finding: &agent_core::report::Finding| finding.kind == FindingKind::HookNotRun;
        let ran = report.hook.is_some() && !report.findings.iter().any(not_run);
        if ran != self.hook_began.is_some() {
            return Some(format!("a hook ran: {ran}"));
        }
        let own = klog::between(self.hook_began, self.hook_ended)?;
        let said = report.hook_duration()?;
        (said > own + HOOK_TOLERANCE || own > said + HOOK_TOLERANCE)
            .then(|| format!("duration of the hook: {said:?} instead of {own:?}"))
    }
}

/// What stands between this mark and the next quotation mark.
fn quoted<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(mark)?;
    rest.split('"').next()
}

fn number<T: std::str::FromStr>(line: &str, mark: &str) -> Option<T> {
    let (_, rest) = line.split_once(mark)?;
    rest.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_about_a_container_is_read() {
        let log = r#"
I1130 19:00:01.500000 7 kuberuntime_container.go:786] "Running preStop hook" pod="ns/p" podUID="u" containerName="c" containerID="containerd://aa"
I1130 19:00:03.500000 7 kuberuntime_container.go:806] "PreStop hook completed" pod="ns/p" podUID="u" containerName="c" containerID="containerd://aa"
I1130 19:00:03.600000 7 kuberuntime_container.go:912] "Killing container with a grace period" pod="ns/p" podUID="u" containerName="c" containerID="containerd://aa" gracePeriod=28
I1130 19:00:04.600000 7 generic.go:406] "Generic (PLEG): container finished" podID="u" containerID="aa" exitCode=137
"#;
        let expected = Said {
            graces: vec![28],
            hook_began: Some(Duration::from_millis(68_401_500)),
            hook_ended: Some(Duration::from_millis(68_403_500)),
            exit_code: Some(137),
        };
        assert_eq!(parse(log), BTreeMap::from([("aa".to_owned(), expected)]));
    }
}
