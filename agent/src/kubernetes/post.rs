//! Kubernetes Events on pods for what went wrong, so that `kubectl describe pod` shows it. Written from a bounded queue
//! on the API thread, within a rate; what is too much is dropped and counted.

mod limit;
mod note;

use std::time::{Duration, Instant};

use agent_core::report::Report;
use kube::runtime::events::{Recorder, Reporter};
use tokio::sync::mpsc;

use self::limit::Limits;
use self::note::pod_events;

pub(super) use self::note::PodEvent;
use super::access::Access;
use super::facts::ApiUpdates;
use super::failure::{Failure, Reason};
use super::follow::Backoff;
use crate::agent_event::{AgentEvent, EventFate};

/// Events that may wait to be written.
const WAITING: usize = 256;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Attempts for one Event while the API server cannot be reached.
const ATTEMPTS: u32 = 4;

/// Takes reports in; never blocks.
#[derive(Debug)]
pub struct EventRecorder(mpsc::Sender<PodEvent>);

impl EventRecorder {
    pub(super) fn channel() -> (Self, mpsc::Receiver<PodEvent>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Queues an Event for each finding of a report that is certain enough; returns how many found no room.
    pub fn queue_events(&self, report: &Report) -> usize {
        pod_events(report)
            .into_iter()
            // Where the queue is closed, Events were switched off, which was said.
            .filter_map(|note| self.0.try_send(note).err())
            .filter(|error| matches!(error, mpsc::error::TrySendError::Full(_)))
            .count()
    }
}

/// Writes until nobody gives any more, or RBAC forbids it.
pub(super) async fn deliver(
    access: &Access,
    mut queue: mpsc::Receiver<PodEvent>,
    facts: &ApiUpdates,
) {
    let mut limits = Limits::new(Instant::now());
    let mut writer = Writer {
        access,
        recorder: None,
        pauses: Backoff::new(),
    };
    while let Some(note) = queue.recv().await {
        if !limits.try_acquire(&note.pod_uid, Instant::now()) {
            tracing::debug!(
                pod = note.pod,
                reason = note.reason,
                "too many Events: dropped"
            );
            facts
                .send_agent_event(AgentEvent::EventWritten(EventFate::Dropped))
                .await;
            continue;
        }
        let Err(failure) = writer.write(&note).await else {
            facts
                .send_agent_event(AgentEvent::EventWritten(EventFate::Sent))
                .await;
            continue;
        };
        facts
            .send_agent_event(AgentEvent::EventWritten(EventFate::Failed))
            .await;
        facts
            .send_agent_event(AgentEvent::ApiFailed {
                resource: "events",
                reason: failure.reason.name(),
            })
            .await;
        if failure.reason == Reason::Forbidden && is_by_rbac(&failure) {
            tracing::warn!(
                said = failure.said,
                "the agent may not create Events, so it writes none from now on; deploy/ gives this right, --no-kubernetes-events says that none are wanted"
            );
            return;
        }
        tracing::debug!(
            reason = failure.reason.name(),
            said = failure.said,
            "an Event could not be written"
        );
    }
}

/// Not because the namespace is being deleted, or a quota is used up, which the API server forbids as well.
fn is_by_rbac(failure: &Failure) -> bool {
    failure.said.contains("cannot create resource")
}

/// The library's recorder counts an Event up that says the same of the same container as one of the last minutes.
struct Writer<'a> {
    access: &'a Access,
    recorder: Option<Recorder>,
    pauses: Backoff,
}

impl Writer<'_> {
    async fn write(&mut self, note: &PodEvent) -> Result<(), Failure> {
        let mut attempt = 1;
        loop {
            let Err(failure) = self.attempt(note).await else {
                self.pauses.answered();
                return Ok(());
            };
            if attempt >= ATTEMPTS || !failure.reason.is_transient() {
                return Err(failure);
            }
            attempt += 1;
            self.recorder = None;
            self.pauses.wait_before_retry(failure.reason).await;
        }
    }

    async fn attempt(&mut self, note: &PodEvent) -> Result<(), Failure> {
        let recorder = if let Some(recorder) = &self.recorder {
            recorder.clone()
        } else {
            let reporter = Reporter {
                controller: "gracewatch".to_owned(),
                instance: Some(self.access.node.clone()),
            };
            let client = self.access.client().await.map_err(Failure::credentials)?;
            self.recorder
                .insert(Recorder::new(client, reporter))
                .clone()
        };
        let (event, regarding) = (note.to_api_event(), note.regarding());
        match tokio::time::timeout(PATIENCE, recorder.publish(&event, &regarding)).await {
            Ok(published) => published.map_err(|error| Failure::from(&error)),
            Err(_elapsed) => Err(Failure::no_answer()),
        }
    }
}
