//! From this machine to the engine and back: the composition root that `run` and `watch` share.

use std::path::PathBuf;

use agent_core::config::Config;
use agent_core::output::Output;
use agent_core::time::Timestamp;

/// What a pipeline is started with.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// The engine's configuration, of [`crate::subjects::SubjectArgs::config`].
    pub config: Config,
    /// Where the cgroup v2 tree is mounted; found if it is not given.
    pub cgroup_root: Option<PathBuf>,
    /// Size of the ring buffer in bytes.
    pub ring_bytes: u32,
}

/// Takes what the engine says, on the pipeline's own thread: it must not block.
pub trait Sink {
    /// The engine said this at this time. Everything comes here, wishes included.
    fn output(&mut self, output: &Output, now: Timestamp);
}
