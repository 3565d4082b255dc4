//! The shell around `agent-core`: loads the probes, reads the ring buffer and the cgroup tree, gives
//! inputs to the engine and carries out what it says.
//!
//! # Layout, along the way of the data
//!
//! * [`cli`]: the command line, its configuration file, its manual. [`subjects`]: what is to be watched. [`failure`]: what ends a run.
//! * [`probes`]: loads and attaches the kernel side and reads its ring buffer.
//! * [`cgroups`], [`processes`], [`clock`]: the other sources of facts.
//! * [`kubernetes`]: pods and what the kubelet says of them in, Events on pods out.
//! * [`driver`]: the owner of the engine. [`pipeline`]: feeds it from this machine and executes its effects.
//!   [`sink`]: who listens to it.
//! * [`journal`]: records what the engine is told. [`replay`]: tells it again.
//! * [`agent_event`]: what the pipeline says of itself. [`metrics`], [`recent`], [`readiness`], [`agent_health`]: what is made of all that is said.
//! * `stop`: the signals that end it. `named_file`: the files that its options name. `open_files`: how many it may have open.
//! * [`run`]: the agent. [`http`]: its server. [`telemetry`]: its log.
//! * [`timeline`]: a report as a person reads it. [`watch`]: shows them live. [`terminal`]: what they are drawn on.
//! * [`client`]: asks a running agent. [`explain`]: one termination, fact by fact.
//! * [`check`]: whether this machine can be measured.
#![forbid(unsafe_code)]

pub mod agent_event;
pub mod agent_health;
pub mod cgroups;
pub mod check;
pub mod cli;
pub mod client;
pub mod clock;
pub mod driver;
pub mod explain;
pub mod failure;
pub mod http;
pub mod journal;
pub mod kubernetes;
pub mod metrics;
mod named_file;
pub mod node_addresses;
mod open_files;
pub mod pipeline;
pub mod probes;
pub mod process_limit;
pub mod processes;
pub mod readiness;
pub mod recent;
pub mod remaining;
pub mod replay;
pub mod run;
mod shares;
pub mod sink;
mod stop;
pub mod subjects;
pub mod telemetry;
pub mod terminal;
pub mod timeline;
pub mod watch;
