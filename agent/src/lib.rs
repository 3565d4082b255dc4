//! The shell around `agent-core`: loads the probes, reads the ring buffer and the cgroup tree, gives
//! inputs to the engine and carries out what it says.
#![forbid(unsafe_code)]

pub mod cgroups;
pub mod clock;
pub mod failure;
pub mod pipeline;
pub mod probes;
pub mod processes;
pub mod subjects;
pub mod telemetry;
pub mod timeline;
