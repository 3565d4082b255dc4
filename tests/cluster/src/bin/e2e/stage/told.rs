//! What Kubernetes tells a person of a pod: its Events.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::harness::WrongVerdict;
use k8s_openapi::api::core::v1::Event;
use serde::Deserialize;

use super::{POLL, Pod, Stage};
use crate::check::Check;

/// How long after the report its Event may come.
const EVENT_LIMIT: Duration = Duration::from_secs(20);

const AGENT: &str = "gracewatch";
const KUBELET: &str = "kubelet";

/// With one of these an object stays, deleted as it is, until it is taken away.
const FINALIZER: &str = r#"{"metadata":{"finalizers":["gracewatch.test/keep"]}}"#;
const NO_FINALIZER: &str = r#"{"metadata":{"finalizers":null}}"#;

/// Of many objects `kubectl` makes a list of its own kind.
#[derive(Debug, Deserialize)]
struct Events {
    items: Vec<Event>,
}

impl Stage<'_> {
    /// Checks that the agent wrote an Event of this reason, and gives its message.
    pub(crate) fn check_event(&self, check: &mut Check, pod: &Pod, reason: &str) -> Result<String> {
        let message = self.event_message(pod, reason, AGENT)?;
        check.require_equal("Event", reason, reason);
        Ok(message)
    }

    /// Checks that the kubelet wrote an Event of this reason.
    pub(crate) fn kubelet_told(&self, check: &mut Check, pod: &Pod, reason: &str) -> Result<()> {
        self.event_message(pod, reason, KUBELET)?;
        check.staged("Event of the kubelet", reason, reason);
        Ok(())
    }

    /// Keeps the pod's object when it is deleted, until [`Self::described`] let it go.
    pub(crate) fn keep_object(&self, pod: &Pod) -> Result<()> {
        self.kubectl(&["patch", "pod", &pod.name, "--type=merge", "-p", FINALIZER])
            .map(drop)
    }

    /// Checks that `kubectl describe pod` shows an Event of this reason, which it does only as long as there is the pod:
    /// that of one that was deleted is mostly gone before anybody can ask. `kubectl events --for pod/NAME` shows it still.
    pub(crate) fn described(&self, check: &mut Check, pod: &Pod, reason: &str) -> Result<()> {
        let said = self.kubectl(&["describe", "pod", &pod.name]);
        self.kubectl(&[
            "patch",
            "pod",
            &pod.name,
            "--type=merge",
            "-p",
            NO_FINALIZER,
        ])?;
        let said = said?;
        let is_it = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.get(1) == Some(&reason) && words.contains(&AGENT)
        };
        check.require("kubectl describe pod shows it", said.lines().any(is_it));
        Ok(())
    }

    /// The message of a pod's Event, waited for; also of a pod that is gone.
    fn event_message(&self, pod: &Pod, reason: &str, from: &str) -> Result<String> {
        let started = Instant::now();
        loop {
            let of = format!(
                "--field-selector=involvedObject.kind=Pod,involvedObject.uid={}",
                pod.node_uid
            );
            let said = self.kubectl(&["get", "events", &of, "--output=json"])?;
            let events: Events =
                serde_json::from_str(&said).context("kubectl says something else than Events")?;
            let is_it = |event: &&Event| {
                event.reason.as_deref() == Some(reason) && component(event) == Some(from)
            };
            if let Some(event) = events.items.iter().find(is_it) {
                return Ok(event.message.clone().unwrap_or_default());
            }
            self.watch.check_stopped()?;
            if started.elapsed() > EVENT_LIMIT {
                let words = format!(
                    "no Event {reason} of {from} on pod {}; there are: {said}",
                    pod.name
                );
                ensure!(from == AGENT, "{words}");
                return Err(WrongVerdict(words).into());
            }
            sleep(POLL);
        }
    }
}

/// Who wrote it: said in another field by newer clients.
fn component(event: &Event) -> Option<&str> {
    let old = event
        .source
        .as_ref()
        .and_then(|source| source.component.as_deref());
    let new = event.reporting_component.as_deref();
    old.filter(|name| !name.is_empty()).or(new)
}
