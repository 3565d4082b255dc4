//! Looks up what controls the controllers of pods: a ReplicaSet's Deployment, a Job's CronJob. One request for each, for
//! its metadata alone; what it says is remembered.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use agent_core::pod::Workload;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client};
use tokio::sync::mpsc;

use super::access::Access;
use super::facts::ApiUpdates;
use super::failure::{Failure, Reason};
use super::follow::Backoff;
use super::known::Known;
use super::owner::{Owner, OwnerKind, controller, workload};
use crate::agent_event::AgentEvent;
use crate::clock;

/// Owners that may wait to be looked up.
pub(super) const WAITING: usize = 1024;
/// Owners that are remembered.
const REMEMBERED: usize = 1024;
/// For how long a kind is not asked for after RBAC forbade it.
const FORBIDDEN_FOR: Duration = Duration::from_mins(5);
/// Attempts for one owner while the API server cannot be reached.
const ATTEMPTS: u32 = 5;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A pod whose workload is not known for sure.
#[derive(Debug)]
pub(super) struct Unsure {
    /// The pod's UID.
    pub(super) pod: String,
    /// What controls it.
    pub(super) owner: Owner,
}

/// Looks up; ends when nobody asks any more.
pub(super) async fn look_up(
    access: &Access,
    known: &RefCell<Known>,
    mut unsure: mpsc::Receiver<Unsure>,
    facts: &ApiUpdates,
) {
    let mut owners = Owners {
        access,
        facts,
        client: None,
        remembered: BTreeMap::new(),
        forbidden: [None, None],
    };
    while let Some(Unsure { pod, owner }) = unsure.recv().await {
        let Some(workload) = owners.workload(&owner).await else {
            continue;
        };
        let amended = known
            .borrow_mut()
            .set_workload(&pod, workload, clock::now());
        if let Some(input) = amended {
            facts.send_input(input).await;
        }
    }
}

struct Owners<'a> {
    access: &'a Access,
    facts: &'a ApiUpdates,
    client: Option<Client>,
    /// By the owner's UID.
    remembered: BTreeMap<String, Workload>,
    /// Since when RBAC forbids ReplicaSets and Jobs.
    forbidden: [Option<Instant>; 2],
}

impl Owners<'_> {
    /// The workload behind an owner; `None` if that cannot be learned.
    async fn workload(&mut self, owner: &Owner) -> Option<Workload> {
        if let Some(workload) = self.remembered.get(&owner.uid) {
            return Some(workload.clone());
        }
        if self.is_forbidden(owner.kind) {
            return None;
        }
        let found = self.ask_patiently(owner).await?;
        if self.remembered.len() >= REMEMBERED {
            self.remembered.clear();
        }
        self.remembered.insert(owner.uid.clone(), found.clone());
        Some(found)
    }

    async fn ask_patiently(&mut self, owner: &Owner) -> Option<Workload> {
        let resource = resource(owner.kind);
        let mut pauses = Backoff::new();
        for _attempt in 0..ATTEMPTS {
            let failure = match self.fetch_owner(owner).await {
                Ok(meta) => return Some(topmost_workload(owner, &meta)),
                Err(failure) => failure,
            };
            let reason = failure.reason;
            tracing::debug!(
                resource,
                name = owner.name,
                reason = reason.name(),
                said = failure.said,
                "an owner could not be looked up"
            );
            self.facts
                .send_agent_event(AgentEvent::ApiFailed {
                    resource,
                    reason: reason.name(),
                })
                .await;
            if reason == Reason::Forbidden {
                self.forbid(owner.kind);
            }
            if !reason.is_transient() {
                return None;
            }
            self.client = None;
            pauses.wait_before_retry(reason).await;
        }
        None
    }

    async fn fetch_owner(&mut self, owner: &Owner) -> Result<ObjectMeta, Failure> {
        let client = if let Some(client) = &self.client {
            client.clone()
        } else {
            let client = self.access.client().await.map_err(Failure::credentials)?;
            self.client.insert(client).clone()
        };
        let (namespace, name) = (&owner.namespace, &owner.name);
        let request = async {
            match owner.kind {
                OwnerKind::ReplicaSet => Api::<ReplicaSet>::namespaced(client, namespace)
                    .get_metadata(name)
                    .await
                    .map(|object| object.metadata),
                OwnerKind::Job => Api::<Job>::namespaced(client, namespace)
                    .get_metadata(name)
                    .await
                    .map(|object| object.metadata),
            }
        };
        match tokio::time::timeout(PATIENCE, request).await {
            Ok(answer) => answer.map_err(|error| Failure::from(&error)),
            Err(_elapsed) => Err(Failure::no_answer()),
        }
    }

    fn is_forbidden(&self, kind: OwnerKind) -> bool {
        self.forbidden
            .get(kind_index(kind))
            .copied()
            .flatten()
            .is_some_and(|since| since.elapsed() < FORBIDDEN_FOR)
    }

    fn forbid(&mut self, kind: OwnerKind) {
        let Some(since) = self.forbidden.get_mut(kind_index(kind)) else {
            return;
        };
        if since.replace(Instant::now()).is_none() {
            tracing::info!(
                "the agent may not get {}, so a workload is told by the pod's labels alone; deploy/ gives this right",
                resource(kind)
            );
        }
    }
}

/// What stands above: the owner's own controller, or the owner itself. One that was replaced under the same name is
/// another one.
fn topmost_workload(owner: &Owner, meta: &ObjectMeta) -> Workload {
    let kind = match owner.kind {
        OwnerKind::ReplicaSet => "ReplicaSet",
        OwnerKind::Job => "Job",
    };
    controller(meta)
        .filter(|_controller| meta.uid.as_deref() == Some(owner.uid.as_str()))
        .map_or_else(
            || workload(kind, &owner.name),
            |controller| workload(&controller.kind, &controller.name),
        )
}

const fn resource(kind: OwnerKind) -> &'static str {
    match kind {
        OwnerKind::ReplicaSet => "replicasets",
        OwnerKind::Job => "jobs",
    }
}

const fn kind_index(kind: OwnerKind) -> usize {
    match kind {
        OwnerKind::ReplicaSet => 0,
        OwnerKind::Job => 1,
    }
}
