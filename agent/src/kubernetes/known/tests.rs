//! What is told of a pod, and what is not told again.

use agent_core::pod::Workload;
use serde_json::json;

use super::*;

fn object(name: &str, more: impl FnOnce(&mut serde_json::Value)) -> api::Pod {
    let mut object = json!({
        "metadata": {"name": name, "namespace": "n", "uid": format!("uid-{name}")},
        "spec": {"containers": [{"name": "web"}]},
    });
    more(&mut object);
    serde_json::from_value(object).unwrap()
}

fn plain_pod(name: &str) -> api::Pod {
    object(name, |_object| {})
}

fn deleted(name: &str) -> api::Pod {
    object(name, |object| {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
        object["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    })
}

const fn clock_reading(second: u64) -> ClockReading {
    ClockReading {
        seen_at: Timestamp(second * 1_000_000_000),
        // Moves a little from one reading to the next.
        wall_at_boot: 1_767_225_600_000_000_000 + second,
    }
}

#[test]
fn a_pod_is_told_once_however_often_it_comes() {
    let mut known = Known::default();
    assert_eq!(
        known
            .apply_watch_event(Event::Apply(plain_pod("a")), clock_reading(1))
            .inputs
            .len(),
        1
    );
    assert_eq!(
        known.apply_watch_event(Event::Apply(plain_pod("a")), clock_reading(2)),
        Change::default()
    );
    assert_eq!(
        known
            .apply_watch_event(Event::Apply(deleted("a")), clock_reading(3))
            .inputs
            .len(),
        1
    );
    let again = known.apply_watch_event(Event::Apply(deleted("a")), clock_reading(4));
    assert_eq!(again, Change::default(), "the same second, converted again");
}

#[test]
fn what_a_list_lacks_is_gone() {
    let mut known = Known::default();
    known.apply_watch_event(Event::Apply(plain_pod("a")), clock_reading(1));
    known.apply_watch_event(Event::Apply(plain_pod("b")), clock_reading(1));
    known.apply_watch_event(Event::Init, clock_reading(5));
    let same = known.apply_watch_event(Event::InitApply(plain_pod("a")), clock_reading(5));
    assert_eq!(same, Change::default());
    let change = known.apply_watch_event(Event::InitDone, clock_reading(5));
    let gone = Input::PodGone {
        uid: "uid-b".to_owned(),
        seen_at: clock_reading(5).seen_at,
        listed: true,
    };
    assert_eq!(change.inputs, [gone]);
    assert_eq!(known.len(), 1);
}

#[test]
fn a_list_that_broke_off_takes_nothing_away() {
    let mut known = Known::default();
    known.apply_watch_event(Event::Apply(plain_pod("a")), clock_reading(1));
    known.apply_watch_event(Event::Apply(plain_pod("b")), clock_reading(1));
    known.apply_watch_event(Event::Init, clock_reading(5));
    known.apply_watch_event(Event::InitApply(plain_pod("a")), clock_reading(5));
    known.apply_watch_event(Event::Init, clock_reading(6));
    known.apply_watch_event(Event::InitApply(plain_pod("b")), clock_reading(6));
    known.apply_watch_event(Event::InitApply(plain_pod("a")), clock_reading(6));
    assert_eq!(
        known.apply_watch_event(Event::InitDone, clock_reading(6)),
        Change::default()
    );
}

#[test]
fn a_deletion_that_shows_in_the_last_state_alone_is_told() {
    let mut known = Known::default();
    known.apply_watch_event(Event::Apply(plain_pod("a")), clock_reading(1));
    let inputs = known
        .apply_watch_event(Event::Delete(deleted("a")), clock_reading(2))
        .inputs;
    assert!(matches!(
        inputs.as_slice(),
        [Input::Pod { pod, .. }, Input::PodGone { listed: false, .. }] if pod.deletion.is_some()
    ));
    assert_eq!(
        known.apply_watch_event(Event::Delete(deleted("a")), clock_reading(3)),
        Change::default()
    );
}

#[test]
fn the_kubelets_own_last_delete_is_no_news() {
    let mut known = Known::default();
    known.apply_watch_event(Event::Apply(deleted("a")), clock_reading(1));
    let last = object("a", |object| {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:35Z");
        object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    });
    assert_eq!(
        known.apply_watch_event(Event::Apply(last), clock_reading(5)),
        Change::default()
    );
    let shorter = object("a", |object| {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:35Z");
        object["metadata"]["deletionGracePeriodSeconds"] = json!(5);
    });
    let inputs = known
        .apply_watch_event(Event::Apply(shorter), clock_reading(6))
        .inputs;
    assert!(
        matches!(inputs.as_slice(), [Input::Pod { pod, .. }] if pod.deletion.as_ref().unwrap().grace.as_secs() == 5)
    );
}

#[test]
fn a_pod_that_returns_under_the_same_name_is_another() {
    let mut known = Known::default();
    known.apply_watch_event(Event::Apply(plain_pod("db-0")), clock_reading(1));
    known.apply_watch_event(Event::Delete(plain_pod("db-0")), clock_reading(2));
    let again = object("db-0", |object| object["metadata"]["uid"] = json!("uid-2"));
    let inputs = known
        .apply_watch_event(Event::Apply(again), clock_reading(3))
        .inputs;
    assert!(matches!(inputs.as_slice(), [Input::Pod { pod, .. }] if pod.uid == "uid-2"));
}

#[test]
fn an_owner_that_was_looked_up_stays() {
    let mut known = Known::default();
    let owned = |grace: u32| {
        object("a", |object| {
            object["spec"]["terminationGracePeriodSeconds"] = json!(grace);
            object["metadata"]["ownerReferences"] = json!([
                {"apiVersion": "batch/v1", "kind": "Job", "name": "nightly-1", "uid": "j", "controller": true},
            ]);
        })
    };
    let first = known.apply_watch_event(Event::Apply(owned(30)), clock_reading(1));
    assert_eq!(first.unsure.unwrap().0, "uid-a");
    let workload = Workload {
        kind: "CronJob".to_owned(),
        name: "nightly".to_owned(),
    };
    let told = known.set_workload("uid-a", workload.clone(), clock_reading(2).seen_at);
    assert!(matches!(told, Some(Input::Pod { pod, .. }) if pod.workload == workload));
    assert_eq!(
        known.set_workload("uid-a", workload.clone(), clock_reading(3).seen_at),
        None
    );
    let changed = known.apply_watch_event(Event::Apply(owned(31)), clock_reading(4));
    assert_eq!(changed.unsure, None);
    assert!(
        matches!(changed.inputs.as_slice(), [Input::Pod { pod, .. }] if pod.workload == workload)
    );
    assert_eq!(
        known.set_workload("uid-gone", workload, clock_reading(5).seen_at),
        None
    );
}

#[test]
fn the_kubelets_word_on_an_eviction_comes_before_the_status() {
    let mut known = Known::default();
    known.apply_watch_event(Event::Apply(plain_pod("a")), clock_reading(1));
    let told = known.disrupted("uid-a", Disruption::Evicted, clock_reading(2).seen_at);
    assert!(
        matches!(told, Some(Input::Pod { pod, .. }) if pod.disruption == Some(Disruption::Evicted))
    );
    assert_eq!(
        known.apply_watch_event(Event::Apply(plain_pod("a")), clock_reading(3)),
        Change::default()
    );
}

#[test]
fn a_static_pod_is_found_by_its_hash() {
    let mut known = Known::default();
    let mirror = object("a", |object| {
        object["metadata"]["annotations"] = json!({"kubernetes.io/config.hash": "hash"});
    });
    known.apply_watch_event(Event::Apply(mirror), clock_reading(1));
    assert_eq!(known.api_uid("hash"), Some("uid-a"));
    assert_eq!(known.api_uid("uid-a"), Some("uid-a"));
    assert_eq!(known.api_uid("other"), None);
}
