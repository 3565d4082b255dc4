//! Who listens to the engine: what `run` and `watch` each make of it.

use agent_core::output::Output;
use agent_core::time::Timestamp;

use crate::vital::Vital;

/// Takes what the engine says, on the pipeline's own thread: it must not block.
pub trait Sink {
    /// The engine said this at this time. Everything comes here, wishes included.
    fn output(&mut self, output: &Output, now: Timestamp);

    /// The pipeline said this of itself.
    fn vital(&mut self, _vital: &Vital<'_>) {}

    /// The event loop turns: called about once a second.
    fn tick(&mut self, _now: Timestamp) {}
}
