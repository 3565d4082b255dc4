//! Where what is shown comes from: an agent that measures, or recordings. It decides what time it is, and which
//! addresses are its own.

use agent_core::time::Timestamp;

use crate::clock;

/// Where what is shown comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An agent that measures.
    Agent {
        /// Tells its terminations from those of another start, which counted from 1 as well.
        run: String,
    },
    /// Recordings that were read to their end.
    Recording {
        /// Their files' names.
        files: Vec<String>,
        /// The last time in them.
        end: Timestamp,
    },
}

impl Origin {
    /// An agent that starts now.
    pub fn for_agent() -> Self {
        let started_at = clock::wall_at_boot().saturating_add(clock::now().0);
        Self::Agent {
            run: format!("{:x}", started_at / 1_000_000),
        }
    }

    /// What an address has beside the number of a termination.
    pub(super) fn run(&self) -> &str {
        match self {
            Self::Agent { run } => run,
            Self::Recording { .. } => "recording",
        }
    }

    /// The option by which somebody gave the address to serve at.
    pub(super) const fn option(&self) -> &'static str {
        match self {
            Self::Agent { .. } => "--listen",
            Self::Recording { .. } => "--serve",
        }
    }

    /// The time now; of recordings, in which time stands still, the last.
    pub(super) fn now(&self) -> Timestamp {
        match self {
            Self::Agent { .. } => clock::now(),
            Self::Recording { end, .. } => *end,
        }
    }

    /// The wall clock at the boot clock's zero, in nanoseconds since 1970; recordings hold no dates.
    pub(super) fn wall_at_boot(&self) -> Option<u64> {
        match self {
            Self::Agent { .. } => Some(clock::wall_at_boot()),
            Self::Recording { .. } => None,
        }
    }

    /// The part of a termination's address that names it: `17-19ab3c4d5e6`.
    pub(super) fn termination_key(&self, id: u64) -> String {
        format!("{id}-{}", self.run())
    }

    /// The number in such a part, if it is one of this origin's.
    pub(super) fn parse_key(&self, key: &str) -> Option<u64> {
        let (id, run) = key.split_once('-')?;
        id.parse().ok().filter(|_| run == self.run())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_termination_of_one_start() {
        let origin = Origin::Agent {
            run: "1a2b".to_owned(),
        };
        assert_eq!(origin.termination_key(17), "17-1a2b");
        assert_eq!(origin.parse_key("17-1a2b"), Some(17));
        for other in ["17", "17-1a2c", "x-1a2b", "", "17-1a2b-1"] {
            assert_eq!(origin.parse_key(other), None, "{other}");
        }
    }
}
