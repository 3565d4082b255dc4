//! What is told of a pod's endpoints, and what is not.

use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp(7);
const READY: EndpointState = EndpointState {
    ready: true,
    serving: true,
    terminating: false,
};
const DRAINING: EndpointState = EndpointState {
    ready: false,
    serving: true,
    terminating: true,
};

fn endpoint(pod: &str, state: EndpointState) -> Value {
    json!({
        "addresses": ["10.0.0.1"],
        "nodeName": "node-1",
        "targetRef": {"kind": "Pod", "name": pod, "uid": pod},
        "conditions": {"ready": state.ready, "serving": state.serving, "terminating": state.terminating},
    })
}

fn endpoint_slice(name: &str, endpoints: &[Value]) -> api::EndpointSlice {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "n", "uid": name},
        "addressType": "IPv4",
        "endpoints": endpoints,
    }))
    .unwrap()
}

fn endpoints() -> Endpoints {
    Endpoints::new("node-1".to_owned())
}

/// Pods with their states.
fn apply_watch_event(
    endpoints: &mut Endpoints,
    event: Event<api::EndpointSlice>,
) -> Vec<(String, EndpointState)> {
    let inputs = endpoints.apply_watch_event(event, NOW);
    let told = inputs.into_iter().map(|input| {
        let Input::Endpoint {
            uid,
            state,
            seen_at,
        } = input
        else {
            panic!("{input:?}");
        };
        assert_eq!(seen_at, NOW);
        (uid, state)
    });
    told.collect()
}

fn pod_state(pod: &str, state: EndpointState) -> Vec<(String, EndpointState)> {
    vec![(pod.to_owned(), state)]
}

#[test]
fn each_state_is_told_once() {
    let mut known = endpoints();
    let ready = || Event::Apply(endpoint_slice("s", &[endpoint("a", READY)]));
    assert_eq!(
        apply_watch_event(&mut known, ready()),
        pod_state("a", READY)
    );
    assert_eq!(apply_watch_event(&mut known, ready()), []);
    let draining = Event::Apply(endpoint_slice("s", &[endpoint("a", DRAINING)]));
    assert_eq!(
        apply_watch_event(&mut known, draining),
        pod_state("a", DRAINING)
    );
    let empty = || Event::Apply(endpoint_slice("s", &[]));
    assert_eq!(apply_watch_event(&mut known, empty()), pod_state("a", GONE));
    assert_eq!(apply_watch_event(&mut known, empty()), []);
    assert_eq!(
        apply_watch_event(&mut known, ready()),
        pod_state("a", READY),
        "it came back"
    );
}

#[test]
fn what_ended_terminating_need_not_be_told_to_be_gone() {
    let mut known = endpoints();
    apply_watch_event(
        &mut known,
        Event::Apply(endpoint_slice("s", &[endpoint("a", READY)])),
    );
    let ended = Event::Apply(endpoint_slice("s", &[endpoint("a", GONE)]));
    assert_eq!(apply_watch_event(&mut known, ended), pod_state("a", GONE));
    assert_eq!(
        apply_watch_event(&mut known, Event::Delete(endpoint_slice("s", &[]))),
        []
    );
    assert!(known.told.is_empty());
}

#[test]
fn the_best_of_all_slices_counts() {
    let mut known = endpoints();
    let one = Event::Apply(endpoint_slice("one", &[endpoint("a", DRAINING)]));
    assert_eq!(apply_watch_event(&mut known, one), pod_state("a", DRAINING));
    let two = Event::Apply(endpoint_slice("two", &[endpoint("a", READY)]));
    assert_eq!(apply_watch_event(&mut known, two), pod_state("a", READY));
    let one = Event::Delete(endpoint_slice("one", &[]));
    assert_eq!(apply_watch_event(&mut known, one), []);
    let two = Event::Delete(endpoint_slice("two", &[]));
    assert_eq!(apply_watch_event(&mut known, two), pod_state("a", GONE));
}

#[test]
fn two_addresses_in_one_slice_are_one_pod() {
    let mut known = endpoints();
    let both = [endpoint("a", READY), endpoint("a", DRAINING)];
    let told = apply_watch_event(&mut known, Event::Apply(endpoint_slice("s", &both)));
    assert_eq!(told, pod_state("a", READY));
}

#[test]
fn conditions_that_are_not_set() {
    let mut known = endpoints();
    let mut bare = endpoint("a", GONE);
    bare.as_object_mut().unwrap().remove("conditions");
    let told = apply_watch_event(&mut known, Event::Apply(endpoint_slice("s", &[bare])));
    assert_eq!(told, pod_state("a", READY));
}

#[test]
fn nothing_is_kept_of_others() {
    let mut known = endpoints();
    let mut elsewhere = endpoint("a", READY);
    elsewhere["nodeName"] = json!("node-2");
    let mut no_pod = endpoint("b", READY);
    no_pod["targetRef"]["kind"] = json!("Node");
    let mut address_alone = endpoint("c", READY);
    address_alone.as_object_mut().unwrap().remove("targetRef");
    let others = || {
        endpoint_slice(
            "s",
            &[elsewhere.clone(), no_pod.clone(), address_alone.clone()],
        )
    };
    assert_eq!(apply_watch_event(&mut known, Event::Apply(others())), []);
    apply_watch_event(&mut known, Event::Init);
    apply_watch_event(&mut known, Event::InitApply(others()));
    assert!(known.slices.is_empty() && known.told.is_empty() && known.unsettled.is_empty());
    assert_eq!(known.listed.as_ref().map(BTreeSet::len), Some(0));
}

#[test]
fn a_list_is_told_as_a_whole() {
    let mut known = endpoints();
    let both = [endpoint("moves", READY), endpoint("stays", READY)];
    apply_watch_event(&mut known, Event::Apply(endpoint_slice("one", &both)));
    apply_watch_event(
        &mut known,
        Event::Apply(endpoint_slice("gone", &[endpoint("goes", READY)])),
    );
    assert_eq!(apply_watch_event(&mut known, Event::Init), []);
    let one = Event::InitApply(endpoint_slice("one", &[endpoint("stays", READY)]));
    assert_eq!(apply_watch_event(&mut known, one), []);
    // Broken off, and begun again.
    assert_eq!(apply_watch_event(&mut known, Event::Init), []);
    let one = Event::InitApply(endpoint_slice("one", &[endpoint("stays", DRAINING)]));
    assert_eq!(apply_watch_event(&mut known, one), []);
    let two = Event::InitApply(endpoint_slice("two", &[endpoint("moves", READY)]));
    assert_eq!(apply_watch_event(&mut known, two), []);
    let told = apply_watch_event(&mut known, Event::InitDone);
    let all = [pod_state("goes", GONE), pod_state("stays", DRAINING)].concat();
    assert_eq!(told, all);
}

#[test]
fn what_does_not_fit_is_left_out() {
    let mut known = endpoints();
    let many: Vec<Value> = (0..PLACES_MAX)
        .map(|n| endpoint(&n.to_string(), READY))
        .collect();
    assert_eq!(
        apply_watch_event(&mut known, Event::Apply(endpoint_slice("many", &many))).len(),
        PLACES_MAX
    );
    let more = endpoint_slice("more", &[endpoint("a", READY)]);
    assert_eq!(
        apply_watch_event(&mut known, Event::Apply(more.clone())),
        []
    );
    // What is remembered goes on.
    let mut changed = many;
    changed[0] = endpoint("0", DRAINING);
    changed.push(endpoint("b", READY));
    assert_eq!(
        apply_watch_event(&mut known, Event::Apply(endpoint_slice("many", &changed))),
        pod_state("0", DRAINING)
    );
    apply_watch_event(&mut known, Event::Delete(endpoint_slice("many", &[])));
    assert_eq!(
        apply_watch_event(&mut known, Event::Apply(more)),
        pod_state("a", READY)
    );
}
