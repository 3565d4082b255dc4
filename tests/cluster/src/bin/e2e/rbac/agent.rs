//! An agent with some of the rights: an overlay of the manifests in a namespace of its own, asked through the API server,
//! so that this works from outside of a cluster, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use agent_core::report::{Report, Trigger};
use anyhow::{Context as _, Result, bail};
use gracewatch_cluster::cluster::Kubectl;
use k8s_openapi::api::rbac::v1::ClusterRole;
use serde::Deserialize;

use super::pods;
use super::rights::{Ability, Right, describe_right};

/// An agent on every node.
#[derive(Debug)]
pub(super) struct Agent<'a> {
    kubectl: &'a Kubectl,
    /// What it lacks.
    pub(super) without: Option<&'static Right>,
    /// Its namespace, and the end of its objects' names.
    name: String,
    overlay: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Terminations {
    finished: Vec<Report>,
}

#[derive(Debug, Deserialize)]
struct Roles {
    items: Vec<ClusterRole>,
}

impl<'a> Agent<'a> {
    /// Writes its overlay beside the folder `kustomize` in `work`.
    pub(super) fn describe(
        kubectl: &'a Kubectl,
        work: &Path,
        without: Option<&'static Right>,
    ) -> Result<Self> {
        let name = without.map_or_else(
            || "gw-complete".to_owned(),
            |right| {
                let name = right.to_string().replace([' ', '.'], "-");
                format!("gw-without-{name}")
            },
        );
        let overlay = work.join(&name);
        fs::create_dir_all(&overlay)
            .and_then(|()| {
                fs::write(
                    overlay.join("kustomization.yaml"),
                    kustomization(&name, without),
                )
            })
            .with_context(|| format!("cannot write {}", overlay.display()))?;
        Ok(Self {
            kubectl,
            without,
            name,
            overlay,
        })
    }

    pub(super) fn install(&self) -> Result<()> {
        self.on_overlay(&["apply", "--validate=strict"])
    }

    pub(super) fn remove(&self) -> Result<()> {
        self.on_overlay(&["delete", "--ignore-not-found", "--wait=false"])
    }

    fn on_overlay(&self, args: &[&str]) -> Result<()> {
        let overlay = self.overlay.display().to_string();
        self.kubectl
            .output(&[args, &["-k", &overlay]].concat())
            .map(drop)
    }

    pub(super) fn wait_ready(&self) -> Result<()> {
        let set = format!("daemonset/gracewatch-{}", self.name);
        self.kubectl
            .output(&[
                "-n",
                &self.name,
                "rollout",
                "status",
                "--timeout=120s",
                &set,
            ])
            .map(drop)
    }

    /// What this one must not be able to do.
    pub(super) fn expected(&self) -> BTreeSet<Ability> {
        self.without.map(Right::lost_abilities).unwrap_or_default()
    }

    /// What it has shown, on the pods of this namespace, that it can do.
    pub(super) fn abilities(&self, namespace: &str) -> Result<BTreeSet<Ability>> {
        let (mut can, mut sent, mut failed) = (BTreeSet::new(), 0.0, 0.0);
        for pod in self.pod_names()? {
            let reports: Terminations =
                serde_json::from_str(&self.get(&pod, "api/v1/terminations")?)
                    .context("cannot read the agent's reports")?;
            can.extend(
                reports
                    .finished
                    .iter()
                    .flat_map(|report| shown_abilities(report, namespace)),
            );
            let metrics = self.get(&pod, "metrics")?;
            sent += series_value(
                &metrics,
                "gracewatch_kubernetes_events_total{result=\"sent\"}",
            );
            failed += series_value(
                &metrics,
                "gracewatch_kubernetes_events_total{result=\"failed\"}",
            );
        }
        if sent > 0.0 {
            can.insert(Ability::WriteEvents);
        }
        if sent > pods::COUNT && failed == 0.0 {
            can.insert(Ability::CountEvents);
        }
        Ok(can)
    }

    /// What the API forbade it, as its metrics tell.
    pub(super) fn forbidden(&self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for pod in self.pod_names()? {
            let metrics = self.get(&pod, "metrics")?;
            let of_interest = metrics.lines().filter(|line| {
                line.starts_with("gracewatch_api_errors_total") && line.contains("\"forbidden\"")
            });
            lines.extend(of_interest.map(str::to_owned));
        }
        Ok(lines)
    }

    /// The rights that its roles give, in words.
    pub(super) fn rights(&self) -> Result<BTreeSet<String>> {
        let roles = self.kubectl.output(&[
            "get",
            "clusterroles",
            "-o",
            "json",
            "-l",
            "app.kubernetes.io/name=gracewatch",
        ])?;
        let roles: Roles = serde_json::from_str(&roles)?;
        let own = roles.items.into_iter().filter(|role| {
            let name = role.metadata.name.as_deref();
            name.is_some_and(|name| name.ends_with(&format!("-{}", self.name)))
        });
        let mut rights = BTreeSet::new();
        for rule in own.flat_map(|role| role.rules.unwrap_or_default()) {
            for group in rule.api_groups.iter().flatten() {
                for resource in rule.resources.iter().flatten() {
                    rights.extend(
                        rule.verbs
                            .iter()
                            .map(|verb| describe_right(verb, resource, group)),
                    );
                }
            }
        }
        Ok(rights)
    }

    /// Those of these (verb, resource) that the API would allow it.
    pub(super) fn allowed(&self, wanted: &[(&'static str, &'static str)]) -> Result<Vec<String>> {
        let user = format!("system:serviceaccount:{0}:gracewatch-{0}", self.name);
        let mut allowed = Vec::new();
        for (verb, resource) in wanted {
            let said = self
                .kubectl
                .command()
                .args([
                    "auth",
                    "can-i",
                    verb,
                    resource,
                    "--all-namespaces",
                    "--as",
                    &user,
                ])
                .output()
                .context("cannot start kubectl")?;
            match String::from_utf8_lossy(&said.stdout).trim() {
                "no" => {}
                "yes" => allowed.push(format!("{verb} {resource}")),
                _ => bail!(
                    "`kubectl auth can-i {verb} {resource}` failed: {}",
                    String::from_utf8_lossy(&said.stderr).trim_end()
                ),
            }
        }
        Ok(allowed)
    }

    /// How many agents there are on the cluster beside these.
    pub(super) fn others(&self, trial: &[Self]) -> Result<usize> {
        let label = "app.kubernetes.io/name=gracewatch";
        let namespaces = self.kubectl.output(&[
            "get",
            "daemonsets",
            "--all-namespaces",
            "-l",
            label,
            "-o",
            "jsonpath={.items[*].metadata.namespace}",
        ])?;
        let is_of_trial = |namespace: &str| trial.iter().any(|agent| agent.name == namespace);
        Ok(namespaces
            .split_whitespace()
            .filter(|namespace| !is_of_trial(namespace))
            .count())
    }

    /// Its pods' names.
    fn pod_names(&self) -> Result<Vec<String>> {
        let names = self.kubectl.output(&[
            "-n",
            &self.name,
            "get",
            "pods",
            "-o",
            "jsonpath={.items[*].metadata.name}",
        ])?;
        Ok(names.split_whitespace().map(str::to_owned).collect())
    }

    fn get(&self, pod: &str, page: &str) -> Result<String> {
        let namespace = &self.name;
        self.kubectl.output(&[
            "get",
            "--raw",
            &format!("/api/v1/namespaces/{namespace}/pods/{pod}:8637/proxy/{page}"),
        ])
    }
}

/// What a report on a pod of this namespace shows.
fn shown_abilities(report: &Report, namespace: &str) -> Vec<Ability> {
    let pod = report.pod.as_ref();
    let Some(pod) = pod.filter(|pod| pod.namespace == namespace) else {
        return Vec::new();
    };
    let workload = (pod.workload.kind.as_str(), pod.workload.name.as_str());
    let mut shown = vec![Ability::NamePod];
    if report.trigger == Trigger::Liveness {
        shown.push(Ability::TellTrigger);
    }
    let endpoint = report.endpoint.as_ref();
    if endpoint.is_some_and(|endpoint| endpoint.unready_at.is_some()) {
        shown.push(Ability::TellEndpoint);
    }
    if workload == ("CronJob", pods::CRON_JOB) {
        shown.push(Ability::NameCronJob);
    }
    if workload == ("ConfigMap", pods::OWNER) {
        shown.push(Ability::NameOwner);
    }
    shown
}

fn series_value(metrics: &str, series: &str) -> f64 {
    metrics
        .lines()
        .filter_map(|line| line.strip_prefix(series))
        .filter_map(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
        .sum()
}

/// The manifests under another name, with one verb less. The JSON patch tests that it takes away the right one.
fn kustomization(name: &str, without: Option<&Right>) -> String {
    let renamed = format!("resources: [../kustomize]\nnamespace: {name}\nnameSuffix: -{name}\n");
    let Some(right) = without else {
        return renamed;
    };
    let (role, rule, resource, verb) = (right.role, right.rule, right.resource, right.verb);
    let place = right.place.unwrap_or_default();
    let removed = match right.place {
        Some(place) => format!("/rules/{rule}/verbs/{place}"),
        None => format!("/rules/{rule}"),
    };
    format!(
        "{renamed}patches:
  - target: {{kind: ClusterRole, name: {role}}}
    patch: |
      - {{op: test, path: /rules/{rule}/resources/0, value: {resource}}}
      - {{op: test, path: /rules/{rule}/verbs/{place}, value: {verb}}}
      - {{op: remove, path: {removed}}}
"
    )
}
