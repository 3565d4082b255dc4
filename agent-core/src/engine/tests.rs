//! The engine's tests: whole terminations, told fact by fact.

mod exclusions;
mod findings;
mod following;
mod outcomes;
mod scene;
