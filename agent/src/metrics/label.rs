//! Label sets. Strings only where the subject is named; everything else is one of a fixed set.

use agent_common::record;
use agent_core::report::{Report, Subject, SubjectKind};
use prometheus_client::encoding::EncodeLabelSet;
use serde::Serialize;

/// Which subject; see docs/decisions/0001-metric-labels-in-local-mode.md.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(crate) struct SubjectLabels {
    kind: String,
    container: String,
    cgroup: String,
}

impl SubjectLabels {
    pub(crate) fn of(subject: &Subject) -> Self {
        Self {
            kind: word(subject.kind),
            container: known(subject.name.clone()),
            cgroup: known(subject.path.clone()),
        }
    }
}

/// Which subject, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SubjectOutcomeLabels {
    #[prometheus(flatten)]
    pub(crate) subject: SubjectLabels,
    pub(crate) outcome: String,
}

/// What comes again under the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(crate) struct WorkloadLabels {
    workload_kind: String,
    workload: String,
}

impl WorkloadLabels {
    /// A unit without its instance, the name of a cgroup that a glob named; for what has a new name each time (containers,
    /// transient scopes) the name of the program it runs.
    pub(crate) fn of(report: &Report) -> Self {
        let subject = &report.subject;
        let workload = match subject.kind {
            SubjectKind::SystemdService => without_instance(&subject.name),
            SubjectKind::Cgroup => subject.name.clone(),
            SubjectKind::SystemdScope
            | SubjectKind::Docker
            | SubjectKind::Podman
            | SubjectKind::Containerd
            | SubjectKind::Crio => report
                .main
                .as_ref()
                .map(|main| main.comm.clone())
                .unwrap_or_default(),
        };
        Self {
            workload_kind: word(subject.kind),
            workload: known(workload),
        }
    }

    /// Where the bound on workloads puts the ones that are too many.
    pub(crate) fn other(&self) -> Self {
        Self {
            workload_kind: self.workload_kind.clone(),
            workload: "other".to_owned(),
        }
    }
}

/// Declares a workload's label set with one more label.
macro_rules! workload_and {
    ($name:ident, $label:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(crate) struct $name {
            #[prometheus(flatten)]
            pub(crate) workload: WorkloadLabels,
            pub(crate) $label: String,
        }
    };
}

workload_and!(
    WorkloadOutcomeLabels,
    outcome,
    "Which workload, and how its termination ended."
);
workload_and!(
    WorkloadFindingLabels,
    finding,
    "Which workload, and a diagnosis."
);
workload_and!(
    WorkloadCauseLabels,
    cause,
    "Which workload, and why SIGKILL was sent."
);
workload_and!(
    WorkloadDoubtLabels,
    doubt,
    "Which workload, and what keeps a verdict from being certain."
);

/// Declares a set of one label whose values are fixed.
macro_rules! one_label {
    ($name:ident, $label:ident) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(crate) struct $name {
            pub(crate) $label: String,
        }

        impl $name {
            pub(crate) fn new(value: impl Into<String>) -> Self {
                Self {
                    $label: value.into(),
                }
            }
        }
    };
}

one_label!(KindLabel, kind);
one_label!(ReasonLabel, reason);
one_label!(ProbeLabel, probe);
one_label!(ProgramLabel, program);
one_label!(MapLabel, map);
one_label!(UpdateLabel, update);
one_label!(FamilyLabel, family);

/// The word that the JSON of a report has for a variant without fields.
pub(crate) fn word(variant: impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}

/// The word for a kind of record.
pub(crate) fn record_kind(kind: record::Kind) -> &'static str {
    match kind {
        record::Kind::Signal => "signal",
        record::Kind::Exec => "exec",
        record::Kind::Exit => "exit",
        record::Kind::Attach => "attach",
        record::Kind::CgroupMade => "cgroup_made",
        record::Kind::CgroupRemoved => "cgroup_removed",
        record::Kind::CgroupPopulated => "cgroup_populated",
        record::Kind::OomVictim => "oom_victim",
    }
}

/// An empty label is no label to Prometheus, so what is not known says so.
fn known(name: String) -> String {
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

/// `getty@tty1.service` is an instance of `getty@.service`.
fn without_instance(unit: &str) -> String {
    match (unit.split_once('@'), unit.rsplit_once('.')) {
        (Some((template, _)), Some((_, kind))) => format!("{template}@.{kind}"),
        _ => unit.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_of_a_unit_are_one_workload() {
        assert_eq!(without_instance("getty@tty1.service"), "getty@.service");
        assert_eq!(without_instance("nginx.service"), "nginx.service");
        assert_eq!(without_instance("a@b@c.d.service"), "a@.service");
    }

    #[test]
    fn words_are_those_of_the_json() {
        assert_eq!(word(SubjectKind::SystemdService), "systemd_service");
        assert_eq!(known(String::new()), "unknown");
    }
}
