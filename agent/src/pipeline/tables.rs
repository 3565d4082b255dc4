//! Whether the tables that hold what is tracked are full: then what comes next is not measured, and the agent is not ready.

use agent_core::time::Timestamp;

use crate::agent_event::AgentEvent;
use crate::pipeline::effects::WARN_INTERVAL;
use crate::probes::{Counts, Tracker};
use crate::sink::Sink;

/// The table of containers, which is the engine's.
const CONTAINERS: &str = "containers";

/// Which tables are full.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Whether a map of the kernel side was found full. Counting its entries takes a walk over all of them.
    suspected: bool,
    /// Insertions by the kernel side that found no room.
    refused: u64,
    full: Vec<&'static str>,
    /// Containers beyond a share when that was said last, and when that was.
    beyond_share: u64,
    warned_at: Option<Timestamp>,
}

impl Tables {
    /// A map of the kernel side was found full.
    pub(super) const fn suspect(&mut self) {
        self.suspected = true;
    }

    /// Whether any of them is full.
    pub(super) const fn are_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// Takes note of what the kernel side counted.
    pub(super) fn record_counts(&mut self, counts: &Counts) {
        let refused = counts
            .map_full
            .iter()
            .filter(|(full, _)| full.is_of_tracking());
        let refused = refused.map(|(_, count)| count).sum();
        self.suspected |= refused > self.refused;
        self.refused = refused;
    }

    /// Says now and then that containers are beyond the share of the container around them, or of the place that they lie in. The
    /// agent measures all others, so it stays ready.
    pub(super) fn look_at_shares(&mut self, beyond: u64, now: Timestamp) {
        let is_soon = self
            .warned_at
            .is_some_and(|at| now.since(at) < WARN_INTERVAL);
        if beyond == self.beyond_share || is_soon {
            return;
        }
        tracing::warn!(
            tries = beyond - self.beyond_share,
            "there are more containers in one container, or in one place, than its share of the table: the last ones are not measured"
        );
        self.beyond_share = beyond;
        self.warned_at = Some(now);
    }

    /// Looks at the tables, and says it if others are full than before.
    pub(super) fn check_full_tables(
        &mut self,
        tracker: &Tracker,
        containers: (usize, usize),
        sink: &mut impl Sink,
    ) {
        let mut full = Vec::new();
        let (tracked, most) = containers;
        if tracked >= most {
            full.push(CONTAINERS);
        }
        if self.suspected {
            let maps = tracker.full_maps();
            self.suspected = !maps.is_empty();
            full.extend(maps);
        }
        if full == self.full {
            return;
        }
        if full.is_empty() {
            tracing::info!("there is room again; what comes from now on is measured");
        } else {
            tracing::warn!(
                tables = full.join(", "),
                "no room for more containers: what comes from now on is not measured, and the agent is not ready"
            );
        }
        sink.record_agent_event(&AgentEvent::Full(&full));
        self.full = full;
    }
}
