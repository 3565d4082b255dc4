//! The kernel side as the agent sees it: loaded, attached, and its maps and ring buffer in parts
//! that can be given to different owners.
//!
//! * `btf`: where the running kernel keeps what the probes read; `layout`: that, for the globals and hooks that there
//!   are. `object`: the embedded probes.
//! * `load`: puts both together and attaches. `failure`: why it could not, and the way out. `tcp_features`: what that leaves
//!   to be seen of connections.
//! * [`Tracker`] tells the kernel side whom to look at; [`Sockets`] where in its life a container is, and hands out what
//!   was counted of its connections; [`Counters`] tells what the kernel side counted of itself;
//!   [`Ring`] hands out its records; [`Programs`] keeps it attached.

mod btf;
mod endpoints;
mod failure;
mod layout;
mod load;
mod log;
mod maps;
mod memory;
mod object;
mod parents;
mod ring;
mod shares;
mod sockets;
mod survey;
mod tcp_features;

pub use btf::BtfError;
pub use failure::LoadError;
pub use load::{Options, Probes, ProgramState, Programs, RunStats};
pub use log::ProbeLog;
pub use maps::{Counters, Counts, Signals, TrackError, Tracker};
pub use ring::Ring;
pub use sockets::{PhaseRules, Sockets};
pub use survey::{Survey, check_built, survey};
pub use tcp_features::TcpFeature;
