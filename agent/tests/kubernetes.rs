//! The Kubernetes thread against a fake API server on loopback that fails in all the ways in which a real one does:
//! nothing is lost, nothing is told twice.
#![expect(
    unreachable_pub,
    reason = "modules of a test have no other crate to be reached from"
)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what these helpers cannot do fails the test"
)]

#[path = "kubernetes/fake.rs"]
mod fake;
#[path = "kubernetes/listener.rs"]
mod listener;

use std::time::Duration;

use agent_core::input::Input;
use agent_core::pod::{EndpointState, KubeletEventKind};
use serde_json::json;

use self::fake::{Cluster, Server};
use self::listener::{Listener, endpoint_slice, killing, running_pod, terminating};

#[tokio::test]
async fn down_at_the_start_then_listed() {
    let cluster = Cluster::new();
    cluster.put_object("pods", running_pod("a"));
    let address = Server::start(&cluster, ([127, 0, 0, 1], 0).into()).stop();
    let mut listener = Listener::start(address);
    listener.until_watching("pods", false).await;
    let _server = Server::start(&cluster, address);
    listener.until_watching("pods", true).await;
    let told = listener.next().await;
    assert!(
        matches!(&told, Input::Pod { pod, listed: true, .. } if pod.name == "a"),
        "{told:?}"
    );
    assert!(cluster.requests("list pods spec.nodeName=node-1") > 0);
    listener.nothing_more().await;
}

#[tokio::test]
async fn a_cut_watch_is_resumed_without_a_gap() {
    let cluster = Cluster::new();
    cluster.put_object("pods", running_pod("a"));
    let server = Server::start(&cluster, ([127, 0, 0, 1], 0).into());
    let mut listener = Listener::start(server.address);
    listener.expect_pod("a", true).await;
    for round in 0..3 {
        let before = format!("before-{round}");
        let within = format!("within-{round}");
        cluster.put_object("pods", running_pod(&before));
        cluster.cut_watches();
        cluster.put_object("pods", running_pod(&within));
        listener.expect_pod(&before, false).await;
        listener.expect_pod(&within, false).await;
    }
    listener.nothing_more().await;
    assert_eq!(cluster.requests("list pods"), 1);
}

#[tokio::test]
async fn after_gone_a_list_tells_only_what_changed() {
    let cluster = Cluster::new();
    for name in ["stays", "changes", "goes"] {
        cluster.put_object("pods", running_pod(name));
    }
    let server = Server::start(&cluster, ([127, 0, 0, 1], 0).into());
    let mut listener = Listener::start(server.address);
    for name in ["stays", "changes", "goes"] {
        listener.expect_pod(name, true).await;
    }
    let address = server.stop();
    cluster.put_object("pods", terminating("changes"));
    cluster.delete("pods", running_pod("goes"));
    cluster.put_object("pods", running_pod("comes"));
    cluster.forget();
    let _server = Server::start(&cluster, address);
    let told = listener.expect_pod("changes", true).await;
    assert!(matches!(told, Input::Pod { pod, .. } if pod.deletion.is_some()));
    listener.expect_pod("comes", true).await;
    let told = listener.next().await;
    assert!(
        matches!(&told, Input::PodGone { uid, listed: true, .. } if uid == "uid-goes"),
        "{told:?}"
    );
    listener.nothing_more().await;
    assert_eq!(listener.failures("pods", "gone"), 1);
    assert_eq!(cluster.requests("list pods"), 2);
}

#[tokio::test]
async fn down_for_a_while_then_resumed() {
    let cluster = Cluster::new();
    cluster.put_object("pods", running_pod("a"));
    let server = Server::start(&cluster, ([127, 0, 0, 1], 0).into());
    let mut listener = Listener::start(server.address);
    listener.expect_pod("a", true).await;
    let address = server.stop();
    listener.until_watching("pods", false).await;
    cluster.put_object("pods", terminating("a"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.delete("pods", terminating("a"));
    let _server = Server::start(&cluster, address);
    listener.until_watching("pods", true).await;
    listener.expect_pod("a", false).await;
    let told = listener.next().await;
    assert!(matches!(told, Input::PodGone { listed: false, .. }));
    listener.nothing_more().await;
}

#[tokio::test]
async fn a_token_that_expired_is_read_anew() {
    let cluster = Cluster::new();
    cluster.put_object("pods", running_pod("a"));
    let server = Server::start(&cluster, ([127, 0, 0, 1], 0).into());
    let mut listener = Listener::start(server.address);
    listener.expect_pod("a", true).await;
    cluster.set_token("second");
    cluster.cut_watches();
    cluster.put_object("pods", running_pod("b"));
    listener.until_watching("pods", false).await;
    assert!(listener.failures("pods", "unauthorized") > 0);
    listener.write_token("second");
    listener.expect_pod("b", true).await;
    listener.nothing_more().await;
}

#[tokio::test]
async fn a_slow_server_is_waited_for() {
    let cluster = Cluster::new();
    cluster.put_object("pods", running_pod("a"));
    cluster.set_delay(Duration::from_millis(1500));
    let server = Server::start(&cluster, ([127, 0, 0, 1], 0).into());
    let mut listener = Listener::start(server.address);
    listener.expect_pod("a", true).await;
    cluster.put_object("pods", running_pod("b"));
    listener.expect_pod("b", false).await;
    listener.nothing_more().await;
    assert_eq!(cluster.requests("list pods"), 1);
}

#[tokio::test]
async fn kubelet_events_of_this_node_are_told_once() {
    let cluster = Cluster::new();
    cluster.put_object("pods", running_pod("a"));
    let mut old = killing("old", "node-1", "Stopping container web");
    old["lastTimestamp"] = json!("2020-01-01T00:00:00Z");
    cluster.put_object("events", old);
    let server = Server::start(&cluster, ([127, 0, 0, 1], 0).into());
    let mut listener = Listener::start(server.address);
    listener.expect_pod("a", true).await;
    listener.until_watching("events", true).await;
    cluster.put_object(
        "events",
        killing("other", "node-2", "Stopping container web"),
    );
    let said = "Container web failed liveness probe, will be restarted";
    let mut liveness = killing("mine", "node-1", said);
    cluster.put_object("events", liveness.clone());
    let told = listener.next().await;
    let Input::Kubelet { event, .. } = &told else {
        panic!("{told:?}");
    };
    assert_eq!(event.kind, KubeletEventKind::LivenessFailed);
    assert_eq!(event.pod_uid, "uid-a");
    assert_eq!(event.container.as_deref(), Some("web"));
    // A new list brings it again; only the kubelet's counting it up is news.
    cluster.forget();
    cluster.cut_watches();
    listener.nothing_more().await;
    assert!(cluster.requests("list events") >= 2);
    liveness["count"] = json!(2);
    cluster.put_object("events", liveness);
    assert!(matches!(listener.next().await, Input::Kubelet { .. }));
    listener.nothing_more().await;
}

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
const GONE: EndpointState = EndpointState {
    ready: false,
    serving: false,
    terminating: true,
};

#[tokio::test]
async fn endpoints_of_this_node_are_told_as_they_change() {
    let cluster = Cluster::new();
    cluster.put_object("endpointslices", endpoint_slice("s", "node-1", "a", READY));
    cluster.put_object("endpointslices", endpoint_slice("t", "node-2", "b", READY));
    let server = Server::start(&cluster, ([127, 0, 0, 1], 0).into());
    let mut listener = Listener::start(server.address);
    listener.endpoint("a", READY).await;
    assert_eq!(cluster.requests("list endpointslices "), 1);
    cluster.put_object(
        "endpointslices",
        endpoint_slice("t", "node-2", "b", DRAINING),
    );
    cluster.put_object(
        "endpointslices",
        endpoint_slice("s", "node-1", "a", DRAINING),
    );
    listener.endpoint("a", DRAINING).await;
    cluster.cut_watches();
    cluster.put_object("endpointslices", endpoint_slice("s", "node-1", "c", READY));
    listener.endpoint("a", GONE).await;
    listener.endpoint("c", READY).await;
    listener.nothing_more().await;
    assert_eq!(
        cluster.requests("list endpointslices "),
        1,
        "it was resumed"
    );
}

#[tokio::test]
async fn after_gone_only_endpoints_that_changed_are_told() {
    let cluster = Cluster::new();
    for pod in ["changes", "goes", "stays"] {
        cluster.put_object("endpointslices", endpoint_slice(pod, "node-1", pod, READY));
    }
    let server = Server::start(&cluster, ([127, 0, 0, 1], 0).into());
    let mut listener = Listener::start(server.address);
    for pod in ["changes", "goes", "stays"] {
        listener.endpoint(pod, READY).await;
    }
    let address = server.stop();
    listener.until_watching("endpointslices", false).await;
    cluster.put_object(
        "endpointslices",
        endpoint_slice("changes", "node-1", "changes", DRAINING),
    );
    cluster.delete(
        "endpointslices",
        endpoint_slice("goes", "node-1", "goes", READY),
    );
    cluster.forget();
    let _server = Server::start(&cluster, address);
    listener.endpoint("changes", DRAINING).await;
    listener.endpoint("goes", GONE).await;
    listener.nothing_more().await;
    listener.until_watching("endpointslices", true).await;
    assert_eq!(cluster.requests("list endpointslices "), 2);
}

#[tokio::test]
async fn endpoint_slices_are_not_asked_for_where_they_are_not_wanted() {
    let cluster = Cluster::new();
    cluster.put_object("pods", running_pod("a"));
    cluster.put_object("endpointslices", endpoint_slice("s", "node-1", "a", READY));
    let server = Server::start(&cluster, ([127, 0, 0, 1], 0).into());
    let mut listener = Listener::start_with(server.address, false);
    listener.expect_pod("a", true).await;
    listener.nothing_more().await;
    assert_eq!(cluster.requests("list endpointslices"), 0);
}

#[tokio::test]
async fn what_is_forbidden_does_not_stop_the_rest() {
    let cluster = Cluster::new();
    cluster.forbid("events");
    cluster.forbid("endpointslices");
    cluster.forbid("replicasets");
    cluster.put_object("pods", owned_pod("a"));
    let server = Server::start(&cluster, ([127, 0, 0, 1], 0).into());
    let mut listener = Listener::start(server.address);
    let told = listener.expect_pod("a", true).await;
    let Input::Pod { pod, .. } = told else {
        unreachable!();
    };
    assert_eq!(pod.workload.kind, "ReplicaSet");
    listener.nothing_more().await;
    assert!(listener.failures("events", "forbidden") > 0);
    assert!(listener.failures("endpointslices", "forbidden") > 0);
    assert_eq!(listener.failures("replicasets", "forbidden"), 1);
}

#[tokio::test]
async fn a_pod_does_not_wait_for_its_owner() {
    let cluster = Cluster::new();
    cluster.put_object("pods", owned_pod("a"));
    cluster.put_object("pods", owned_pod("b"));
    let server = Server::start(&cluster, ([127, 0, 0, 1], 0).into());
    let mut listener = Listener::start(server.address);
    let mut kinds = Vec::new();
    for _pod in 0..4 {
        let Input::Pod { pod, .. } = listener.next().await else {
            panic!("no pod");
        };
        kinds.push((pod.name, pod.workload.kind, pod.workload.name));
    }
    kinds.sort();
    let kind = |name: &str, kind: &str, workload: &str| {
        (name.to_owned(), kind.to_owned(), workload.to_owned())
    };
    assert_eq!(
        kinds,
        [
            kind("a", "Deployment", "shop"),
            kind("a", "ReplicaSet", "shop-7f"),
            kind("b", "Deployment", "shop"),
            kind("b", "ReplicaSet", "shop-7f"),
        ]
    );
    assert_eq!(cluster.requests("get replicasets"), 1);
    listener.nothing_more().await;
}

#[tokio::test]
async fn events_that_wait_are_written_when_the_agent_stops() {
    let cluster = Cluster::new();
    let server = Server::start(&cluster, ([127, 0, 0, 1], 0).into());
    let listener = Listener::start(server.address);
    let report = listener::report_with_a_finding();
    assert_eq!(listener.queue_events(&report), 0);
    listener.stop();
    let written = cluster.written();
    assert_eq!(written.len(), 1, "{written:?}");
    let event = &written[0];
    assert_eq!(event["reason"], "StopSignalIgnored");
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["reportingController"], "gracewatch");
    assert_eq!(event["reportingInstance"], "node-1");
    assert_eq!(event["regarding"]["uid"], "uid-a");
    assert_eq!(event["regarding"]["fieldPath"], "spec.containers{web}");
    assert!(
        event["note"]
            .as_str()
            .unwrap()
            .starts_with("Container web: ")
    );
}

fn owned_pod(name: &str) -> serde_json::Value {
    let mut pod = running_pod(name);
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "shop-7f",
        "uid": "uid-of-shop-7f",
        "controller": true,
    }]);
    pod
}
