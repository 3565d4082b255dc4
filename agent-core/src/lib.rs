//! The decisions of Gracewatch: inputs and a time go in, outputs come out.
//!
//! No I/O, no clock, no randomness, no threads: the same inputs at the same times give the same
//! outputs, byte for byte. So every strange case is a file (see [`journal`]) and every bug a test.
//!
//! # Layout, in reading order
//!
//! * [`time`]: nanoseconds since boot, the only time there is here.
//! * [`signal`]: names of signals.
//! * [`event`]: what the kernel side tells, decoded. [`decode`]: the bytes it comes from.
//! * [`connection`]: what is counted of TCP connections.
//! * [`input`]: everything the engine can be told. [`output`]: everything it says.
//! * [`pod`]: what Kubernetes knows of a pod. [`remaining`]: what is left of a container after its main process.
//! * [`report`]: one finished termination, with the facts it was derived from.
//! * [`attribution`]: which cgroups are subjects. [`share`]: how they share bounded tables.
//! * [`engine`]: the owner of all state. Inside: `container`, `process` and `pod_facts` keep the facts, `spec` says what
//!   a container is to be stopped with, `termination` derives one termination from them and, with `findings`, says what it
//!   was, `hook` knows the preStop command again; `sockets` keeps what was counted of connections,
//!   `traffic` says what of it belongs to the termination, `advice` what all those of a workload advise.
//! * [`journal`]: inputs as lines of JSON, and back.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod attribution;
pub mod config;
pub mod connection;
pub mod decode;
pub mod engine;
pub mod event;
pub mod input;
pub mod journal;
pub mod output;
pub mod pod;
pub mod remaining;
pub mod report;
pub mod share;
pub mod signal;
pub mod time;

mod advice;
mod command_line;
mod container;
mod deliveries;
mod findings;
mod hook;
mod losses;
mod pod_facts;
mod process;
mod purse;
mod signals;
mod sockets;
mod spec;
mod stop_signals;
mod termination;
mod traffic;
