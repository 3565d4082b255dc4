//! Pods and containers that come after others, and what is done to pods other than by plain `kubectl`.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use gracewatch_cluster::cluster::NODE;

use super::{Pod, RUN_LIMIT, Stage};
use crate::watch;

impl Stage<'_> {
    /// Waits until this container of the pod is another one than it was.
    pub(crate) fn restarted(&self, before: &Pod, container: &str) -> Result<Pod> {
        let old = before.container_id(container)?;
        let what = format!("another container {container} of pod {}", before.name);
        let found = self.watch.wait_for_pod(&what, RUN_LIMIT, |pod, gone| {
            let status = watch::container(pod, container);
            let id = status.and_then(|status| status.container_id.as_deref());
            let running = status.and_then(|status| status.state.as_ref()?.running.as_ref());
            !gone
                && pod.metadata.uid.as_deref() == Some(&before.uid)
                && running.is_some()
                && id.is_some_and(|id| !id.ends_with(old))
        })?;
        Pod::from_object(&found)
    }

    /// Waits for a ready pod with the label `app` of this value that is none of these.
    pub(crate) fn another(&self, app: &str, before: &[&Pod]) -> Result<Pod> {
        let what = format!("another ready pod of {app}");
        let found = self.watch.wait_for_pod(&what, RUN_LIMIT, |pod, gone| {
            let labels = pod.metadata.labels.as_ref();
            let uid = pod.metadata.uid.as_deref();
            !gone
                && self.is_mine(pod)
                && watch::is_ready(pod)
                && labels
                    .and_then(|labels| labels.get("app"))
                    .map(String::as_str)
                    == Some(app)
                && before.iter().all(|old| uid != Some(&old.uid))
        })?;
        Pod::from_object(&found)
    }

    /// Waits until the pod's object is gone.
    pub(crate) fn wait_until_gone(&self, pod: &Pod) -> Result<()> {
        let what = format!("the end of the object of pod {}", pod.name);
        let found = self.watch.wait_for_pod(&what, RUN_LIMIT, |seen, gone| {
            gone && seen.metadata.uid.as_deref() == Some(&pod.uid)
        });
        found.map(drop)
    }

    /// Waits until somebody has deleted one of these pods.
    pub(crate) fn one_deleted(&self, pods: &[Pod]) -> Result<()> {
        let mine = |uid: Option<&str>| pods.iter().any(|pod| Some(pod.uid.as_str()) == uid);
        let found = self
            .watch
            .wait_for_pod("a deletion", RUN_LIMIT, |pod, _gone| {
                mine(pod.metadata.uid.as_deref()) && pod.metadata.deletion_timestamp.is_some()
            });
        found.map(drop)
    }

    /// Evicts the pod, as `kubectl drain` does.
    pub(crate) fn evict_pod(&self, pod: &Pod) -> Result<()> {
        let namespace = self.namespace();
        let path = format!("/api/v1/namespaces/{namespace}/pods/{}/eviction", pod.name);
        let wish = serde_json::json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": { "name": pod.name, "namespace": namespace },
        });
        self.kubectl_with(&["create", "--raw", &path, "-f", "-"], &wish.to_string())
    }

    /// `kubectl` in the scenario's namespace, with this on its standard input.
    pub(crate) fn kubectl_with(&self, args: &[&str], input: &str) -> Result<()> {
        let mut child = self
            .place
            .kubectl()
            .command()
            .args(["--namespace", &self.namespace])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start kubectl")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin
                .write_all(input.as_bytes())
                .context("kubectl is gone")?;
        }
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "`kubectl {}` failed: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        Ok(())
    }

    /// Deletes the agent's pod on our node, and waits until the next one is ready.
    pub(crate) fn restart_agent(&self) -> Result<()> {
        self.agents.restart(NODE)
    }
}
