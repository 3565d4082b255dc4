//! The watch of this node's pods.

use std::cell::RefCell;

use k8s_openapi::api::core::v1 as api;
use kube::runtime::watcher::Event;
use tokio::sync::mpsc;

use super::access::Access;
use super::facts::ApiUpdates;
use super::follow::{Followed, PAGE, follow};
use super::known::{ClockReading, Known};
use super::owners::Unsure;
use crate::agent_event::AgentEvent;
use crate::clock;

/// Watches; never ends.
pub(super) async fn watch_pods(
    access: &Access,
    known: &RefCell<Known>,
    unsure: mpsc::Sender<Unsure>,
    facts: &ApiUpdates,
) {
    let followed = Followed {
        resource: "pods",
        fields: Some(format!("spec.nodeName={}", access.node)),
        page: PAGE,
    };
    let mut was_empty = false;
    follow(access, &followed, facts, async |event: Event<api::Pod>| {
        let list_ended = matches!(event, Event::InitDone);
        let change = known.borrow_mut().apply_watch_event(event, read_clocks());
        for input in change.inputs {
            facts.send_input(input).await;
        }
        if let Some((pod, owner)) = change.unsure
            && unsure.try_send(Unsure { pod, owner }).is_err()
        {
            tracing::debug!(
                "too many owners to look up; this one is asked for when its pod changes"
            );
        }
        let pods = known.borrow().len();
        facts.send_agent_event(AgentEvent::PodsKnown(pods)).await;
        if list_ended {
            say_if_empty(access, pods, &mut was_empty).await;
        }
    })
    .await;
}

/// Now, by both clocks.
pub(super) fn read_clocks() -> ClockReading {
    ClockReading {
        seen_at: clock::now(),
        wall_at_boot: clock::wall_at_boot(),
    }
}

/// A node without a single pod is rare; a wrong name is not.
async fn say_if_empty(access: &Access, pods: usize, was_empty: &mut bool) {
    if pods > 0 || std::mem::replace(was_empty, true) {
        return;
    }
    let node = &access.node;
    if node_exists(access).await == Some(false) {
        tracing::warn!(
            "the cluster has no node named {node}, so no container can be told whose it is; give this machine's name in `kubectl get nodes` by --node-name"
        );
    } else {
        tracing::info!(
            "no pod runs on the node {node}; if that is not this machine, give its name by --node-name"
        );
    }
}

/// Whether there is a Node of this name; `None` if the API server does not say.
async fn node_exists(access: &Access) -> Option<bool> {
    let client = access.client().await.ok()?;
    let nodes = kube::Api::<api::Node>::all(client);
    nodes
        .get_metadata_opt(&access.node)
        .await
        .ok()
        .map(|node| node.is_some())
}
