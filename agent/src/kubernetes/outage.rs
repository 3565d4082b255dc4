//! What is said of a watch that fails: once when it is an outage, once when that is over, never for each attempt.

use std::time::Instant;

use super::facts::ApiUpdates;
use super::failure::{Failure, Reason};
use crate::agent_event::AgentEvent;

/// How a watch stands.
#[derive(Debug)]
pub(super) struct Outage {
    resource: &'static str,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing was tried yet.
    Unknown,
    /// It delivers.
    Connected,
    /// It failed so often in a row since then, the last time for this reason.
    Failing {
        since: Instant,
        attempts: u32,
        reason: Reason,
    },
}

impl Outage {
    pub(super) const fn new(resource: &'static str) -> Self {
        Self {
            resource,
            state: State::Unknown,
        }
    }

    /// An attempt failed. The first failure may be a connection that was just closed; the second in a row, or one that
    /// trying again does not mend, is worth a line of the log.
    pub(super) async fn failed(&mut self, failure: &Failure, facts: &ApiUpdates) {
        let resource = self.resource;
        let reason = failure.reason;
        facts
            .send_agent_event(AgentEvent::ApiFailed {
                resource,
                reason: reason.name(),
            })
            .await;
        tracing::debug!(
            resource,
            reason = reason.name(),
            said = failure.said,
            "a request to the Kubernetes API failed"
        );
        if reason == Reason::Gone {
            return;
        }
        let (since, before, same) = match self.state {
            State::Unknown | State::Connected => {
                facts
                    .send_agent_event(AgentEvent::Watching {
                        resource,
                        connected: false,
                    })
                    .await;
                (Instant::now(), 0, false)
            }
            State::Failing {
                since,
                attempts,
                reason: last,
            } => (since, attempts, last == reason),
        };
        let attempts = before.saturating_add(1);
        let due = if reason.is_transient() {
            attempts == 2
        } else {
            attempts == 1
        };
        if due || (before >= 2 && !same) {
            tracing::warn!(
                reason = reason.name(),
                said = failure.said,
                "the watch of {resource} is interrupted, measuring goes on: {}",
                reason.remedy()
            );
        }
        self.state = State::Failing {
            since,
            attempts,
            reason,
        };
    }

    /// The API server answered well.
    pub(super) async fn record_recovery(&mut self, facts: &ApiUpdates) {
        let resource = self.resource;
        match self.state {
            State::Connected => return,
            State::Unknown => tracing::debug!(resource, "the watch began"),
            State::Failing {
                since, attempts, ..
            } if attempts >= 2 => {
                tracing::info!(
                    seconds = since.elapsed().as_secs(),
                    "the watch of {resource} goes on"
                );
            }
            State::Failing { .. } => {}
        }
        self.state = State::Connected;
        facts
            .send_agent_event(AgentEvent::Watching {
                resource,
                connected: true,
            })
            .await;
    }
}
