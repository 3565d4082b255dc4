//! The diagnoses of connections: those that came too late, and those that were reset. Each is right or is not said, so
//! what the numbers leave open (a probe of the kubelet's, the peer's doing, a goodbye after the close) counts for
//! neither.

use crate::report::{Endpoint, Outcome};
use crate::traffic::Traffic;

mod race;
mod resets;

pub(super) use race::endpoint_race;
pub(super) use resets::{idle_closed, reset_connections};

/// What is known of a termination's connections.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) traffic: Option<Traffic>,
    pub(crate) endpoint: Option<Endpoint>,
}

impl Network {
    /// The numbers of a stop that is over (before they are not complete) and that left the program a choice: whoever was
    /// killed without having been told, or ended by himself, is helped by no advice on how to stop.
    fn of_stop(&self, outcome: Outcome) -> Option<&Traffic> {
        let had_choice = matches!(
            outcome,
            Outcome::Graceful | Outcome::GraceExceeded | Outcome::ExitedEarly
        );
        self.traffic.as_ref().filter(|_| had_choice)
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
