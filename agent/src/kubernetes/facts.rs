//! What the API thread tells the pipeline, through a bounded queue: where that is full the thread waits, so that nothing
//! is lost.

use agent_core::input::Input;
use tokio::sync::mpsc;

use crate::vital::Vital;

/// How many facts may wait for the pipeline.
const WAITING: usize = 1024;

/// One fact.
#[derive(Debug)]
pub enum Fact {
    /// For the engine.
    Input(Box<Input>),
    /// About the agent itself.
    Vital(Vital<'static>),
}

/// The sending end.
#[derive(Clone, Debug)]
pub(super) struct Facts(mpsc::Sender<Fact>);

impl Facts {
    pub(super) fn queue() -> (Self, mpsc::Receiver<Fact>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    pub(super) async fn input(&self, input: Input) {
        self.send(Fact::Input(Box::new(input))).await;
    }

    pub(super) async fn vital(&self, vital: Vital<'static>) {
        self.send(Fact::Vital(vital)).await;
    }

    async fn send(&self, fact: Fact) {
        // Nobody listens any more when the agent stops.
        if let Err(error) = self.0.send(fact).await {
            tracing::trace!(%error, "a fact came after the end");
        }
    }
}
