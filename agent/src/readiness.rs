//! Whether the agent measures yet and all there is (`/readyz`), and whether it still does (`/livez`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agent_core::time::Timestamp;

use crate::agent_event::AgentEvent;

/// The event loop turns once a second; without a turn for this long it hangs.
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// What is reached. Shared between the event loop and HTTP.
#[derive(Debug, Default)]
pub struct Readiness {
    attached: AtomicBool,
    scanned: AtomicBool,
    /// Last turn of the event loop; 0 before the first.
    turned_at: AtomicU64,
    /// Tables without room: what comes is not measured.
    full: Mutex<Vec<&'static str>>,
}

impl Readiness {
    /// Of what does not measure: nothing is awaited.
    pub fn reached() -> Self {
        Self {
            attached: true.into(),
            scanned: true.into(),
            ..Self::default()
        }
    }

    /// Takes note of what the pipeline said of itself.
    pub fn record(&self, event: &AgentEvent<'_>) {
        match event {
            AgentEvent::Attached(programs) => {
                let all = programs
                    .iter()
                    .all(|state| state.refused.is_none() || !state.program.required);
                self.attached.store(all, Ordering::Relaxed);
            }
            AgentEvent::Scanned { .. } => self.scanned.store(true, Ordering::Relaxed),
            AgentEvent::Full(tables) => {
                *self.full.lock().unwrap_or_else(PoisonError::into_inner) = tables.to_vec();
            }
            AgentEvent::Started(_)
            | AgentEvent::TcpFeatures(_)
            | AgentEvent::Counted(_)
            | AgentEvent::ProgramsRan(_)
            | AgentEvent::Undecodable(_)
            | AgentEvent::UpdateFailed(_)
            | AgentEvent::Journal { .. }
            | AgentEvent::Watching { .. }
            | AgentEvent::ApiFailed { .. }
            | AgentEvent::PodsKnown(_)
            | AgentEvent::EventWritten(_) => {}
        }
    }

    /// The event loop turned.
    pub fn record_turn(&self, now: Timestamp) {
        self.turned_at.store(now.0, Ordering::Relaxed);
    }

    /// What readiness still waits for, in words; `None` when ready.
    pub fn awaited(&self) -> Option<String> {
        let full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let room = format!("room for more containers (full: {})", full.join(", "));
        let has_room = AtomicBool::new(full.is_empty());
        let awaited: Vec<&str> = [
            (&self.attached, "the required probes to be attached"),
            (&self.scanned, "the first scan of the cgroup tree to end"),
            (&has_room, &room),
        ]
        .into_iter()
        .filter(|(reached, _)| !reached.load(Ordering::Relaxed))
        .map(|(_, what)| what)
        .collect();
        (!awaited.is_empty()).then(|| format!("waiting for {}", awaited.join(" and ")))
    }

    /// For how long the event loop has hung, in words; `None` when it turns or has not begun.
    pub fn stalled(&self, now: Timestamp) -> Option<String> {
        let turned_at = self.turned_at.load(Ordering::Relaxed);
        let idle = now.since(Timestamp(turned_at));
        (turned_at != 0 && idle > STALLED_AFTER)
            .then(|| format!("the event loop has not turned for {} s", idle.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_after_the_probes_and_the_first_scan() {
        let readiness = Readiness::default();
        assert!(readiness.awaited().unwrap().contains("probes"));
        readiness.record(&AgentEvent::Attached(&[]));
        assert_eq!(
            readiness.awaited().unwrap(),
            "waiting for the first scan of the cgroup tree to end"
        );
        readiness.record(&AgentEvent::Scanned {
            took: Duration::ZERO,
            cgroups: 0,
        });
        assert_eq!(readiness.awaited(), None);
    }

    #[test]
    fn not_ready_while_there_is_no_room() {
        let readiness = Readiness::reached();
        readiness.record(&AgentEvent::Full(&["containers"]));
        assert_eq!(
            readiness.awaited().unwrap(),
            "waiting for room for more containers (full: containers)"
        );
        readiness.record(&AgentEvent::Full(&[]));
        assert_eq!(readiness.awaited(), None);
    }

    #[test]
    fn an_event_loop_that_hangs_is_not_alive() {
        let readiness = Readiness::default();
        let at = |seconds: u64| Timestamp(seconds * 1_000_000_000);
        assert_eq!(readiness.stalled(at(1000)), None);
        readiness.record_turn(at(1000));
        assert_eq!(readiness.stalled(at(1029)), None);
        assert!(readiness.stalled(at(1031)).unwrap().contains("31 s"));
    }
}
