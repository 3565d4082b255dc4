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

fn slice(name: &str, endpoints: &[Value]) -> api::EndpointSlice {
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
fn take(
    endpoints: &mut Endpoints,
    event: Event<api::EndpointSlice>,
) -> Vec<(String, EndpointState)> {
    let inputs = endpoints.take(event, NOW);
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

fn of(pod: &str, state: EndpointState) -> Vec<(String, EndpointState)> {
    vec![(pod.to_owned(), state)]
}

#[test]
fn each_state_is_told_once() {
    let mut known = endpoints();
    let ready = || Event::Apply(slice("s", &[endpoint("a", READY)]));
    assert_eq!(take(&mut known, ready()), of("a", READY));
    assert_eq!(take(&mut known, ready()), []);
    let draining = Event::Apply(slice("s", &[endpoint("a", DRAINING)]));
    assert_eq!(take(&mut known, draining), of("a", DRAINING));
    let empty = || Event::Apply(slice("s", &[]));
    assert_eq!(take(&mut known, empty()), of("a", GONE));
    assert_eq!(take(&mut known, empty()), []);
    assert_eq!(take(&mut known, ready()), of("a", READY), "it came back");
}

#[test]
fn what_ended_terminating_need_not_be_told_to_be_gone() {
    let mut known = endpoints();
    take(
        &mut known,
        Event::Apply(slice("s", &[endpoint("a", READY)])),
    );
    let ended = Event::Apply(slice("s", &[endpoint("a", GONE)]));
    assert_eq!(take(&mut known, ended), of("a", GONE));
    assert_eq!(take(&mut known, Event::Delete(slice("s", &[]))), []);
    assert!(known.told.is_empty());
}

#[test]
fn the_best_of_all_slices_counts() {
    let mut known = endpoints();
    let one = Event::Apply(slice("one", &[endpoint("a", DRAINING)]));
    assert_eq!(take(&mut known, one), of("a", DRAINING));
    let two = Event::Apply(slice("two", &[endpoint("a", READY)]));
    assert_eq!(take(&mut known, two), of("a", READY));
    let one = Event::Delete(slice("one", &[]));
    assert_eq!(take(&mut known, one), []);
    let two = Event::Delete(slice("two", &[]));
    assert_eq!(take(&mut known, two), of("a", GONE));
}

#[test]
fn two_addresses_in_one_slice_are_one_pod() {
    let mut known = endpoints();
    let both = [endpoint("a", READY), endpoint("a", DRAINING)];
    let told = take(&mut known, Event::Apply(slice("s", &both)));
    assert_eq!(told, of("a", READY));
}

#[test]
fn conditions_that_are_not_set() {
    let mut known = endpoints();
    let mut bare = endpoint("a", GONE);
    bare.as_object_mut().unwrap().remove("conditions");
    let told = take(&mut known, Event::Apply(slice("s", &[bare])));
    assert_eq!(told, of("a", READY));
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
        slice(
            "s",
            &[elsewhere.clone(), no_pod.clone(), address_alone.clone()],
        )
    };
    assert_eq!(take(&mut known, Event::Apply(others())), []);
    take(&mut known, Event::Init);
    take(&mut known, Event::InitApply(others()));
    assert!(known.slices.is_empty() && known.told.is_empty() && known.unsettled.is_empty());
    assert_eq!(known.listed.as_ref().map(BTreeSet::len), Some(0));
}

#[test]
fn a_list_is_told_as_a_whole() {
    let mut known = endpoints();
    let both = [endpoint("moves", READY), endpoint("stays", READY)];
    take(&mut known, Event::Apply(slice("one", &both)));
    take(
        &mut known,
        Event::Apply(slice("gone", &[endpoint("goes", READY)])),
    );
    assert_eq!(take(&mut known, Event::Init), []);
    let one = Event::InitApply(slice("one", &[endpoint("stays", READY)]));
    assert_eq!(take(&mut known, one), []);
    // Broken off, and begun again.
    assert_eq!(take(&mut known, Event::Init), []);
    let one = Event::InitApply(slice("one", &[endpoint("stays", DRAINING)]));
    assert_eq!(take(&mut known, one), []);
    let two = Event::InitApply(slice("two", &[endpoint("moves", READY)]));
    assert_eq!(take(&mut known, two), []);
    let told = take(&mut known, Event::InitDone);
    let all = [of("goes", GONE), of("stays", DRAINING)].concat();
    assert_eq!(told, all);
}

#[test]
fn what_does_not_fit_is_left_out() {
    let mut known = endpoints();
    let many: Vec<Value> = (0..PLACES_MAX)
        .map(|n| endpoint(&n.to_string(), READY))
        .collect();
    assert_eq!(
        take(&mut known, Event::Apply(slice("many", &many))).len(),
        PLACES_MAX
    );
    let more = slice("more", &[endpoint("a", READY)]);
    assert_eq!(take(&mut known, Event::Apply(more.clone())), []);
    // What is remembered goes on.
    let mut changed = many;
    changed[0] = endpoint("0", DRAINING);
    changed.push(endpoint("b", READY));
    assert_eq!(
        take(&mut known, Event::Apply(slice("many", &changed))),
        of("0", DRAINING)
    );
    take(&mut known, Event::Delete(slice("many", &[])));
    assert_eq!(take(&mut known, Event::Apply(more)), of("a", READY));
}
