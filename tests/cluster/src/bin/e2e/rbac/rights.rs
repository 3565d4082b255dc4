//! The rights that `deploy/` gives, and what an agent cannot do without each.

use std::collections::BTreeSet;
use std::fmt;

/// Something that takes a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ability {
    /// Tells whose container it was.
    NamePod,
    /// Tells that the liveness probe failed.
    TellTrigger,
    /// Tells when the pod was taken out of the EndpointSlices.
    TellEndpoint,
    /// Names a Job's CronJob.
    NameCronJob,
    /// Names what controls a ReplicaSet.
    NameOwner,
    /// Writes Events.
    WriteEvents,
    /// Counts an Event up instead of writing another.
    CountEvents,
}

impl Ability {
    pub(super) fn all_abilities() -> BTreeSet<Self> {
        BTreeSet::from([
            Self::NamePod,
            Self::TellTrigger,
            Self::TellEndpoint,
            Self::NameCronJob,
            Self::NameOwner,
            Self::WriteEvents,
            Self::CountEvents,
        ])
    }
}

/// One verb on one resource.
#[derive(Debug)]
pub(super) struct Right {
    /// The ClusterRole, and the place of the rule in it.
    pub(super) role: &'static str,
    pub(super) rule: usize,
    group: &'static str,
    pub(super) resource: &'static str,
    pub(super) verb: &'static str,
    /// The place of the verb in the rule; `None` if it is the only one.
    pub(super) place: Option<usize>,
    /// What an agent without it cannot do; empty for everything.
    loses: &'static [Ability],
}

impl Right {
    pub(super) fn lost_abilities(&self) -> BTreeSet<Ability> {
        if self.loses.is_empty() {
            return Ability::all_abilities();
        }
        self.loses.iter().copied().collect()
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe_right(self.verb, self.resource, self.group))
    }
}

/// A right in words, as `kubectl auth can-i` takes it.
pub(super) fn describe_right(verb: &str, resource: &str, group: &str) -> String {
    let dot = if group.is_empty() { "" } else { "." };
    format!("{verb} {resource}{dot}{group}")
}

/// All of them, in words.
pub(super) fn all_rights() -> BTreeSet<String> {
    RIGHTS.iter().map(Right::to_string).collect()
}

pub(super) const RIGHTS: [Right; 10] = [
    Right {
        role: "gracewatch",
        rule: 0,
        group: "",
        resource: "pods",
        verb: "list",
        place: Some(0),
        loses: &[],
    },
    Right {
        role: "gracewatch",
        rule: 0,
        group: "",
        resource: "pods",
        verb: "watch",
        place: Some(1),
        // The pods of the trial are younger than the agents.
        loses: &[],
    },
    Right {
        role: "gracewatch-watch-events",
        rule: 0,
        group: "",
        resource: "events",
        verb: "list",
        place: Some(0),
        loses: &[Ability::TellTrigger],
    },
    Right {
        role: "gracewatch-watch-events",
        rule: 0,
        group: "",
        resource: "events",
        verb: "watch",
        place: Some(1),
        loses: &[Ability::TellTrigger],
    },
    Right {
        role: "gracewatch-watch-endpoint-slices",
        rule: 0,
        group: "discovery.k8s.io",
        resource: "endpointslices",
        verb: "list",
        place: Some(0),
        loses: &[Ability::TellEndpoint],
    },
    Right {
        role: "gracewatch-watch-endpoint-slices",
        rule: 0,
        group: "discovery.k8s.io",
        resource: "endpointslices",
        verb: "watch",
        place: Some(1),
        // The slice of the trial is younger than the agents.
        loses: &[Ability::TellEndpoint],
    },
    Right {
        role: "gracewatch-report-events",
        rule: 0,
        group: "events.k8s.io",
        resource: "events",
        verb: "create",
        place: Some(0),
        loses: &[Ability::WriteEvents, Ability::CountEvents],
    },
    Right {
        role: "gracewatch-report-events",
        rule: 0,
        group: "events.k8s.io",
        resource: "events",
        verb: "patch",
        place: Some(1),
        loses: &[Ability::CountEvents],
    },
    Right {
        role: "gracewatch-name-workloads",
        rule: 0,
        group: "apps",
        resource: "replicasets",
        verb: "get",
        place: None,
        loses: &[Ability::NameOwner],
    },
    Right {
        role: "gracewatch-name-workloads",
        rule: 1,
        group: "batch",
        resource: "jobs",
        verb: "get",
        place: None,
        loses: &[Ability::NameCronJob],
    },
];
