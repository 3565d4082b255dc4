//! What is not as it should be with the agent itself, in sentences for whoever reads its reports.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::agent_event::AgentEvent;

/// Shared between the event loop and HTTP.
#[derive(Debug, Default)]
pub struct AgentHealth(Mutex<HealthState>);

#[derive(Debug, Default)]
struct HealthState {
    records_lost: u64,
    /// Optional programs that are not attached: their names, and what is not measured without them.
    not_attached: Vec<(&'static str, &'static str)>,
    /// Resources of the Kubernetes API of which nothing is heard.
    unheard: BTreeSet<&'static str>,
    /// Tables without room.
    full: Vec<&'static str>,
    /// Sentences about what is shown as a whole.
    remarks: Vec<String>,
}

impl AgentHealth {
    /// Takes note of what the pipeline said of itself.
    pub fn record(&self, event: &AgentEvent<'_>) {
        match event {
            AgentEvent::Attached(programs) => {
                let refused = programs.iter().filter(|state| state.refused.is_some());
                let refused = refused.map(|state| (state.program.name, state.program.purpose));
                self.lock_state().not_attached = refused.collect();
            }
            AgentEvent::Full(tables) => self.lock_state().full = tables.to_vec(),
            AgentEvent::Counted(counts) => {
                self.lock_state().records_lost = counts.lost.values().sum();
            }
            AgentEvent::Watching {
                resource,
                connected,
            } => {
                let mut facts = self.lock_state();
                if *connected {
                    facts.unheard.remove(resource);
                } else {
                    facts.unheard.insert(resource);
                }
            }
            AgentEvent::Started(_)
            | AgentEvent::TcpFeatures(_)
            | AgentEvent::Scanned { .. }
            | AgentEvent::ProgramsRan(_)
            | AgentEvent::Undecodable(_)
            | AgentEvent::UpdateFailed(_)
            | AgentEvent::Journal { .. }
            | AgentEvent::ApiFailed { .. }
            | AgentEvent::PodsKnown(_)
            | AgentEvent::EventWritten(_) => {}
        }
    }

    /// Adds a sentence about what is shown as a whole.
    pub fn remark(&self, sentence: String) {
        self.lock_state().remarks.push(sentence);
    }

    /// A sentence for each thing that is not as it should be; none if all is well.
    pub fn sentences(&self) -> Vec<String> {
        let facts = self.lock_state();
        let mut sentences = facts.remarks.clone();
        if facts.records_lost > 0 {
            let (records, were) = match facts.records_lost {
                1 => ("record", "was"),
                _ => ("records", "were"),
            };
            sentences.push(format!(
                "{} {records} of the kernel {were} lost since the agent was started; each report that this may concern says so.",
                facts.records_lost
            ));
        }
        if !facts.full.is_empty() {
            sentences.push(format!(
                "There is no room for more containers (full: {}): those that come now are not measured.",
                facts.full.join(", ")
            ));
        }
        for (name, purpose) in &facts.not_attached {
            sentences.push(format!(
                "The probe {name} is not attached, so this is not measured: {purpose}."
            ));
        }
        if !facts.unheard.is_empty() {
            let unheard: Vec<_> = facts.unheard.iter().copied().collect();
            sentences.push(format!(
                "The Kubernetes API is not heard ({}): names and reasons may be missing or late.",
                unheard.join(", ")
            ));
        }
        sentences
    }

    fn lock_state(&self) -> MutexGuard<'_, HealthState> {
        // A panic elsewhere leaves whole facts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use agent_common::global::PROGRAMS;
    use agent_common::record::Kind;

    use super::*;
    use crate::probes::{Counts, ProgramState};

    fn counts(lost: BTreeMap<Kind, u64>) -> Counts {
        Counts {
            recorded: BTreeMap::new(),
            lost,
            map_full: Vec::new(),
            unattributed: 0,
            untold: 0,
        }
    }

    #[test]
    fn each_thing_that_is_not_well_has_a_sentence() {
        let agent_health = AgentHealth::default();
        agent_health.record(&AgentEvent::Attached(&[ProgramState {
            program: PROGRAMS[0],
            refused: Some("no such hook".to_owned()),
        }]));
        agent_health.record(&AgentEvent::Counted(&counts(
            [(Kind::Exit, 2), (Kind::Signal, 1)].into(),
        )));
        let watching = |connected| AgentEvent::Watching {
            resource: "pods",
            connected,
        };
        agent_health.record(&watching(false));
        let [lost, probe, api] = agent_health.sentences().try_into().unwrap();
        assert!(
            lost.starts_with("3 records of the kernel were lost"),
            "{lost}"
        );
        assert!(probe.contains(PROGRAMS[0].name), "{probe}");
        assert!(api.contains("(pods)"), "{api}");
        agent_health.record(&watching(true));
        assert_eq!(agent_health.sentences().len(), 2);
        agent_health.record(&AgentEvent::Full(&["containers"]));
        assert!(
            agent_health
                .sentences()
                .concat()
                .contains("(full: containers)")
        );
    }

    #[test]
    fn nothing_is_said_when_all_is_well() {
        let agent_health = AgentHealth::default();
        agent_health.record(&AgentEvent::Attached(&[]));
        agent_health.record(&AgentEvent::Counted(&counts(BTreeMap::new())));
        assert!(agent_health.sentences().is_empty());
        agent_health.remark("The recording ends early.".to_owned());
        assert_eq!(agent_health.sentences(), ["The recording ends early."]);
    }
}
