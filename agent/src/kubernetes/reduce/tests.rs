//! Objects as API servers give them, and what is left of them.

use agent_core::pod::{Disruption, PreStop, Role};
use k8s_openapi::api::core::v1 as api;
use serde_json::{Value, json};

use super::*;

/// 2026-01-01T00:00:00Z.
const BOOT: u64 = 1_767_225_600_000_000_000;

fn reduced(object: Value) -> ReducedPod {
    let object: api::Pod = serde_json::from_value(object).unwrap();
    reduce(&object, BOOT).unwrap()
}

fn fixture(name: &str) -> ReducedPod {
    let text = match name {
        "terminating" => include_str!("fixtures/terminating.json"),
        _ => include_str!("fixtures/static.json"),
    };
    reduced(serde_json::from_str(text).unwrap())
}

#[test]
fn a_terminating_pod_with_everything() {
    let ReducedPod { pod, owner } = fixture("terminating");
    assert_eq!(
        (pod.namespace.as_str(), pod.name.as_str()),
        ("shop", "cart-6d5f8-x2x")
    );
    assert_eq!(pod.uid, "0b2e7d3c-4c58-4a3e-9f39-5c4cf6a8a1f0");
    assert_eq!(pod.cgroup_uid, None);
    assert_eq!(
        (pod.workload.kind.as_str(), pod.workload.name.as_str()),
        ("Deployment", "cart")
    );
    assert_eq!(owner.unwrap().name, "cart-6d5f8");
    assert_eq!(pod.grace, Duration::from_secs(45));
    let deletion = pod.deletion.unwrap();
    assert_eq!(deletion.grace, Duration::from_secs(20));
    assert_eq!(deletion.requested_at, Timestamp(60_000_000_000));
    assert_eq!(pod.disruption, Some(Disruption::Evicted));
    assert_eq!(pod.ips.len(), 2);
    assert_eq!(pod.runtime_class.as_deref(), Some("kata"));
}

#[test]
fn its_containers() {
    let containers = fixture("terminating").pod.containers;
    let names: Vec<_> = containers
        .iter()
        .map(|one| (one.name.as_str(), one.role))
        .collect();
    assert_eq!(
        names,
        [
            ("migrate", Role::Init),
            ("proxy", Role::Sidecar),
            ("web", Role::Main),
            ("old", Role::Main),
            ("debug", Role::Ephemeral),
        ]
    );
    let [migrate, proxy, web, old, debug] = containers.as_slice() else {
        unreachable!()
    };
    assert_eq!(migrate.ids, ["aaa0"]);
    assert_eq!(
        proxy.pre_stop,
        Some(PreStop::Sleep {
            duration: Duration::from_secs(7)
        })
    );
    assert_eq!(proxy.ids, ["bbb1"]);
    let get = PreStop::HttpGet {
        host: None,
        port: Some(8080),
        path: "/drain".to_owned(),
    };
    assert_eq!(web.pre_stop, Some(get));
    assert_eq!(
        web.ids,
        ["ccc2", "ccc1"],
        "the one that was restarted is known by its last state"
    );
    assert_eq!(
        web.stop_signal.unwrap().number(),
        3,
        "as the status reports it"
    );
    assert_eq!(web.liveness_grace, Some(Duration::from_secs(5)));
    assert_eq!(web.startup_grace, Some(Duration::from_secs(9)));
    assert_eq!(web.probe_ports, [8080, 9000]);
    assert_eq!(
        old.pre_stop,
        Some(PreStop::Exec {
            command: vec!["/bin/drain".to_owned(), "-q".to_owned()]
        })
    );
    assert_eq!(
        old.stop_signal.unwrap().number(),
        10,
        "as the spec asks for it"
    );
    assert_eq!(
        (debug.ids.as_slice(), debug.pre_stop.as_ref()),
        (["ddd1".to_owned()].as_slice(), None)
    );
}

#[test]
fn a_static_pod_is_told_by_its_hash_and_the_same_on_every_node() {
    let pod = fixture("static").pod;
    assert_eq!(
        pod.cgroup_uid.as_deref(),
        Some("8a9c9f5d6f8a4a6bb5b8b6d2f6d0c9aa")
    );
    assert_ne!(Some(&pod.uid), pod.cgroup_uid.as_ref());
    assert_eq!(
        (pod.workload.kind.as_str(), pod.workload.name.as_str()),
        ("Node", "kube-apiserver")
    );
    assert_eq!(pod.containers.len(), 1);
}

fn reduced_owner(references: Value, labels: Value) -> (String, String, bool) {
    let ReducedPod { pod, owner } = reduced(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "ownerReferences": references, "labels": labels},
        "spec": {"containers": []},
    }));
    (pod.workload.kind, pod.workload.name, owner.is_some())
}

fn reference(kind: &str, name: &str, controller: bool) -> Value {
    json!({"apiVersion": "x/v1", "kind": kind, "name": name, "uid": "o", "controller": controller})
}

fn workload_is(found: (String, String, bool), kind: &str, name: &str, asked: bool) {
    assert_eq!(found, (kind.to_owned(), name.to_owned(), asked));
}

#[test]
fn owners_of_every_kind() {
    let none = json!({});
    workload_is(reduced_owner(json!(null), none.clone()), "Pod", "p", false);
    for kind in [
        "StatefulSet",
        "DaemonSet",
        "ReplicationController",
        "SparkApplication",
    ] {
        workload_is(
            reduced_owner(json!([reference(kind, "db", true)]), none.clone()),
            kind,
            "db",
            false,
        );
    }
    workload_is(
        reduced_owner(json!([reference("Job", "nightly-29", true)]), none.clone()),
        "Job",
        "nightly-29",
        true,
    );
    let set = json!([reference("ReplicaSet", "web-7f", true)]);
    workload_is(
        reduced_owner(set.clone(), none.clone()),
        "ReplicaSet",
        "web-7f",
        true,
    );
    let deployment = json!({"pod-template-hash": "7f"});
    workload_is(
        reduced_owner(set.clone(), deployment),
        "Deployment",
        "web",
        true,
    );
    let rollout = json!({"pod-template-hash": "zz", "rollouts-pod-template-hash": "7f"});
    workload_is(reduced_owner(set, rollout), "Rollout", "web", true);
    let bystander = json!([reference("ConfigMap", "c", false)]);
    workload_is(reduced_owner(bystander, none), "Pod", "p", false);
}

fn disrupted(status: Value) -> Option<Disruption> {
    reduced(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"containers": []},
        "status": status,
    }))
    .pod
    .disruption
}

fn condition(reason: &str, message: &str, status: &str) -> Value {
    json!({"conditions": [{"type": "DisruptionTarget", "status": status, "reason": reason, "message": message}]})
}

#[test]
fn why_a_pod_is_disrupted() {
    use Disruption::{Evicted, NodeShutdown, Preempted};
    for (reason, message, expected) in [
        (
            "EvictionByEvictionAPI",
            "Eviction API: evicting",
            Some(Evicted),
        ),
        (
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
            Some(Evicted),
        ),
        (
            "PreemptionByScheduler",
            "default-scheduler: preempting to accommodate a higher priority pod",
            Some(Preempted),
        ),
        (
            "TerminationByKubelet",
            "The node was low on resource: memory. ",
            Some(Evicted),
        ),
        (
            "TerminationByKubelet",
            "Pod was preempted by Kubelet to accommodate a critical pod.",
            Some(Preempted),
        ),
        (
            "TerminationByKubelet",
            "Pod was terminated in response to imminent node shutdown.",
            Some(NodeShutdown),
        ),
        ("DeletionByPodGC", "PodGC: node no longer exists", None),
    ] {
        assert_eq!(
            disrupted(condition(reason, message, "True")),
            expected,
            "{reason}: {message}"
        );
        assert_eq!(disrupted(condition(reason, message, "False")), None);
    }
    for (reason, expected) in [
        ("Evicted", Some(Evicted)),
        ("Preempting", Some(Preempted)),
        ("Terminated", Some(NodeShutdown)),
        ("NodeAffinity", None),
    ] {
        assert_eq!(
            disrupted(json!({"phase": "Failed", "reason": reason})),
            expected,
            "{reason}"
        );
    }
}

#[test]
fn a_hook_that_the_kubelet_will_refuse_and_ports_that_nothing_explains() {
    let pod = reduced(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"containers": [
            {"name": "a", "lifecycle": {"preStop": {"tcpSocket": {"port": 80}}}},
            {"name": "b", "lifecycle": {"preStop": {"httpGet": {"port": "nowhere", "host": "10.0.0.1", "path": "x"}}}},
            {"name": "c", "lifecycle": {"preStop": {"httpGet": {"port": "8081"}}}},
        ]},
    }))
    .pod;
    let hooks: Vec<_> = pod
        .containers
        .into_iter()
        .map(|one| one.pre_stop.unwrap())
        .collect();
    let get = |host: Option<&str>, port, path: &str| PreStop::HttpGet {
        host: host.map(str::to_owned),
        port,
        path: path.to_owned(),
    };
    assert_eq!(
        hooks,
        [
            PreStop::TcpSocket,
            get(Some("10.0.0.1"), None, "x"),
            get(None, Some(8081), "/"),
        ]
    );
    assert_eq!(pod.grace, Duration::from_secs(30), "the default of the API");
}

#[test]
fn nothing_secret_is_kept() {
    let text = format!("{:?}", fixture("terminating"));
    assert!(
        !text.contains("hunter2"),
        "environment, annotations or labels are kept: {text}"
    );
}
