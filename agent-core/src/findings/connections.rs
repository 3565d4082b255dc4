//! The diagnoses of connections: those that came too late, and those that were reset. Each is right or is not said, so
//! what the numbers leave open (a probe of the kubelet's, the peer's doing, a goodbye after the close) counts for
//! neither.

use crate::report::{Endpoint, Outcome};
use crate::termination::Termination;
use crate::traffic::Traffic;

mod race;
mod resets;

pub(super) use race::race;
pub(super) use resets::reset;

/// What is known of a termination's connections.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) traffic: Option<Traffic>,
    pub(crate) endpoint: Option<Endpoint>,
}

impl Network {
    /// The numbers of a stop that is over: before they are not complete, and who ends by himself asks for no advice.
    fn of_stop(&self, termination: &Termination<'_>, outcome: Outcome) -> Option<&Traffic> {
        let is_over = outcome != Outcome::InProgress && termination.is_stop(outcome);
        self.traffic.as_ref().filter(|_| is_over)
    }
}

fn number(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// With a capital as the first letter.
fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().collect::<String>());
    first.unwrap_or_default() + letters.as_str()
}
