//! The engine's tests: whole terminations, told fact by fact.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks one variant and fails on all others"
)]

mod arrivals;
mod asking;
mod connections;
mod counting;
mod crowds;
mod directions;
mod exclusions;
mod exits;
mod findings;
mod following;
mod hiding;
mod hindsight;
mod hooks;
mod kinds_of_faults;
mod lagging;
mod network;
mod outcomes;
mod plot;
mod pod_plot;
mod pods;
mod properties;
mod restarts;
mod scene;
mod shares;
mod sharing;
mod stage;
mod unprepared;
mod unseen;
mod variants;
mod which_signal;
mod whose;
