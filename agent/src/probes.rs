//! The kernel side as the agent sees it: loaded, attached, and its maps and ring buffer in parts
//! that can be given to different owners.
//!
//! * `btf`: where the running kernel keeps what the probes read. `object`: the embedded probes.
//! * `load`: puts both together and attaches. `failure`: why it could not, and the way out.
//! * [`Tracker`] tells the kernel side whom to look at; [`Counters`] tells what it counted;
//!   [`Ring`] hands out its records; [`Programs`] keeps it attached.

mod btf;
mod endpoints;
mod failure;
mod load;
mod log;
mod maps;
mod memory;
mod object;
mod ring;
mod survey;

pub use btf::BtfError;
pub use failure::LoadError;
pub use load::{Options, Probes, ProgramState, Programs, RunStats};
pub use log::ProbeLog;
pub use maps::{Counters, Counts, TrackError, Tracker};
pub use ring::Ring;
pub use survey::{Survey, built, survey};
