//! Signals to processes of a container that are not watched: the program's own children. The kernel side tells a few of them
//! ([`agent_common::map::Budget`]) and counts the rest.

use crate::event::{Disposition, SignalSent, Tgid};
use crate::process::SignalFact;
use crate::signal::Signal;
use crate::time::Timestamp;

/// Signals that are kept of one container, of SIGKILLs and of others each: the newest.
const KEPT_MAX: usize = 32;

/// One signal to a process that is not watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InnerSignal {
    pub(crate) target: Tgid,
    /// The target's real parent.
    pub(crate) parent: Tgid,
    /// What the target had set for the signal that a watched process had got last from outside.
    pub(crate) last_outside: Option<Disposition>,
    pub(crate) fact: SignalFact,
}

impl InnerSignal {
    pub(super) fn new(sent: &SignalSent, at: Timestamp, outside: bool) -> Self {
        Self {
            target: sent.target.tgid,
            parent: sent.target.parent_tgid,
            last_outside: sent.last_outside,
            fact: SignalFact::new(sent, at, outside),
        }
    }
}

/// Signals to processes that are not watched, by time.
#[derive(Clone, Debug, Default)]
pub(crate) struct InnerSignals {
    pub(crate) kills: Vec<InnerSignal>,
    others: Vec<InnerSignal>,
}

impl InnerSignals {
    pub(super) fn add(&mut self, signal: InnerSignal) {
        let all = if signal.fact.signal == Signal::KILL {
            &mut self.kills
        } else {
            &mut self.others
        };
        let place = all.partition_point(|known| known.fact.at <= signal.fact.at);
        all.insert(place, signal);
        if all.len() > KEPT_MAX {
            all.remove(0);
        }
    }

    /// Returns the first process above this one that got no SIGKILL of its own here: whoever started it, or its parents.
    pub(crate) fn origin(&self, signal: &InnerSignal) -> Tgid {
        let mut parent = signal.parent;
        // As many steps as there are kills suffice, and a circle ends.
        for _step in 0..KEPT_MAX {
            let Some(above) = self.kills.iter().find(|other| other.target == parent) else {
                break;
            };
            parent = above.parent;
        }
        parent
    }

    /// Whether this process was seen to get another signal than SIGKILL since then.
    pub(crate) fn has_reached(&self, target: Tgid, since: Timestamp) -> bool {
        let mut others = self.others.iter();
        others.any(|other| other.target == target && other.fact.at >= since)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
