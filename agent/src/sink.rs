//! Who listens to the engine: what `run` and `watch` each make of it.

use agent_core::output::Output;
use agent_core::time::Timestamp;

use crate::agent_event::AgentEvent;

/// Takes what the engine says, on the pipeline's own thread: it must not block.
pub trait Sink {
    /// The engine said this at this time. Everything comes here, effects included.
    fn output(&mut self, output: &Output, now: Timestamp);

    /// The pipeline said this of itself.
    fn record_agent_event(&mut self, _event: &AgentEvent<'_>) {}

    /// The event loop turns: called about once a second.
    fn tick(&mut self, _now: Timestamp) {}
}
