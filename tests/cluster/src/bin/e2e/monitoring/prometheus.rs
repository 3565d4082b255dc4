//! The program: configured as docs/monitoring.md says, but for how often it scrapes.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use gracewatch_cluster::cluster::Cluster;
use gracewatch_cluster::daemon::Daemon;
use gracewatch_tests::claim;
use serde_json::Value;

use super::json::{list_of, text_of};
use crate::Args;
use crate::place::Place;

const ADDRESS: &str = "127.0.0.1:9090";
const READY_LIMIT: Duration = Duration::from_mins(1);
const HTTP_LIMIT: Duration = Duration::from_mins(2);

/// A running Prometheus; dropping it ends it.
#[derive(Debug)]
pub(super) struct Prometheus {
    _daemon: Daemon,
    http: ureq::Agent,
    began: f64,
}

impl Prometheus {
    pub(super) fn start(cluster: &Cluster, place: &Place, args: &Args) -> Result<Self> {
        let folder = args.logs.with_file_name("prometheus");
        // What an earlier run measured would answer, too.
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let config = folder.join("prometheus.yaml");
        fs::write(&config, configuration(place, args))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let mut command = Command::new(args.tools.join("prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={ADDRESS}"))
            .arg("--enable-feature=exemplar-storage");
        let mut daemon = Daemon::start("prometheus", command, &args.logs)?;
        cluster.hold(&daemon)?;
        let http: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(HTTP_LIMIT))
            .build()
            .into();
        daemon.wait_ready(READY_LIMIT, || {
            http.get(format!("http://{ADDRESS}/-/ready")).call()?;
            Ok(true)
        })?;
        Ok(Self {
            _daemon: daemon,
            http,
            began: wall_clock(),
        })
    }

    /// When it began to scrape, in seconds since 1970.
    pub(super) const fn scrape_start(&self) -> f64 {
        self.began
    }

    /// Its time now.
    pub(super) fn current_time(&self) -> Result<f64> {
        let answer = self.get("query", &[("query", "time()")])?;
        let time = answer.pointer("/result/1").and_then(Value::as_str);
        let time = time.and_then(|time| time.parse().ok());
        time.context("Prometheus tells no time")
    }

    /// The answer to a query at this moment: its series.
    pub(super) fn instant(&self, expr: &str) -> Result<Vec<Value>> {
        Ok(series(&self.get("query", &[("query", expr)])?))
    }

    /// The answer to a query over the whole run.
    pub(super) fn query_range(&self, expr: &str, step: &str) -> Result<Vec<Value>> {
        let (from, to) = (self.began.to_string(), self.current_time()?.to_string());
        let answer = self.get(
            "query_range",
            &[
                ("query", expr),
                ("start", &from),
                ("end", &to),
                ("step", step),
            ],
        )?;
        Ok(series(&answer))
    }

    /// The exemplars of what a query selects.
    pub(super) fn exemplars(&self, expr: &str) -> Result<Vec<Value>> {
        let (from, to) = (self.began.to_string(), self.current_time()?.to_string());
        let answer = self.get(
            "query_exemplars",
            &[("query", expr), ("start", &from), ("end", &to)],
        )?;
        Ok(answer.as_array().cloned().unwrap_or_default())
    }

    /// The values of a label of what a selector selects.
    pub(super) fn label_values(&self, selector: &str, label: &str) -> Result<Vec<Value>> {
        let answer = self.get(&format!("label/{label}/values"), &[("match[]", selector)])?;
        Ok(answer.as_array().cloned().unwrap_or_default())
    }

    /// The groups of rules, with how they fared.
    pub(super) fn rule_groups(&self) -> Result<Vec<Value>> {
        let answer = self.get("rules", &[])?;
        Ok(list_of(&answer, "groups").to_vec())
    }

    /// The page of metrics of an agent, as it stands.
    pub(super) fn metrics_page(&self) -> Result<String> {
        let answer = self.get("targets", &[("state", "active")])?;
        let target = list_of(&answer, "activeTargets").first();
        let target = target.context("Prometheus knows no agent")?;
        let url = text_of(target, "scrapeUrl");
        let mut response = self.http.get(url).call().context(url.to_owned())?;
        Ok(response.body_mut().read_to_string()?)
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let url = format!("http://{ADDRESS}/api/v1/{path}");
        let mut request = self
            .http
            .get(&url)
            .config()
            .http_status_as_error(false)
            .build();
        for (name, value) in query {
            request = request.query(name, value);
        }
        let mut response = request.call().context(url)?;
        let said = response
            .body_mut()
            .with_config()
            .limit(1 << 28)
            .read_to_string()?;
        let mut answer: Value = serde_json::from_str(&said)
            .with_context(|| format!("Prometheus says no JSON: {said}"))?;
        // What it says of a query of ours is about the query; that it says nothing is the machine's fault.
        claim!(
            text_of(&answer, "status") == "success",
            "Prometheus refuses {query:?}: {}",
            text_of(&answer, "error")
        );
        Ok(answer.get_mut("data").map(Value::take).unwrap_or_default())
    }
}

/// The series of an answer; a number alone is one.
fn series(answer: &Value) -> Vec<Value> {
    if text_of(answer, "resultType") == "scalar" {
        vec![answer.clone()]
    } else {
        list_of(answer, "result").to_vec()
    }
}

fn wall_clock() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// Who scrapes in a cluster does it from a pod; this one is beside the kubelet, and takes the kubeconfig instead.
fn configuration(place: &Place, args: &Args) -> String {
    let (kubeconfig, rules) = (place.kubeconfig().display(), args.rules.display());
    format!(
        r#"global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 5s
rule_files: ["{rules}/*.yaml"]
scrape_configs:
  - job_name: gracewatch
    honor_labels: true
    scrape_native_histograms: true
    always_scrape_classic_histograms: true
    kubernetes_sd_configs:
      - role: pod
        kubeconfig_file: "{kubeconfig}"
        namespaces: {{ names: [gracewatch] }}
    relabel_configs:
      - source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name, __meta_kubernetes_pod_container_port_name]
        regex: gracewatch;metrics
        action: keep
      - source_labels: [__meta_kubernetes_pod_node_name]
        target_label: node
"#
    )
}
