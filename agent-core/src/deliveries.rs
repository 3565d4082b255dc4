//! The signals that one process took out of its queue: what became of a signal that was queued when it was sent.

use crate::event::{Delivered, Handler};
use crate::process::SignalFact;
use crate::report::SignalFate;
use crate::signal::Signal;
use crate::time::Timestamp;

/// Deliveries of one number that are kept, the newest ones. There is at most one for each signal that was recorded.
const OF_A_SIGNAL_MAX: usize = 16;

/// Deliveries by time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deliveries(Vec<(Timestamp, Signal, SignalFate)>);

impl Deliveries {
    /// Adds one, at its place in time.
    pub(crate) fn add(&mut self, delivered: &Delivered, at: Timestamp) {
        let fate = if delivered.is_thrown_away() {
            SignalFate::Discarded
        } else if delivered.handler == Handler::Custom {
            SignalFate::Handled
        } else {
            SignalFate::Fatal
        };
        let all = &mut self.0;
        let place = all.partition_point(|(known, ..)| *known <= at);
        all.insert(place, (at, delivered.signal, fate));
        let same = |(_, signal, _): &(Timestamp, Signal, SignalFate)| *signal == delivered.signal;
        if all.iter().filter(|one| same(one)).count() > OF_A_SIGNAL_MAX
            && let Some(oldest) = all.iter().position(same)
        {
            all.remove(oldest);
        }
    }

    /// Returns what became of this signal, if it was delivered before `left_by`. Of several that waited at once the kernel delivers
    /// one.
    pub(crate) fn fate_of(
        &self,
        fact: &SignalFact,
        left_by: Option<Timestamp>,
    ) -> Option<SignalFate> {
        let is_its = |at: Timestamp| at >= fact.at && left_by.is_none_or(|left_by| at <= left_by);
        let mut later = self.0.iter().filter(|(at, ..)| is_its(*at));
        let (_, _, fate) = later.find(|(_, signal, _)| *signal == fact.signal)?;
        Some(*fate)
    }
}
