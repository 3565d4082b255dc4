//! Label sets. Free text only where a subject or a workload is named; everything else is one of a fixed set.
//!
//! Which labels name what: docs/decisions/0001-metric-labels-in-local-mode.md, 0011-metric-labels-of-pods.md,
//! 0018-metric-labels-of-connections.md and 0034-names-that-nobody-chooses-for-himself.md.

use std::fmt;

use agent_common::record;
use agent_core::connection::Scope;
use agent_core::report::{PodRef, Report, Subject, SubjectKind};
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use serde::Serialize;

use crate::terminal::text::visible;

/// Columns of a container id that tell containers of one node apart, as runtimes' own tools show it.
const SHORT_ID: usize = 12;
/// What is not known and must have a label: an empty one is none to Prometheus.
pub(crate) const UNKNOWN: &str = "unknown";
/// The workload of those that are too many.
const OTHER: &str = "other";

/// Names and values, in the order in which they are written. A label that does not apply is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Labels(Vec<(&'static str, String)>);

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.encode(encoder)
    }
}

impl Labels {
    /// A set of one.
    pub(crate) fn from_label(name: &'static str, value: impl AsRef<str>) -> Self {
        Self::default().with_label(name, value)
    }

    /// With one more. Control characters are escaped: a name may be anybody's choice, and what reads the page need not expect
    /// them.
    pub(crate) fn with_label(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.0.push((name, visible(value.as_ref())));
        self
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// One container that was terminated. Its id tells it from the one that was there before a restart, and from
    /// that of an earlier pod of the same name.
    pub(crate) fn of_subject(report: &Report) -> Self {
        let subject = &report.subject;
        match SubjectRef::from_report(report).owner() {
            Owner::Pod(pod) => Self::from_label("namespace", &pod.namespace)
                .with_label("pod", &pod.name)
                .container_of(pod)
                .with_label("container_id", short_id(subject)),
            Owner::UnknownPod(uid) => {
                Self::from_label("pod_uid", uid).with_label("container_id", short_id(subject))
            }
            Owner::None => Self::from_label("kind", json_name(subject.kind))
                .with_label("container", or_unknown(&subject.name))
                .with_label("cgroup", or_unknown(&subject.path)),
        }
    }

    /// What comes again under the same name. Without Kubernetes a unit without its instance, or the name of a cgroup that a
    /// glob named; a container or a scope, which has a new name each time, is a workload of its own. Never the name of a program:
    /// that is the program's choice, and could be another one's.
    pub(crate) fn of_workload(who: &SubjectRef<'_>) -> Self {
        match who.owner() {
            Owner::Pod(pod) => Self::from_label("namespace", &pod.namespace)
                .with_label("workload_kind", or_unknown(&pod.workload.kind))
                .with_label("workload", or_unknown(&pod.workload.name))
                .container_of(pod),
            Owner::UnknownPod(_) => {
                Self::from_label("workload_kind", UNKNOWN).with_label("workload", UNKNOWN)
            }
            Owner::None => Self::from_label("workload_kind", json_name(who.subject.kind))
                .with_label("workload", or_unknown(&who.local_workload())),
        }
    }

    /// Where the bound on workloads puts those that are too many. Kinds of Kubernetes are anybody's words, so they
    /// are not told apart.
    pub(crate) fn of_other_workloads(who: &SubjectRef<'_>) -> Self {
        let kind = match who.owner() {
            Owner::Pod(_) | Owner::UnknownPod(_) => OTHER.to_owned(),
            Owner::None => json_name(who.subject.kind),
        };
        Self::from_label("workload_kind", kind).with_label("workload", OTHER)
    }

    /// With `scope`: what belongs to the pod as a whole has the name of none of its containers.
    pub(crate) fn scoped(mut self, scope: Scope) -> Self {
        if scope == Scope::Pod {
            self.0
                .retain(|(name, _)| !matches!(*name, "container" | "role"));
        }
        self.with_label("scope", json_name(scope))
    }

    /// Whether these are of what belongs to the pod as a whole.
    pub(crate) fn is_of_pod(&self) -> bool {
        let of_pod = json_name(Scope::Pod);
        self.pairs()
            .any(|(name, value)| name == "scope" && value == of_pod)
    }

    fn container_of(self, pod: &PodRef) -> Self {
        let named = self.with_label("container", pod.container.as_deref().unwrap_or(UNKNOWN));
        match pod.role {
            Some(role) => named.with_label("role", json_name(role)),
            None => named,
        }
    }
}

/// Who is to be named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SubjectRef<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) pod: Option<&'a PodRef>,
}

/// Whose container a subject is.
enum Owner<'a> {
    Pod(&'a PodRef),
    /// Of a pod with this UID in its cgroup's path, which did not become known in time.
    UnknownPod(&'a str),
    None,
}

impl<'a> SubjectRef<'a> {
    /// Whom a report is about.
    pub(crate) fn from_report(report: &'a Report) -> Self {
        Self {
            subject: &report.subject,
            pod: report.pod.as_ref(),
        }
    }

    fn owner(&self) -> Owner<'a> {
        match (self.pod, &self.subject.pod_uid) {
            (Some(pod), _) => Owner::Pod(pod),
            (None, Some(uid)) => Owner::UnknownPod(uid),
            (None, None) => Owner::None,
        }
    }

    fn local_workload(&self) -> String {
        match self.subject.kind {
            SubjectKind::SystemdService => without_instance(&self.subject.name),
            SubjectKind::Cgroup
            | SubjectKind::SystemdScope
            | SubjectKind::Docker
            | SubjectKind::Podman
            | SubjectKind::Containerd
            | SubjectKind::Crio => self.subject.name.clone(),
        }
    }
}

fn short_id(subject: &Subject) -> String {
    let id = subject.container_id.as_ref().unwrap_or(&subject.name);
    or_unknown(&id.chars().take(SHORT_ID).collect::<String>())
}

/// The word that the JSON of a report has for a variant without fields.
pub(crate) fn json_name(variant: impl Serialize) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => UNKNOWN.to_owned(),
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
        record::Kind::Connect => "connect",
        record::Kind::Reset => "reset",
        record::Kind::Delivered => "delivered",
    }
}

fn or_unknown(name: &str) -> String {
    if name.is_empty() { UNKNOWN } else { name }.to_owned()
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
        assert_eq!(json_name(SubjectKind::SystemdService), "systemd_service");
        assert_eq!(or_unknown(""), "unknown");
    }
}
