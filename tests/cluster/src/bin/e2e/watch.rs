//! What the API server says of the tests' pods and of the agent's, kept as it was last said: also of pods that are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::TryStreamExt as _;
use gracewatch_cluster::jail::Interrupted;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::api::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use tokio::runtime::Runtime;

use crate::place::Place;

/// The label of every pod that the scenarios make.
pub(crate) const LABEL: &str = "gracewatch-e2e";
const OURS: &str = "gracewatch-e2e=yes";
const AGENTS: &str = "app.kubernetes.io/name=gracewatch";
const POLL: Duration = Duration::from_millis(50);

/// Two watches, by the pods' labels.
#[derive(Debug)]
pub(crate) struct Watch {
    pods: Arc<Mutex<Pods>>,
    interrupted: Option<Interrupted>,
    /// Its threads watch for as long as it lives.
    _runtime: Runtime,
}

/// Pods by UID.
#[derive(Debug, Default)]
struct Pods {
    known: BTreeMap<String, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    pod: Pod,
    gone: bool,
    /// The labels of its watch.
    by: &'static str,
}

impl Watch {
    pub(crate) fn start(place: &Place) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        let client = runtime.block_on(place.client())?;
        let pods = Arc::new(Mutex::new(Pods::default()));
        for labels in [OURS, AGENTS] {
            let config = watcher::Config::default().labels(labels);
            let stream = watcher::watcher(Api::<Pod>::all(client.clone()), config);
            runtime.spawn(follow(labels, stream.default_backoff(), Arc::clone(&pods)));
        }
        Ok(Self {
            pods,
            interrupted: place.own_cluster().map(|own| own.interrupted.clone()),
            _runtime: runtime,
        })
    }

    /// Waits for a pod that `wanted` wants; gone ones are given to it as well.
    pub(crate) fn wait_for_pod(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Pod, bool) -> bool,
    ) -> Result<Pod> {
        let started = Instant::now();
        loop {
            let found = self.find_pods(&wanted).pop();
            if let Some(pod) = found {
                return Ok(pod);
            }
            self.check_stopped()?;
            ensure!(
                started.elapsed() < limit,
                "{what} did not come within {} s",
                limit.as_secs()
            );
            sleep(POLL);
        }
    }

    /// Fails once somebody wants the program to end, so that nobody waits for what will not come.
    pub(crate) fn check_stopped(&self) -> Result<()> {
        let ended = self.interrupted.as_ref().is_some_and(Interrupted::is_set);
        ensure!(!ended, "interrupted");
        Ok(())
    }

    /// All pods that `wanted` wants.
    pub(crate) fn find_pods(&self, wanted: impl Fn(&Pod, bool) -> bool) -> Vec<Pod> {
        let pods = lock_pods(&self.pods);
        pods.known
            .values()
            .filter(|known| wanted(&known.pod, known.gone))
            .map(|known| known.pod.clone())
            .collect()
    }
}

/// Takes down what a watch says; it reconnects by itself, and says everything again then.
async fn follow(
    labels: &'static str,
    stream: impl futures_util::Stream<Item = watcher::Result<Event<Pod>>>,
    pods: Arc<Mutex<Pods>>,
) {
    let mut stream = std::pin::pin!(stream);
    let mut listed = BTreeSet::new();
    loop {
        match stream.try_next().await {
            Ok(Some(Event::Apply(pod))) => lock_pods(&pods).update_pod(labels, pod, false),
            Ok(Some(Event::Delete(pod))) => lock_pods(&pods).update_pod(labels, pod, true),
            Ok(Some(Event::Init)) => listed.clear(),
            Ok(Some(Event::InitApply(pod))) => {
                listed.extend(pod.metadata.uid.clone());
                lock_pods(&pods).update_pod(labels, pod, false);
            }
            Ok(Some(Event::InitDone)) => lock_pods(&pods).keep_only(labels, &listed),
            // The next one is the new beginning.
            Err(_broken) => {}
            Ok(None) => return,
        }
    }
}

impl Pods {
    fn update_pod(&mut self, by: &'static str, pod: Pod, gone: bool) {
        if let Some(uid) = pod.metadata.uid.clone() {
            self.known.insert(uid, Known { pod, gone, by });
        }
    }

    /// After a new list: what is not on it went while nobody watched.
    fn keep_only(&mut self, by: &'static str, listed: &BTreeSet<String>) {
        for (uid, known) in &mut self.known {
            known.gone |= known.by == by && !listed.contains(uid);
        }
    }
}

fn lock_pods(pods: &Mutex<Pods>) -> MutexGuard<'_, Pods> {
    pods.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the pod's condition `Ready` is true.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The status of a container of any kind.
pub(crate) fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    [
        &status.container_statuses,
        &status.init_container_statuses,
        &status.ephemeral_container_statuses,
    ]
    .into_iter()
    .flatten()
    .flatten()
    .find(|status| status.name == name)
}

/// How the container with this id ended: the state now, or, after a restart, the one before.
pub(crate) fn terminated<'a>(
    status: &'a ContainerStatus,
    id: &str,
) -> Option<&'a ContainerStateTerminated> {
    let is_it = |ended: &&ContainerStateTerminated| {
        ended
            .container_id
            .as_ref()
            .is_some_and(|of| of.ends_with(id))
    };
    [&status.state, &status.last_state]
        .into_iter()
        .filter_map(|state| state.as_ref()?.terminated.as_ref())
        .find(is_it)
}

/// Whether another container than the one with this id runs there, and nothing is said of any before it.
pub(crate) fn is_another_without_past(status: &ContainerStatus, id: &str) -> bool {
    let is_another = status
        .container_id
        .as_ref()
        .is_some_and(|now| !now.ends_with(id));
    let before = status.last_state.as_ref();
    is_another && before.is_none_or(|before| before.terminated.is_none())
}
