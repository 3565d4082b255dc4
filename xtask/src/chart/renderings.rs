//! The chart with many values: it renders, and makes the objects that it should, with what was set in them.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::documents::{self, Objects};
use super::files;
use super::helm::{Helm, Release};

/// What is always there.
const ALWAYS: &[&str] = &[
    "ClusterRole/gracewatch",
    "ClusterRoleBinding/gracewatch",
    "DaemonSet/gracewatch",
    "Pod/gracewatch-check",
    "ServiceAccount/gracewatch",
];
/// The rights that the defaults give beside.
const RIGHTS: [&str; 4] = [
    "-name-workloads",
    "-report-events",
    "-watch-endpoint-slices",
    "-watch-events",
];

/// One set of values, and what must come of it.
struct Set {
    name: &'static str,
    values: Value,
    cluster: Option<&'static str>,
    /// Objects, without those of the defaults.
    more: Vec<String>,
    /// Objects of the defaults that are not there.
    less: Vec<String>,
    /// An object, a place in it, and the value there.
    facts: Vec<(&'static str, &'static str, Value)>,
}

impl Set {
    fn new(name: &'static str, values: Value) -> Self {
        Self {
            name,
            values,
            cluster: None,
            more: Vec::new(),
            less: Vec::new(),
            facts: Vec::new(),
        }
    }

    fn with_objects(mut self, objects: &[&str]) -> Self {
        self.more
            .extend(objects.iter().map(|&name| name.to_owned()));
        self
    }

    fn without_objects(mut self, objects: &[&str]) -> Self {
        self.less
            .extend(objects.iter().map(|&name| name.to_owned()));
        self
    }

    fn with_fact(mut self, object: &'static str, place: &'static str, value: Value) -> Self {
        self.facts.push((object, place, value));
        self
    }
}

/// Lints and renders every set; how many there are.
pub(super) fn check(helm: &Helm, wrong: &mut Vec<String>) -> Result<usize> {
    let sets = all_sets()?;
    for set in &sets {
        let name = set.name;
        let found = check_one(helm, set).with_context(|| format!("values `{name}`"));
        match found {
            Ok(found) => wrong.extend(
                found
                    .into_iter()
                    .map(|line| format!("values `{name}`: {line}")),
            ),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    Ok(sets.len())
}

fn check_one(helm: &Helm, set: &Set) -> Result<Vec<String>> {
    helm.lint_chart(&set.values)?;
    let text = helm.template(&Release {
        name: "gracewatch",
        namespace: "agents",
        values: &set.values,
        cluster: set.cluster,
    })?;
    let objects = documents::read(&text)?;
    let mut wrong = wrong_objects(set, &objects);
    for (object, place, value) in &set.facts {
        let got = objects
            .get(*object)
            .and_then(|object| object.pointer(place));
        let got = got.unwrap_or(&Value::Null);
        if got != value {
            wrong.push(format!("{object}{place} is {got}, and not {value}"));
        }
    }
    Ok(wrong)
}

/// Objects that are there and should not be, and the other way round.
fn wrong_objects(set: &Set, objects: &Objects) -> Vec<String> {
    let mut expected: Vec<String> = ALWAYS.iter().map(|&name| name.to_owned()).collect();
    for right in RIGHTS {
        expected.extend(
            ["ClusterRole", "ClusterRoleBinding"].map(|kind| format!("{kind}/gracewatch{right}")),
        );
    }
    expected.extend(set.more.iter().cloned());
    expected.retain(|object| !set.less.contains(object));
    let missing = expected
        .iter()
        .filter(|object| !objects.contains_key(*object))
        .map(|object| format!("there is no {object}"));
    let surplus = objects
        .keys()
        .filter(|object| !expected.contains(object))
        .map(|object| format!("there is a {object}"));
    missing.chain(surplus).collect()
}

/// The dashboards' ConfigMaps.
fn dashboards() -> Result<Vec<String>> {
    let copies = files::copies("files/dashboards")?;
    Ok(copies
        .iter()
        .filter_map(|file| file.strip_suffix(".json"))
        .map(|name| name.strip_prefix("gracewatch-").unwrap_or(name))
        .map(|name| format!("ConfigMap/gracewatch-dashboard-{name}"))
        .collect())
}

fn all_sets() -> Result<Vec<Set>> {
    let mut sets = vec![
        Set::new("defaults", json!({})).with_fact(
            "DaemonSet/gracewatch",
            "/metadata/namespace",
            json!("agents"),
        ),
        nothing_but_measuring(),
        everything(dashboards()?),
        service_monitor(),
        native_histograms(),
    ];
    sets.extend(small_sets());
    Ok(sets)
}

/// As little as possible: the rights are given by somebody else.
fn nothing_but_measuring() -> Set {
    let off = json!({
        "rbac": {"create": false},
        "serviceAccount": {"create": false, "name": "theirs"},
        "kubernetes": {"nameWorkloads": false, "watchEvents": false, "watchEndpointSlices": false, "reportEvents": false},
        "resources": null,
        "tolerations": [],
        "priorityClassName": "",
    });
    let rights = RIGHTS.iter().chain(&[""]);
    let roles: Vec<String> = rights
        .flat_map(|right| {
            ["ClusterRole", "ClusterRoleBinding"].map(|kind| format!("{kind}/gracewatch{right}"))
        })
        .collect();
    let mut set = Set::new("nothing but measuring", off)
        .without_objects(&["ServiceAccount/gracewatch"])
        .with_fact(
            "DaemonSet/gracewatch",
            "/spec/template/spec/serviceAccountName",
            json!("theirs"),
        )
        .with_fact(
            "DaemonSet/gracewatch",
            "/spec/template/spec/tolerations",
            Value::Null,
        );
    set.less.extend(roles);
    set
}

/// Everything that can be on at the same time.
fn everything(dashboards: Vec<String>) -> Set {
    let on = json!({
        "commonLabels": {"team": "nodes"},
        "image": {"pullSecrets": [{"name": "registry"}]},
        "serviceAccount": {"annotations": {"a": "b"}},
        "listen": {"address": "[::]", "port": 9999},
        "extraArgs": ["--retention=3600"],
        "extraEnv": [{"name": "GRACEWATCH_LOG_FORMAT", "value": "json"}],
        "extraVolumes": [{"name": "journal", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "journal", "mountPath": "/journal"}],
        "oldKernels": true,
        "hiddenProcesses": true,
        "affinity": {"nodeAffinity": {}},
        "livenessProbe": {"periodSeconds": 30},
        "podAnnotations": {"a": "b"},
        "podLabels": {"team": "agents"},
        "podMonitor": {"enabled": true, "namespace": "monitoring", "labels": {"release": "prometheus"}, "annotations": {"a": "b"}},
        "service": {"enabled": true, "annotations": {"a": "b"}},
        "scrape": {"interval": "30s", "timeout": "10s", "protocols": ["OpenMetricsText1.0.0"], "sampleLimit": 100_000, "metricRelabelings": [{"action": "drop", "sourceLabels": ["__name__"], "regex": "x"}]},
        "prometheusRule": {"enabled": true, "labels": {"release": "prometheus"}, "alertLabels": {"team": "nodes"}, "runbookPrefix": "https://wiki.example/"},
        "dashboards": {"enabled": true, "namespace": "grafana", "annotations": {"a": "b"}},
        "networkPolicy": {"enabled": true, "from": [{"namespaceSelector": {}}], "egress": [{}]},
    });
    let daemon_set = "DaemonSet/gracewatch";
    let mut set = Set::new("everything", on)
        .with_objects(&[
            "NetworkPolicy/gracewatch",
            "PodMonitor/gracewatch",
            "PrometheusRule/gracewatch",
            "Service/gracewatch",
        ])
        .with_fact(
            daemon_set,
            "/spec/template/spec/containers/0/securityContext/capabilities/add",
            json!(["BPF", "PERFMON", "SYS_RESOURCE", "SYS_PTRACE"]),
        )
        .with_fact(
            daemon_set,
            "/spec/template/spec/containers/0/args",
            json!(["run", "--retention=3600"]),
        )
        .with_fact(
            daemon_set,
            "/spec/template/spec/containers/0/env/1/value",
            json!("[::]:9999"),
        )
        .with_fact(
            daemon_set,
            "/spec/template/metadata/labels/team",
            json!("agents"),
        )
        .with_fact(
            "PodMonitor/gracewatch",
            "/metadata/labels/release",
            json!("prometheus"),
        )
        .with_fact(
            "PodMonitor/gracewatch",
            "/spec/namespaceSelector/matchNames",
            json!(["agents"]),
        )
        .with_fact(
            "PodMonitor/gracewatch",
            "/spec/podMetricsEndpoints/0/honorLabels",
            json!(true),
        );
    set.more.extend(dashboards);
    set
}

fn service_monitor() -> Set {
    Set::new(
        "a ServiceMonitor",
        json!({"serviceMonitor": {"enabled": true}}),
    )
    .with_objects(&["Service/gracewatch", "ServiceMonitor/gracewatch"])
    .with_fact("Service/gracewatch", "/spec/clusterIP", json!("None"))
    .with_fact(
        "ServiceMonitor/gracewatch",
        "/spec/endpoints/0/relabelings/0/targetLabel",
        json!("node"),
    )
}

/// The rules and dashboards read the classic ones, which a Prometheus leaves out where it takes native ones.
fn native_histograms() -> Set {
    let values = json!({"podMonitor": {"enabled": true}, "scrape": {"nativeHistograms": true}});
    Set::new("native histograms", values)
        .with_objects(&["PodMonitor/gracewatch"])
        .with_fact(
            "PodMonitor/gracewatch",
            "/spec/scrapeProtocols",
            json!(["PrometheusProto"]),
        )
        .with_fact(
            "PodMonitor/gracewatch",
            "/spec/scrapeClassicHistograms",
            json!(true),
        )
}

/// One value each.
fn small_sets() -> [Set; 4] {
    let image = "/spec/template/spec/containers/0/image";
    let mount = "/spec/template/spec/containers/0/volumeMounts/0/recursiveReadOnly";
    let digest = format!("sha256:{}", "0f".repeat(32));
    let pushed = json!({"image": {"repository": "registry.example:5000/tools/gracewatch", "tag": "2", "digest": digest}});
    let mut old = Set::new("a cluster of 1.25", json!({})).with_fact(
        "DaemonSet/gracewatch",
        mount,
        Value::Null,
    );
    old.cluster = Some("1.25.0");
    [
        Set::new("a digest", pushed).with_fact(
            "DaemonSet/gracewatch",
            image,
            json!(format!("registry.example:5000/tools/gracewatch@{digest}")),
        ),
        Set::new("a tag", json!({"image": {"tag": "1.2.3-rc.1"}})).with_fact(
            "DaemonSet/gracewatch",
            image,
            json!("localhost/gracewatch:1.2.3-rc.1"),
        ),
        Set::new(
            "replaced by hand",
            json!({"updateStrategy": {"type": "OnDelete"}}),
        )
        .with_fact(
            "DaemonSet/gracewatch",
            "/spec/updateStrategy",
            json!({"type": "OnDelete"}),
        ),
        old,
    ]
}
