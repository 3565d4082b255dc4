//! What crosses crates: a rig that makes containers and terminates them as a runtime and a kubelet
//! would, and the tools to compare what the agent says with what really happened.
#![forbid(unsafe_code)]

pub mod beside;
#[cfg(test)]
mod fuzzed;
pub mod harness;
mod ignored_signals;
pub mod in_process;
pub mod process_status;
pub mod replay;
pub mod rig;
pub mod test_program;
pub mod whole;
