//! The Helm chart: installed with its defaults it measures; with everything on, the API server takes what it makes; removed,
//! it leaves nothing behind.

mod release;

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::programs::{START_UP, pod_spec};
use crate::check::Check;
use crate::metrics::Page;
use crate::scenario::{Needs, Scenario};
use crate::stage::Stage;
use release::Release;

pub(crate) const ALL: [Scenario; 1] = [Scenario {
    name: "helm_chart",
    // It adds the kinds of the Prometheus operator to the API.
    needs: Needs::OwnCluster,
    // A second agent, beside the one that the others ask.
    alone: true,
    gates: &[],
    run: helm_chart,
}];

/// What the notes of the installation call the pod of a first termination.
const FIRST: &str = "ignores-sigterm";
/// How long its agent may take to tell of it, and objects to go.
const LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(500);
/// The kinds that a Prometheus operator brings along.
const KINDS: [&str; 3] = ["podmonitors", "prometheusrules", "servicemonitors"];

fn helm_chart(stage: &Stage<'_>, check: &mut Check) -> Result<()> {
    let release = Release::new_release(stage);
    let tried = try_out(stage, check, &release);
    let removed = release.uninstall();
    tried.and(removed)?;
    let started = Instant::now();
    while started.elapsed() < LIMIT && !release.objects()?.is_empty() {
        sleep(POLL);
    }
    check.require_equal("left behind", release.objects()?, vec![]);
    Ok(())
}

fn try_out(stage: &Stage<'_>, check: &mut Check, release: &Release<'_>) -> Result<()> {
    let notes = release.install()?;
    let teaches = |line: &str| notes.lines().any(|said| said.trim() == line);
    check.require(
        "the notes teach a first termination",
        teaches(&format!("kubectl delete pod {FIRST} --grace-period=5"))
            && teaches(&format!("kubectl events --for pod/{FIRST}")),
    );
    check.require_equal("/readyz", release.get("readyz")?, "ready\n".to_owned());
    first_termination(stage, check, release)?;
    check.require("helm test", release.test()?);
    add_kinds(stage)?;
    let dashboards = dashboards(stage)?;
    for monitor in ["podMonitor", "serviceMonitor"] {
        release.upgrade(&everything(monitor))?;
        release.validate(stage)?;
        let objects = release.objects()?;
        for wanted in expected_objects(monitor) {
            check.require(
                format!("made with {monitor}: {wanted}"),
                objects.contains(&wanted),
            );
        }
        let maps = objects.iter().filter(|name| name.starts_with("configmap/"));
        check.require_equal("dashboards", maps.count(), dashboards);
        check.require_equal("/readyz", release.get("readyz")?, "ready\n".to_owned());
    }
    check.require("helm test with everything on", release.test()?);
    Ok(())
}

/// As the notes have it: a pod that ignores SIGTERM is in the metrics of the chart's agent, and an Event is on the pod.
fn first_termination(stage: &Stage<'_>, check: &mut Check, release: &Release<'_>) -> Result<()> {
    let pod = stage.create_pod(FIRST, &pod_spec(5, "[sleep, \"3600\"]", ""))?;
    sleep(START_UP);
    stage.kubectl(&["delete", "pod", FIRST, "--wait=false"])?;
    let labels = [
        ("namespace", stage.namespace()),
        ("pod", FIRST),
        ("container", "app"),
        ("outcome", "signal_ignored"),
    ];
    let sent = [("result", "sent")];
    let started = Instant::now();
    let page = loop {
        let page = Page::parse(&release.get("metrics")?);
        let is_told = page.sum("pod_termination_outcome", &labels).is_some();
        let is_sent = page.sum("gracewatch_kubernetes_events_total", &sent) > Some(0.0);
        if is_told && is_sent || started.elapsed() > LIMIT {
            break page;
        }
        sleep(POLL);
    };
    let of = |name: &str, labels: &[(&str, &str)]| page.sum(name, labels);
    check.require_equal(
        "outcome in its metrics",
        of("pod_termination_outcome", &labels),
        Some(1.0),
    );
    check.require_equal(
        "Events that it wrote",
        of("gracewatch_kubernetes_events_total", &sent),
        Some(1.0),
    );
    let said = stage.kubectl(&["events", "--for", &format!("pod/{FIRST}")])?;
    check.require(
        "kubectl events shows it",
        said.contains("StopSignalIgnored"),
    );
    stage
        .check_event(check, &pod, "StopSignalIgnored")
        .map(drop)
}

/// Makes the API server know the Prometheus operator's kinds, so that it validates objects of them.
fn add_kinds(stage: &Stage<'_>) -> Result<()> {
    let mut names = Vec::new();
    for kind in KINDS {
        let file = format!("monitoring.coreos.com_{kind}.yaml");
        let file = stage
            .cluster_place()
            .tools_folder()
            .join(file)
            .display()
            .to_string();
        // They are too large for what a client-side apply notes down of them.
        stage.kubectl(&["apply", "--server-side", "-f", &file])?;
        names.push(format!("crd/{kind}.monitoring.coreos.com"));
    }
    let mut args = vec!["wait", "--for=condition=Established", "--timeout=60s"];
    args.extend(names.iter().map(String::as_str));
    stage.kubectl(&args).map(drop)
}

/// How many dashboards the chart has.
fn dashboards(stage: &Stage<'_>) -> Result<usize> {
    let folder = stage
        .cluster_place()
        .chart_folder()
        .join("files/dashboards");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let count = entries.count();
    ensure!(count > 0, "{} is empty", folder.display());
    Ok(count)
}

/// Everything that can be on with this monitor, in the release's own namespace. Not `oldKernels`: SYS_RESOURCE is not given
/// to everybody who is root on a machine.
fn everything(monitor: &str) -> Value {
    let mut values = json!({
        "commonLabels": {"team": "nodes"},
        "serviceAccount": {"annotations": {"of": "the chart"}},
        "listen": {"port": 9637},
        "extraArgs": ["--retention=3600"],
        "extraEnv": [{"name": "GRACEWATCH_LOG_FORMAT", "value": "json"}],
        "extraVolumes": [{"name": "journal", "emptyDir": {"sizeLimit": "100Mi"}}],
        "extraVolumeMounts": [{"name": "journal", "mountPath": "/journal"}],
        "hiddenProcesses": true,
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "Exists"}]}
        ]}}},
        "livenessProbe": {"periodSeconds": 30, "timeoutSeconds": 5},
        "readinessProbe": {"periodSeconds": 5},
        "podAnnotations": {"of": "the chart"},
        "podLabels": {"team": "agents"},
        "service": {"enabled": true, "annotations": {"of": "the chart"}},
        "scrape": {
            "interval": "30s", "timeout": "10s", "nativeHistograms": true, "sampleLimit": 100_000,
            "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "gracewatch_.*", "action": "keep"}]
        },
        "prometheusRule": {"enabled": true, "labels": {"release": "prometheus"}, "alertLabels": {"team": "nodes"}},
        "dashboards": {"enabled": true, "annotations": {"of": "the chart"}},
        "networkPolicy": {
            "enabled": true, "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]
        },
    });
    if let Some(values) = values.as_object_mut() {
        let on = json!({"enabled": true, "labels": {"release": "prometheus"}, "annotations": {"of": "the chart"}});
        values.insert(monitor.to_owned(), on);
    }
    values
}

/// What is in the cluster then, beside what is always there.
fn expected_objects(monitor: &str) -> [String; 4] {
    [
        format!("{}.monitoring.coreos.com", monitor.to_lowercase()),
        "prometheusrule.monitoring.coreos.com".to_owned(),
        "networkpolicy.networking.k8s.io".to_owned(),
        "service".to_owned(),
    ]
    .map(|kind| format!("{kind}/{}", release::FULL_NAME))
}
