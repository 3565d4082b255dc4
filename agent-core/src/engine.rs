//! The owner of all state: what containers there are, and what is known of each.

use std::collections::VecDeque;

use crate::config::{Config, ConfigError};
use crate::input::Input;
use crate::output::Output;
use crate::time::Timestamp;

/// The engine: told things by [`Self::handle`], asked for what it says by [`Self::poll_output`].
#[derive(Debug)]
pub struct Engine {
    config: Config,
    outputs: VecDeque<Output>,
}

impl Engine {
    /// An engine that knows of no container yet.
    ///
    /// # Errors
    /// A [`ConfigError`] if a glob or a limit cannot be used.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            config,
            outputs: VecDeque::new(),
        })
    }

    /// Tells the engine something. Drain [`Self::poll_output`] afterwards.
    pub fn handle(&mut self, input: Input, now: Timestamp) {
        let _ = (&self.config, input, now);
    }

    /// When to call [`Self::handle_timeout`], if nothing is handled before.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// Tells the engine that it is `now`. Drain [`Self::poll_output`] afterwards.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        let _ = now;
    }

    /// The next thing that the engine says.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}
