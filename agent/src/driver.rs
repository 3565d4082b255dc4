//! The owner of the engine: tells it things in the order in which they are to be told, records them, hands out what it
//! says and gives back its effects. Knows nothing of the kernel, so that a journal can drive it as well.

use std::collections::VecDeque;

use agent_core::config::{Config, ConfigError};
use agent_core::engine::Engine;
use agent_core::input::Input;
use agent_core::output::{DropReason, Effect, Output};
use agent_core::time::Timestamp;

use crate::journal::Journal;
use crate::sink::Sink;

/// The engine, and its effects that nobody has executed yet.
#[derive(Debug)]
pub struct Driver {
    engine: Engine,
    journal: Option<Journal>,
    effects: VecDeque<Effect>,
    /// When the engine was last told anything; its time never runs back.
    last: Timestamp,
    /// How often a container was not tracked because of a share.
    beyond_share: u64,
}

impl Driver {
    /// An engine that knows nothing yet.
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            engine: Engine::new(config)?,
            journal: None,
            effects: VecDeque::new(),
            last: Timestamp::default(),
            beyond_share: 0,
        })
    }

    /// Records from now on what the engine is told.
    pub fn record_into(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// Tells the engine something, after the timeouts that are due: so a replay comes to the same. For a record `now` is
    /// the kernel's time of it, so that it makes no difference how late it was read.
    pub fn handle_input(&mut self, input: Input, now: Timestamp, sink: &mut impl Sink) {
        self.run_timeouts(now, sink);
        let now = now.max(self.last);
        self.last = now;
        if let Some(journal) = &mut self.journal {
            journal.record(&input, now);
        }
        self.engine.handle(input, now);
        self.hand_out(sink, now);
    }

    /// Tells the engine what was looked up, or that records were lost. A timeout that is due is left for
    /// [`Self::run_timeouts`]: what the kernel recorded before it may not have been read yet.
    pub fn tell_found(&mut self, input: Input, now: Timestamp, sink: &mut impl Sink) {
        let before_timeout = self
            .timeout()
            .map_or(now, |due| now.min(Timestamp(due.0.saturating_sub(1))));
        self.handle_input(input, before_timeout, sink);
    }

    /// Calls the timeouts that are due at `now`, each at its own time.
    pub fn run_timeouts(&mut self, now: Timestamp, sink: &mut impl Sink) {
        while self.run_timeout(now, sink) {}
    }

    /// Calls the first timeout that is due at `now`, at its own time; says whether there was one. What the engine then
    /// effects can be answered before the next: however late both are, the second does not come too early.
    pub fn run_timeout(&mut self, now: Timestamp, sink: &mut impl Sink) -> bool {
        let Some(due) = self.engine.poll_timeout().filter(|due| *due <= now) else {
            return false;
        };
        self.engine.handle_timeout(due);
        self.last = self.last.max(due);
        self.hand_out(sink, due);
        true
    }

    /// When to call [`Self::run_timeouts`], if nothing is told before.
    pub fn timeout(&self) -> Option<Timestamp> {
        self.engine.poll_timeout()
    }

    /// How often a container was not tracked because those beside it or around it have their share of the table.
    pub const fn beyond_share(&self) -> u64 {
        self.beyond_share
    }

    /// The oldest effect that nobody has executed.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The journal, if there is one.
    pub const fn journal(&mut self) -> Option<&mut Journal> {
        self.journal.as_mut()
    }

    fn hand_out(&mut self, sink: &mut impl Sink, now: Timestamp) {
        while let Some(output) = self.engine.poll_output() {
            sink.output(&output, now);
            match output {
                Output::Effect(effect) => self.effects.push_back(effect),
                Output::Dropped {
                    reason: DropReason::ContainersShare,
                    ..
                } => self.beyond_share += 1,
                Output::Progress(_)
                | Output::Finished(_)
                | Output::Withdrawn { .. }
                | Output::Dropped { .. }
                | Output::Unreported { .. }
                | Output::Resets { .. }
                | Output::Tracked { .. } => {}
            }
        }
    }
}
