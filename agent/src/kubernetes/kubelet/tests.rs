//! Events as kubelets write them.

use serde_json::json;

use super::*;

const WALL_AT_BOOT: u64 = 1_767_225_600_000_000_000;

fn kubelet_event(more: serde_json::Value) -> api::Event {
    let mut event = json!({
        "metadata": {"name": "e", "namespace": "n", "uid": "e"},
        "involvedObject": {"kind": "Pod", "uid": "uid-a", "fieldPath": "spec.initContainers{proxy}"},
        "reason": "Killing",
        "message": "Stopping container proxy",
        "source": {"component": "kubelet", "host": "node-1"},
        "lastTimestamp": "2026-01-01T00:10:00Z",
    });
    for (key, value) in more.as_object().unwrap() {
        event[key] = value.clone();
    }
    serde_json::from_value(event).unwrap()
}

const fn clock_reading(second: u64) -> ClockReading {
    ClockReading {
        seen_at: Timestamp(second * 1_000_000_000),
        wall_at_boot: WALL_AT_BOOT,
    }
}

#[test]
fn the_container_and_the_node_are_read_from_every_form() {
    assert_eq!(
        container(&kubelet_event(json!({}))).as_deref(),
        Some("proxy")
    );
    let whole = kubelet_event(json!({"involvedObject": {"kind": "Pod", "uid": "uid-a"}}));
    assert_eq!(container(&whole), None);
    assert!(is_of(&kubelet_event(json!({})), "node-1"));
    assert!(!is_of(&kubelet_event(json!({})), "node-10"));
    let newer = kubelet_event(json!({"source": {}, "reportingInstance": "node-1"}));
    assert!(is_of(&newer, "node-1"));
}

#[test]
fn an_old_event_is_nothing_new() {
    let mut heard = Heard::new(clock_reading(700).seen_at);
    assert_eq!(
        heard.first_time(&kubelet_event(json!({})), clock_reading(701)),
        None,
        "ten minutes after boot, 100 s before the start"
    );
    let recent = kubelet_event(json!({"lastTimestamp": "2026-01-01T00:11:00Z"}));
    assert_eq!(
        heard.first_time(&recent, clock_reading(701)),
        Some(Timestamp(660_000_000_000))
    );
    assert_eq!(
        heard.first_time(&recent, clock_reading(702)),
        None,
        "told already"
    );
}

#[test]
fn an_event_that_is_counted_up_is_new_in_both_forms() {
    let mut heard = Heard::new(clock_reading(600).seen_at);
    for more in [
        json!({}),
        json!({"count": 2}),
        json!({"series": {"count": 3, "lastObservedTime": "2026-01-01T00:10:30.000000Z"}}),
    ] {
        assert!(
            heard
                .first_time(&kubelet_event(more.clone()), clock_reading(601))
                .is_some(),
            "{more}"
        );
        assert!(
            heard
                .first_time(&kubelet_event(more.clone()), clock_reading(601))
                .is_none(),
            "{more}"
        );
    }
}

#[test]
fn what_is_heard_has_a_bound_and_is_still_not_told_twice() {
    let mut heard = Heard::new(clock_reading(600).seen_at);
    let numbered = |number: usize| {
        let mut one = kubelet_event(json!({}));
        one.metadata.uid = Some(format!("uid-{number}"));
        one.last_timestamp = None;
        let second = WALL_AT_BOOT / 1_000_000_000 + 600 + number as u64;
        one.event_time = serde_json::from_value(json!(
            jiff::Timestamp::from_second(second.cast_signed())
                .unwrap()
                .to_string()
        ))
        .unwrap();
        one
    };
    for number in 0..2 * HEARD_MAX {
        assert!(
            heard
                .first_time(&numbered(number), clock_reading(1))
                .is_some(),
            "{number}"
        );
    }
    assert_eq!(heard.counts.len(), HEARD_MAX);
    for number in (0..2 * HEARD_MAX).step_by(97) {
        assert!(
            heard
                .first_time(&numbered(number), clock_reading(1))
                .is_none(),
            "{number}"
        );
    }
}

#[test]
fn an_eviction_is_told_of_the_pod_and_a_static_pod_by_its_own_uid() {
    let mut known = Known::default();
    let pod: api::Pod = serde_json::from_value(json!({
        "metadata": {"name": "a", "namespace": "n", "uid": "uid-a", "annotations": {"kubernetes.io/config.hash": "hash"}},
        "spec": {"containers": []},
    }))
    .unwrap();
    known.apply_watch_event(Event::Apply(pod), clock_reading(1));
    let killing = kubelet_event(
        json!({"involvedObject": {"kind": "Pod", "uid": "hash", "fieldPath": "spec.containers{web}"}}),
    );
    let told = event_input(
        &killing,
        parse_event(&killing).unwrap(),
        clock_reading(2).seen_at,
        clock_reading(3),
        &mut known,
    );
    assert!(matches!(told, Some(Input::Kubelet { event, .. }) if event.pod_uid == "uid-a"));
    let evicted = kubelet_event(
        json!({"reason": "Evicted", "message": "The node was low on resource: memory."}),
    );
    let told = event_input(
        &evicted,
        parse_event(&evicted).unwrap(),
        clock_reading(2).seen_at,
        clock_reading(3),
        &mut known,
    );
    assert!(matches!(told, Some(Input::Pod { pod, .. }) if pod.disruption.is_some()));
}
