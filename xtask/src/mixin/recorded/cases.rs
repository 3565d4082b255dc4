//! For each alert a run in which it must fire, and one in which it must not.

use super::page::{Labels, Sample};

/// One test.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) alert: &'static str,
    pub(super) severity: &'static str,
    /// The run: a file of tests/recordings without its ending.
    pub(super) recording: &'static str,
    /// What is special about it, in the test's name.
    pub(super) what: &'static str,
    /// On so many nodes the same happened.
    pub(super) nodes: u32,
    /// Whether Prometheus cannot reach the agents.
    pub(super) down: bool,
    /// When the agents started; below 0 it was long before the first scrape.
    pub(super) started: i64,
    /// The metrics that are cut from the recording.
    pub(super) cut: &'static [&'static str],
    /// What is not as it was recorded.
    pub(super) changed: &'static [Change],
    /// Series of others than the agents.
    pub(super) beside: &'static [(&'static str, &'static str)],
    pub(super) expected: Expected,
    /// The labels of the alert, where they are not those of a recorded series.
    pub(super) whole: Option<&'static [(&'static str, &'static str)]>,
    pub(super) at_minute: u32,
}

/// A recorded series that is another one in the test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) metric: &'static str,
    /// Of its series the one with this label, or all.
    pub(super) of: Option<(&'static str, &'static str)>,
    /// The label that is another, and its value.
    pub(super) label: Option<(&'static str, &'static str)>,
    /// The value that it changes to.
    pub(super) value: Option<&'static str>,
}

/// Whether it fires, and of which recorded series the alert has its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Quiet,
    Fires {
        metric: &'static str,
        with: (&'static str, &'static str),
        /// The labels that it has of it.
        labels: &'static [&'static str],
    },
}

impl Change {
    pub(super) fn applies_to(&self, sample: &Sample) -> bool {
        self.metric == sample.name && self.of.is_none_or(|label| has_label(&sample.labels, label))
    }
}

impl Case {
    pub(super) fn name(&self) -> String {
        let verb = match self.expected {
            Expected::Quiet => "does not fire",
            Expected::Fires { .. } => "fires",
        };
        format!(
            "{} {verb}: recording {}{}{}",
            self.alert,
            self.recording,
            if self.what.is_empty() { "" } else { ", " },
            self.what
        )
    }

    pub(super) fn is_expected(&self, sample: &Sample) -> bool {
        match self.expected {
            Expected::Quiet => false,
            Expected::Fires { metric, with, .. } => {
                sample.name == metric && has_label(&sample.labels, with)
            }
        }
    }

    /// The labels of the alert about this series.
    pub(super) fn alert_labels(&self, series: &Labels) -> Labels {
        match self.expected {
            Expected::Quiet => Labels::new(),
            Expected::Fires { labels, .. } => series
                .iter()
                .filter(|(name, _)| labels.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }
}

/// A label; with an empty name, any.
fn has_label(labels: &Labels, (name, value): (&str, &str)) -> bool {
    name.is_empty() || labels.get(name).is_some_and(|found| found == value)
}

const OUTCOMES: &str = "workload_termination_outcomes_total";
const FINDINGS: &str = "workload_termination_findings_total";
const SIGKILLS: &str = "workload_termination_sigkills_total";
const FAILURES: &str = "workload_termination_prestop_failures_total";
const SCANS: &str = "gracewatch_scans_total";
const DROPPED: &str = "gracewatch_dropped_total";
const UNATTRIBUTED: &str = "gracewatch_unattributed_total";

const WORKLOAD: &[&str] = &[
    "namespace",
    "workload_kind",
    "workload",
    "container",
    "role",
];
const HOOK: &[&str] = &[
    "namespace",
    "workload_kind",
    "workload",
    "container",
    "role",
    "handler",
    "failure",
];
const LOST: &str = "gracewatch_records_lost_total";
const ATTACHED: &str = "gracewatch_probe_attached";
const WATCHING: &str = "gracewatch_watch_connected";
/// The page of an agent that is alive; the others are of replays, where no kernel and no API is.
const ALIVE: &str = "agent_alive";

const AGENT: &[&str] = &["node", "instance"];

const fn quiet_case(
    alert: &'static str,
    recording: &'static str,
    what: &'static str,
    cut: &'static [&'static str],
) -> Case {
    Case {
        alert,
        severity: "warning",
        recording,
        what,
        nodes: 1,
        down: false,
        started: 0,
        cut,
        changed: &[],
        beside: &[],
        expected: Expected::Quiet,
        whole: None,
        at_minute: 40,
    }
}

const fn firing_case(
    alert: &'static str,
    recording: &'static str,
    what: &'static str,
    cut: &'static [&'static str],
    expected: Expected,
) -> Case {
    Case {
        expected,
        ..quiet_case(alert, recording, what, cut)
    }
}

/// It has the labels of the workload of this series.
const fn with_workload(metric: &'static str, with: (&'static str, &'static str)) -> Expected {
    Expected::Fires {
        metric,
        with,
        labels: WORKLOAD,
    }
}

/// A recorded finding that stands for one of which there is no recording.
const fn instead(finding: &'static str) -> [Change; 1] {
    [Change {
        metric: FINDINGS,
        of: None,
        label: Some(("finding", finding)),
        value: None,
    }]
}

const STUCK: [Change; 1] = instead("stuck_after_kill");
const RESET: [Change; 1] = instead("connections_reset");
const RACE: [Change; 1] = instead("endpoint_race");
const NOT_ASKED: [Change; 1] = [Change {
    metric: SIGKILLS,
    of: None,
    label: Some(("cause", "no_stop_signal")),
    value: None,
}];
const SCANNED: [Change; 1] = [Change {
    metric: SCANS,
    of: None,
    label: None,
    value: Some("1"),
}];
const FULL: [Change; 1] = [Change {
    metric: DROPPED,
    of: Some(("reason", "containers_full")),
    label: None,
    value: Some("3"),
}];
const UNKNOWN: [Change; 1] = [Change {
    metric: DROPPED,
    of: Some(("reason", "container_unknown")),
    label: None,
    value: Some("3"),
}];
const UNNAMED: [Change; 1] = [Change {
    metric: UNATTRIBUTED,
    of: Some(("reason", "pod_unknown")),
    label: None,
    value: Some("5"),
}];
const OVERFLOWN: [Change; 1] = [Change {
    metric: LOST,
    of: Some(("kind", "signal")),
    label: None,
    value: Some("7"),
}];
const REFUSED: [Change; 1] = [Change {
    metric: ATTACHED,
    of: Some(("probe", "tcp_send_reset")),
    label: None,
    value: Some("0"),
}];
const BROKEN: [Change; 1] = [Change {
    metric: WATCHING,
    of: Some(("resource", "pods")),
    label: None,
    value: Some("0"),
}];
const NODES: &[(&str, &str)] = &[
    (
        "kube_node_info{job=\"kube-state-metrics\",node=\"node-1\"}",
        "1x90",
    ),
    (
        "kube_node_info{job=\"kube-state-metrics\",node=\"node-2\"}",
        "1x90",
    ),
];

pub(super) const ALL: &[Case] = &[
    firing_case(
        "TerminationStopSignalIgnored",
        "k8s_ignored",
        "",
        &[OUTCOMES],
        with_workload(OUTCOMES, ("outcome", "signal_ignored")),
    ),
    quiet_case(
        "TerminationStopSignalIgnored",
        "k8s_hook_exec",
        "",
        &[OUTCOMES],
    ),
    Case {
        at_minute: 120,
        ..quiet_case(
            "TerminationStopSignalIgnored",
            "k8s_ignored",
            "an hour later",
            &[OUTCOMES],
        )
    },
    Case {
        started: -86400,
        ..quiet_case(
            "TerminationStopSignalIgnored",
            "k8s_ignored",
            "counted a day before Prometheus first saw it",
            &[OUTCOMES],
        )
    },
    Case {
        nodes: 5,
        ..firing_case(
            "TerminationGraceExceeded",
            "too_slow",
            "on five nodes",
            &[OUTCOMES],
            with_workload(OUTCOMES, ("outcome", "grace_exceeded")),
        )
    },
    Case {
        nodes: 4,
        ..quiet_case(
            "TerminationGraceExceeded",
            "too_slow",
            "on four nodes: too few to be a share",
            &[OUTCOMES],
        )
    },
    quiet_case(
        "TerminationGraceExceeded",
        "k8s_rolling_update",
        "",
        &[OUTCOMES],
    ),
    firing_case(
        "TerminationPreStopHookOverran",
        "k8s_hook_overruns",
        "",
        &[FINDINGS],
        with_workload(FINDINGS, ("finding", "hook_overran")),
    ),
    quiet_case(
        "TerminationPreStopHookOverran",
        "k8s_hook_fails",
        "",
        &[FINDINGS],
    ),
    Case {
        nodes: 2,
        expected: Expected::Fires {
            metric: FAILURES,
            with: ("failure", "status"),
            labels: HOOK,
        },
        ..quiet_case(
            "TerminationPreStopHookFailed",
            "k8s_hook_fails",
            "on two nodes",
            &[FAILURES],
        )
    },
    quiet_case(
        "TerminationPreStopHookFailed",
        "k8s_hook_fails",
        "once",
        &[FAILURES],
    ),
    Case {
        changed: &NOT_ASKED,
        ..firing_case(
            "TerminationKilledWithoutStopSignal",
            "k8s_ignored",
            "with no_stop_signal as the cause of its SIGKILL",
            &[SIGKILLS],
            with_workload(SIGKILLS, ("", "")),
        )
    },
    quiet_case(
        "TerminationKilledWithoutStopSignal",
        "k8s_ignored",
        "",
        &[SIGKILLS],
    ),
    Case {
        changed: &STUCK,
        ..firing_case(
            "TerminationStuckAfterKill",
            "k8s_ignored",
            "with stuck_after_kill as its finding",
            &[FINDINGS],
            with_workload(FINDINGS, ("", "")),
        )
    },
    quiet_case("TerminationStuckAfterKill", "k8s_ignored", "", &[FINDINGS]),
    Case {
        nodes: 5,
        changed: &RESET,
        ..firing_case(
            "TerminationConnectionsReset",
            "too_slow",
            "on five nodes, with connections_reset as its finding",
            &[OUTCOMES, FINDINGS],
            with_workload(FINDINGS, ("", "")),
        )
    },
    quiet_case(
        "TerminationConnectionsReset",
        "k8s_rolling_update",
        "",
        &[OUTCOMES],
    ),
    Case {
        nodes: 5,
        changed: &RACE,
        ..firing_case(
            "TerminationEndpointRace",
            "too_slow",
            "on five nodes, with endpoint_race as its finding",
            &[OUTCOMES, FINDINGS],
            with_workload(FINDINGS, ("", "")),
        )
    },
    quiet_case(
        "TerminationEndpointRace",
        "k8s_rolling_update",
        "",
        &[OUTCOMES],
    ),
    Case {
        down: true,
        whole: Some(&[]),
        expected: Expected::Fires {
            metric: "",
            with: ("", ""),
            labels: &[],
        },
        ..quiet_case(
            "GracewatchAbsent",
            "k8s_ignored",
            "with all agents down",
            &[SCANS],
        )
    },
    quiet_case("GracewatchAbsent", "k8s_ignored", "", &[SCANS]),
    Case {
        down: true,
        expected: Expected::Fires {
            metric: SCANS,
            with: ("", ""),
            labels: &["job", "node", "instance"],
        },
        ..quiet_case(
            "GracewatchAgentDown",
            "k8s_ignored",
            "with all agents down",
            &[SCANS],
        )
    },
    quiet_case("GracewatchAgentDown", "k8s_ignored", "", &[SCANS]),
    Case {
        beside: NODES,
        whole: Some(&[("node", "node-2")]),
        expected: Expected::Fires {
            metric: "",
            with: ("", ""),
            labels: &[],
        },
        ..quiet_case(
            "GracewatchAgentMissing",
            "k8s_ignored",
            "in a cluster of two nodes",
            &[SCANS],
        )
    },
    Case {
        beside: NODES,
        nodes: 2,
        ..quiet_case(
            "GracewatchAgentMissing",
            "k8s_ignored",
            "on each of two nodes",
            &[SCANS],
        )
    },
    quiet_case(
        "GracewatchAgentMissing",
        "k8s_ignored",
        "without kube-state-metrics",
        &[SCANS],
    ),
    Case {
        expected: Expected::Fires {
            metric: SCANS,
            with: ("", ""),
            labels: &["job", "node", "instance"],
        },
        ..quiet_case(
            "GracewatchAgentNotReady",
            "k8s_ignored",
            "which replayed and never scanned",
            &[SCANS],
        )
    },
    Case {
        changed: &SCANNED,
        ..quiet_case(
            "GracewatchAgentNotReady",
            "k8s_ignored",
            "with a scan",
            &[SCANS],
        )
    },
    Case {
        changed: &FULL,
        whole: Some(&[
            ("instance", "10.0.0.1:8637"),
            ("limit", "containers_full"),
            ("node", "node-1"),
        ]),
        expected: Expected::Fires {
            metric: "",
            with: ("", ""),
            labels: AGENT,
        },
        ..quiet_case(
            "GracewatchLimitReached",
            "k8s_ignored",
            "with containers that found no room",
            &[DROPPED],
        )
    },
    Case {
        changed: &UNKNOWN,
        ..quiet_case(
            "GracewatchLimitReached",
            "k8s_ignored",
            "with containers that were not known",
            &[DROPPED],
        )
    },
    Case {
        severity: "info",
        changed: &UNNAMED,
        expected: Expected::Fires {
            metric: UNATTRIBUTED,
            with: ("reason", "pod_unknown"),
            labels: AGENT,
        },
        ..quiet_case(
            "GracewatchPodsUnattributed",
            "k8s_rolling_update",
            "with pods that did not become known",
            &[OUTCOMES, UNATTRIBUTED],
        )
    },
    quiet_case(
        "GracewatchPodsUnattributed",
        "k8s_rolling_update",
        "",
        &[OUTCOMES, UNATTRIBUTED],
    ),
    Case {
        changed: &OVERFLOWN,
        expected: Expected::Fires {
            metric: LOST,
            with: ("kind", "signal"),
            labels: AGENT,
        },
        ..quiet_case(
            "GracewatchEventsLost",
            ALIVE,
            "with signals that found no room",
            &[LOST],
        )
    },
    quiet_case("GracewatchEventsLost", ALIVE, "", &[LOST]),
    Case {
        severity: "info",
        changed: &REFUSED,
        at_minute: 60,
        expected: Expected::Fires {
            metric: ATTACHED,
            with: ("probe", "tcp_send_reset"),
            labels: &["job", "node", "instance", "probe"],
        },
        ..quiet_case(
            "GracewatchProbeNotAttached",
            ALIVE,
            "with a probe that was refused",
            &[ATTACHED],
        )
    },
    quiet_case("GracewatchProbeNotAttached", ALIVE, "", &[ATTACHED]),
    Case {
        changed: &BROKEN,
        at_minute: 60,
        expected: Expected::Fires {
            metric: WATCHING,
            with: ("resource", "pods"),
            labels: &["job", "node", "instance", "resource"],
        },
        ..quiet_case(
            "GracewatchApiWatchDown",
            ALIVE,
            "with a watch that broke",
            &[WATCHING],
        )
    },
    quiet_case("GracewatchApiWatchDown", ALIVE, "", &[WATCHING]),
    Case {
        severity: "info",
        beside: &[(
            "gracewatch_decode_errors_total{job=\"gracewatch\",instance=\"10.0.0.1:8637\",node=\"node-1\",reason=\"short\"}",
            "_x30 1x60",
        )],
        whole: Some(&[("instance", "10.0.0.1:8637"), ("node", "node-1")]),
        expected: Expected::Fires {
            metric: "",
            with: ("", ""),
            labels: AGENT,
        },
        ..quiet_case(
            "GracewatchInternalErrors",
            ALIVE,
            "with a record that was too short",
            &[LOST],
        )
    },
    quiet_case("GracewatchInternalErrors", ALIVE, "", &[LOST]),
];
