//! What an Event says: made of a report's findings. Pure.

use agent_core::pod::Role;
use agent_core::report::{Doubt, Finding, FindingKind, PodRef, Report};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};

/// The longest message that the API takes, in bytes:
/// <https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/apis/core/validation/events.go>.
const MESSAGE_MAX: usize = 1024;

/// One Event to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct PodEvent {
    pub(super) namespace: String,
    pub(super) pod: String,
    /// By which `kubectl describe` finds the Events of a pod: of a static pod the kubelet's, not the API's.
    pub(super) pod_uid: String,
    /// The container, as the kubelet's own Events name it.
    field_path: Option<String>,
    pub(super) reason: &'static str,
    message: String,
}

/// An Event for each finding of a pod's container, where the report leaves no doubt that could make it wrong.
pub(super) fn pod_events(report: &Report) -> Vec<PodEvent> {
    let Some(pod) = &report.pod else {
        return Vec::new();
    };
    let certain = |finding: &&Finding| {
        report
            .doubts
            .iter()
            .all(|doubt| harmless(*doubt, finding.kind))
    };
    let note = |finding: &Finding| PodEvent {
        namespace: pod.namespace.clone(),
        pod: pod.name.clone(),
        pod_uid: report
            .subject
            .pod_uid
            .clone()
            .unwrap_or_else(|| pod.uid.clone()),
        field_path: field_path(pod),
        reason: reason(finding.kind),
        message: message(pod.container.as_deref(), finding),
    };
    report.findings.iter().filter(certain).map(note).collect()
}

fn field_path(pod: &PodRef) -> Option<String> {
    let list = match pod.role? {
        Role::Main => "containers",
        Role::Init | Role::Sidecar => "initContainers",
        Role::Ephemeral => "ephemeralContainers",
    };
    Some(format!("spec.{list}{{{}}}", pod.container.as_ref()?))
}

/// A doubt about something that this finding does not rest on.
const fn harmless(doubt: Doubt, finding: FindingKind) -> bool {
    match doubt {
        Doubt::HookUncertain => !matches!(
            finding,
            FindingKind::HookOverran
                | FindingKind::HookFailed
                | FindingKind::HookMissing
                | FindingKind::HookNotRun
                | FindingKind::HookOutlived
        ),
        Doubt::GraceUnknown => matches!(
            finding,
            FindingKind::SignalIgnored
                | FindingKind::OomKilled
                | FindingKind::HookFailed
                | FindingKind::HookMissing
                | FindingKind::EndpointRace
                | FindingKind::ConnectionsReset
                | FindingKind::WrongStopSignal
                | FindingKind::OtherStopSignal
                | FindingKind::StoppedFromInside
                | FindingKind::KilledWithMain
                | FindingKind::ChildOomKilled
                | FindingKind::IdleCloseRace
                | FindingKind::StuckInExit
                | FindingKind::ProcessesLeft
        ),
        Doubt::ConnectionsMissing => !matches!(
            finding,
            FindingKind::EndpointRace | FindingKind::ConnectionsReset | FindingKind::IdleCloseRace
        ),
        Doubt::StopSignalUncertain => matches!(
            finding,
            FindingKind::OomKilled
                | FindingKind::KilledWithMain
                | FindingKind::ChildOomKilled
                | FindingKind::StuckAfterKill
                | FindingKind::StuckInExit
                | FindingKind::ProcessesLeft
        ),
        Doubt::SignalFateUnknown => !matches!(
            finding,
            FindingKind::SignalIgnored | FindingKind::TooSlow | FindingKind::WrongStopSignal
        ),
        Doubt::RecordsLost
        | Doubt::ProcessesForgotten
        | Doubt::SeenLate
        | Doubt::ExitMissing
        | Doubt::MainUncertain
        | Doubt::AgentStopped
        | Doubt::Traced
        | Doubt::KernelKillUnexplained
        | Doubt::SignalMissing
        | Doubt::PodUnknown
        | Doubt::RuntimeOpaque => false,
    }
}

const fn reason(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::SignalIgnored => "StopSignalIgnored",
        FindingKind::TooSlow => "GracePeriodExceeded",
        FindingKind::SignalBeforeHandler => "StopSignalBeforeHandler",
        FindingKind::HookOverran => "PreStopHookOverran",
        FindingKind::HookFailed => "PreStopHookFailed",
        FindingKind::HookMissing => "PreStopHookMissing",
        FindingKind::KilledWithoutStopSignal => "KilledWithoutStopSignal",
        FindingKind::OomKilled => "OOMKilled",
        FindingKind::StuckAfterKill => "StuckAfterSIGKILL",
        FindingKind::KilledByOther => "KilledByOther",
        FindingKind::EndpointRace => "ConnectionsAfterStop",
        FindingKind::ConnectionsReset => "ConnectionsReset",
        FindingKind::WrongStopSignal => "StopSignalWithoutHandler",
        FindingKind::OtherStopSignal => "OtherStopSignal",
        FindingKind::StoppedFromInside => "StoppedFromInside",
        FindingKind::KilledWithMain => "KilledWithMainProcess",
        FindingKind::KilledByParent => "KilledByParent",
        FindingKind::ChildOomKilled => "ChildOOMKilled",
        FindingKind::HookNotRun => "PreStopHookNotRun",
        FindingKind::HookOutlived => "PreStopHookOutlived",
        FindingKind::KubeletRestarted => "StopBegunAgain",
        FindingKind::IdleCloseRace => "IdleConnectionsClosed",
        FindingKind::StuckInExit => "StuckInExit",
        FindingKind::ProcessesLeft => "ProcessesLeft",
    }
}

fn message(container: Option<&str>, finding: &Finding) -> String {
    let of = container
        .map(|name| format!("Container {name}: "))
        .unwrap_or_default();
    let text = format!("{of}{} {}", finding.evidence, finding.advice);
    if text.len() <= MESSAGE_MAX {
        return text;
    }
    let mut end = MESSAGE_MAX - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    format!("{kept}…")
}

impl PodEvent {
    /// As the recorder takes it.
    pub(super) fn to_api_event(&self) -> Event {
        Event {
            type_: EventType::Warning,
            reason: self.reason.to_owned(),
            note: Some(self.message.clone()),
            action: "Terminating".to_owned(),
            secondary: None,
        }
    }

    /// The pod's container that it is about.
    pub(super) fn regarding(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(self.namespace.clone()),
            name: Some(self.pod.clone()),
            uid: Some(self.pod_uid.clone()),
            field_path: self.field_path.clone(),
            ..ObjectReference::default()
        }
    }
}

#[cfg(test)]
mod tests;
