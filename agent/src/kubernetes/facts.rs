//! What the API thread tells the pipeline, through a bounded queue: where that is full the thread waits, so that nothing
//! is lost.

use agent_core::input::Input;
use tokio::sync::mpsc;

use crate::agent_event::AgentEvent;

/// How many facts may wait for the pipeline.
const WAITING: usize = 1024;

/// One fact.
#[derive(Debug)]
pub enum ApiUpdate {
    /// For the engine.
    Input(Box<Input>),
    /// About the agent itself.
    AgentEvent(AgentEvent<'static>),
}

/// The sending end.
#[derive(Clone, Debug)]
pub(super) struct ApiUpdates(mpsc::Sender<ApiUpdate>);

impl ApiUpdates {
    pub(super) fn channel() -> (Self, mpsc::Receiver<ApiUpdate>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    pub(super) async fn send_input(&self, input: Input) {
        self.send_update(ApiUpdate::Input(Box::new(input))).await;
    }

    pub(super) async fn send_agent_event(&self, event: AgentEvent<'static>) {
        self.send_update(ApiUpdate::AgentEvent(event)).await;
    }

    async fn send_update(&self, fact: ApiUpdate) {
        // Nobody listens any more when the agent stops.
        if let Err(error) = self.0.send(fact).await {
            tracing::trace!(%error, "a fact came after the end");
        }
    }
}
