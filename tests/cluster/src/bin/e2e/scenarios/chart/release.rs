//! A release of the chart, in the scenario's namespace.

use anyhow::{Context as _, Result};
use gracewatch_cluster::cluster::Kubectl;
use serde_json::Value;

use crate::stage::Stage;

const NAME: &str = "chart";
/// The name of its DaemonSet and of most other objects.
pub(super) const FULL_NAME: &str = "chart-gracewatch";
/// The label of every object of it.
const OURS: &str = "app.kubernetes.io/instance=chart";
/// How long one step of Helm's may take.
const TIMEOUT: &str = "--timeout=3m";

#[derive(Debug)]
pub(super) struct Release<'a> {
    helm: Kubectl,
    kubectl: &'a Kubectl,
    namespace: &'a str,
    chart: String,
}

impl<'a> Release<'a> {
    pub(super) fn new_release(stage: &'a Stage<'_>) -> Self {
        let kubectl = stage.cluster_place().kubectl();
        Self {
            helm: kubectl.beside("helm"),
            kubectl,
            namespace: stage.namespace(),
            chart: stage.cluster_place().chart_folder().display().to_string(),
        }
    }

    /// Installs it with its defaults, and waits until it is ready; the notes.
    pub(super) fn install(&self) -> Result<String> {
        self.run_helm(&["install", NAME, &self.chart, "--wait", TIMEOUT])
            .with_context(|| self.describe_state())?;
        self.run_helm(&["get", "notes", NAME])
    }

    /// Gives it these values, and waits until it is ready.
    pub(super) fn upgrade(&self, values: &Value) -> Result<()> {
        let values = values.to_string();
        self.run_helm(&[
            "upgrade",
            NAME,
            &self.chart,
            "--set-json",
            &values,
            "--wait",
            TIMEOUT,
        ])
        .map(drop)
        .with_context(|| self.describe_state())
    }

    /// Whether its tests pass.
    pub(super) fn test(&self) -> Result<bool> {
        let said = self.run_helm(&["test", NAME, "--logs", TIMEOUT])?;
        let passed = |line: &str| line.starts_with("Phase:") && line.ends_with("Succeeded");
        Ok(said.lines().any(passed))
    }

    /// Removes it, if it is there.
    pub(super) fn uninstall(&self) -> Result<()> {
        let args = ["uninstall", NAME, "--ignore-not-found", "--wait", TIMEOUT];
        self.run_helm(&args).map(drop)
    }

    /// Lets the API server judge everything that was rendered, and refuse what it does not know.
    pub(super) fn validate(&self, stage: &Stage<'_>) -> Result<()> {
        let manifest = self.run_helm(&["get", "manifest", NAME])?;
        let args = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--validate=strict",
            "--filename=-",
        ];
        stage.kubectl_with(&args, &manifest)
    }

    /// Everything in the cluster that is labelled as its own, and what Helm notes down of it, as `kind/name`.
    pub(super) fn objects(&self) -> Result<Vec<String>> {
        let kinds = ["api-resources", "--verbs=list", "--output=name"];
        let kinds = self.kubectl.output(&kinds)?;
        let kinds: Vec<&str> = kinds.split_whitespace().collect();
        let list = |kinds: &str, label: &str| {
            let args = ["get", kinds, "--all-namespaces", "--output=name"];
            self.kubectl
                .output(&[args.as_slice(), &["--selector", label]].concat())
        };
        let labelled = list(&kinds.join(","), OURS)?;
        let noted = list("secrets", &format!("owner=helm,name={NAME}"))?;
        let all = labelled.lines().chain(noted.lines());
        Ok(all.map(str::to_owned).collect())
    }

    /// A page of its agent, through the API server.
    pub(super) fn get(&self, page: &str) -> Result<String> {
        let names = self.kubectl.output(&[
            "--namespace",
            self.namespace,
            "get",
            "pods",
            "--selector",
            &format!("{OURS},app.kubernetes.io/name=gracewatch"),
            "--field-selector=status.phase=Running",
            "--output",
            "jsonpath={range .items[*]}{.metadata.name}:{.spec.containers[0].ports[0].containerPort} {end}",
        ])?;
        let agent = names.split_whitespace().next().context("it has no agent")?;
        let namespace = self.namespace;
        let path = format!("/api/v1/namespaces/{namespace}/pods/{agent}/proxy/{page}");
        self.kubectl.output(&["get", "--raw", &path])
    }

    /// What a person would look at where it does not get ready.
    fn describe_state(&self) -> String {
        let said = |args: &[&str]| {
            let args = [&["--namespace", self.namespace], args].concat();
            self.kubectl.output(&args).unwrap_or_default()
        };
        let log = said(&["logs", &format!("daemonset/{FULL_NAME}"), "--tail=20"]);
        let pods = said(&["describe", "pods", "--selector", OURS]);
        format!("the chart's agent does not get ready:\n{log}\n{pods}")
    }

    fn run_helm(&self, args: &[&str]) -> Result<String> {
        self.helm
            .output(&[&["--namespace", self.namespace], args].concat())
    }
}
