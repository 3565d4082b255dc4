//! Which reports become Events, and what they say.

use agent_core::event::CgroupId;
use agent_core::pod::Workload;
use agent_core::report::{Outcome, Report, Start, Subject, SubjectKind, Trigger};
use agent_core::time::Timestamp;

use super::*;

fn report(kinds: &[FindingKind], doubts: &[Doubt]) -> Report {
    let finding = |kind: &FindingKind| Finding {
        kind: *kind,
        evidence: "It did.".to_owned(),
        advice: "Change it.".to_owned(),
    };
    Report {
        id: 1,
        subject: Subject {
            cgroup: CgroupId(7),
            path: "/kubepods/pod8a9c/web".to_owned(),
            kind: SubjectKind::Containerd,
            name: "web".to_owned(),
            container_id: None,
            pod_uid: Some("8a9c".to_owned()),
        },
        pod: Some(PodRef {
            namespace: "shop".to_owned(),
            name: "cart".to_owned(),
            uid: "uid".to_owned(),
            workload: Workload {
                kind: "Pod".to_owned(),
                name: "cart".to_owned(),
            },
            container: Some("web".to_owned()),
            role: Some(Role::Sidecar),
        }),
        main: None,
        outcome: Outcome::SignalIgnored,
        trigger: Trigger::Deleted,
        started_at: Timestamp(1),
        start_source: Start::Deletion,
        hook: None,
        stop_signal: None,
        other_signals: Vec::new(),
        stop_signals_repeated: 0,
        kill: None,
        kills_repeated: 0,
        exit: None,
        released_at: None,
        grace: None,
        signals_inside: 0,
        signals_outside: 0,
        connections: None,
        endpoint: None,
        advice: None,
        findings: kinds.iter().map(finding).collect(),
        doubts: doubts.to_vec(),
    }
}

fn reasons(report: &Report) -> Vec<&'static str> {
    pod_events(report)
        .into_iter()
        .map(|note| note.reason)
        .collect()
}

#[test]
fn an_event_names_container_evidence_and_advice() {
    let notes = pod_events(&report(&[FindingKind::SignalIgnored], &[]));
    let [note] = notes.as_slice() else {
        panic!("{notes:?}");
    };
    assert_eq!(note.message, "Container web: It did. Change it.");
    let regarding = note.regarding();
    assert_eq!(
        regarding.field_path.as_deref(),
        Some("spec.initContainers{web}")
    );
    assert_eq!(
        regarding.uid.as_deref(),
        Some("8a9c"),
        "as `kubectl describe` asks for a static pod"
    );
}

#[test]
fn no_event_from_a_guess() {
    let kinds = [FindingKind::TooSlow, FindingKind::HookFailed];
    assert_eq!(
        reasons(&report(&kinds, &[])),
        ["GracePeriodExceeded", "PreStopHookFailed"]
    );
    assert_eq!(
        reasons(&report(&kinds, &[Doubt::HookUncertain])),
        ["GracePeriodExceeded"]
    );
    assert_eq!(
        reasons(&report(&kinds, &[Doubt::GraceUnknown])),
        ["PreStopHookFailed"]
    );
    assert_eq!(
        reasons(&report(&kinds, &[Doubt::SignalFateUnknown])),
        ["PreStopHookFailed"]
    );
    for doubt in Doubt::ALL {
        let harmless = [
            Doubt::SignalFateUnknown,
            Doubt::HookUncertain,
            Doubt::GraceUnknown,
            Doubt::ConnectionsMissing,
        ];
        if !harmless.contains(&doubt) {
            assert!(reasons(&report(&kinds, &[doubt])).is_empty(), "{doubt:?}");
        }
    }
    let mut no_pod = report(&kinds, &[]);
    no_pod.pod = None;
    assert!(pod_events(&no_pod).is_empty());
}

#[test]
fn what_its_clients_felt_is_an_event_if_it_was_counted() {
    let kinds = [
        FindingKind::TooSlow,
        FindingKind::EndpointRace,
        FindingKind::ConnectionsReset,
        FindingKind::IdleCloseRace,
    ];
    let seen = report(&kinds, &[]);
    let of_connections = [
        "ConnectionsAfterStop",
        "ConnectionsReset",
        "IdleConnectionsClosed",
    ];
    assert_eq!(reasons(&seen)[1..], of_connections);
    for note in &pod_events(&seen)[1..] {
        assert_eq!(note.message, "Container web: It did. Change it.");
        assert!(matches!(note.to_api_event().type_, EventType::Warning));
    }
    assert_eq!(
        reasons(&report(&kinds, &[Doubt::ConnectionsMissing])),
        ["GracePeriodExceeded"]
    );
    assert_eq!(
        reasons(&report(&kinds, &[Doubt::GraceUnknown])),
        of_connections,
        "what was reset does not rest on the grace period"
    );
}

#[test]
fn reasons_are_as_the_api_wants_them() {
    for kind in FindingKind::ALL {
        let reason = reason(kind);
        assert!(
            reason.len() <= 128 && reason.chars().all(char::is_alphanumeric),
            "{reason}"
        );
        assert!(reason.starts_with(char::is_uppercase), "{reason}");
    }
}

#[test]
fn a_long_message_is_cut_at_a_character() {
    let mut report = report(&[FindingKind::TooSlow], &[]);
    report.findings[0].evidence = "ä".repeat(1000);
    let message = &pod_events(&report)[0].message;
    assert!(message.len() <= MESSAGE_MAX && message.len() > MESSAGE_MAX - 4);
    assert!(message.ends_with('…'));
}
