//! Connections of tracked containers: where each is in its life is told to the kernel side, and what was counted
//! is read.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use agent_common::socket::{
    CONNECTIONS, CONTAINERS_MAX, Connections, NODE_ADDRESSES, NODE_ADDRESSES_MAX, PHASE_RULES,
    Phase as PhaseId, PhaseRules as Given, RESETS, RESETS_MAX, ResetKey,
};
use agent_core::connection::{Phase, SocketCounts};
use agent_core::decode;
use agent_core::time::Timestamp;
use aya::Ebpf;
use aya::maps::{HashMap, MapData, MapError};

use super::endpoints::octets;
use super::failure::LoadError;
use super::maps::{TrackError, entries, refused, remove, take_map};

/// The connections that the kernel side counts.
pub struct Sockets {
    connections: HashMap<MapData, u64, Connections>,
    courses: HashMap<MapData, u64, Given>,
    resets: HashMap<MapData, ResetKey, u64>,
    node_addresses: HashMap<MapData, [u8; 16], u8>,
    /// What was read last of each container.
    last: BTreeMap<u64, Read>,
}

/// Where a container is in its life, as far as user space knows.
#[derive(Clone, Copy, Debug)]
pub struct PhaseRules {
    /// Its main process, if that is known.
    pub main: Option<u32>,
    /// The phase. The kernel side goes on by itself at signals from outside for the main process, and at its exit.
    pub phase: Phase,
    /// Signals of which the first is the stop signal as far as anybody knows, bit n-1 for signal n.
    pub stops: u64,
    /// Signals that may turn out to be it, likewise.
    pub candidates: u64,
    /// What began up to this time does not count any more.
    pub void_until: Timestamp,
}

/// What was read of a container.
#[derive(Default)]
struct Read {
    connections: Connections,
    /// Its entries among the resets, as they were when `connections` was read or later.
    resets: Vec<(ResetKey, u64)>,
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets")
            .field("containers", &self.last.len())
            .finish_non_exhaustive()
    }
}

impl Sockets {
    pub(super) fn from_ebpf(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            connections: take_map(ebpf, CONNECTIONS)?,
            courses: take_map(ebpf, PHASE_RULES)?,
            resets: take_map(ebpf, RESETS)?,
            node_addresses: take_map(ebpf, NODE_ADDRESSES)?,
            last: BTreeMap::new(),
        })
    }

    /// Has the connections of a container counted, from its tracked cgroups on. Calling it again changes nothing.
    ///
    /// # Errors
    /// If a map is full or cannot be written.
    pub fn add(&mut self, container: u64) -> Result<(), TrackError> {
        if self.last.contains_key(&container) {
            return Ok(());
        }
        // The one that lets the kernel side count comes last.
        insert_value(&mut self.courses, PHASE_RULES, container, Given::default())?;
        let none = Connections::default();
        insert_value(&mut self.connections, CONNECTIONS, container, none)?;
        self.last.insert(container, Read::default());
        Ok(())
    }

    /// Forgets a container.
    ///
    /// # Errors
    /// If a map cannot be written.
    pub fn remove(&mut self, container: u64) -> Result<(), TrackError> {
        let Some(last) = self.last.remove(&container) else {
            return Ok(());
        };
        let now = self.connections.get(&container, 0).unwrap_or_default();
        remove(&mut self.connections, CONNECTIONS, &container)?;
        remove(&mut self.courses, PHASE_RULES, &container)?;
        let resets = if now.reset_changes == last.connections.reset_changes {
            last.resets
        } else {
            self.resets_of(container)
        };
        for (key, _count) in resets {
            remove(&mut self.resets, RESETS, &key)?;
        }
        Ok(())
    }

    /// Says where a container is in its life.
    ///
    /// # Errors
    /// If a map is full or cannot be written.
    pub fn set_phase_rules(&mut self, container: u64, rules: PhaseRules) -> Result<(), TrackError> {
        if !self.last.contains_key(&container) {
            return Ok(());
        }
        let given = Given {
            main: rules.main.unwrap_or(0),
            phase: phase_id(rules.phase) as u32,
            void_until: rules.void_until.0,
            stops: rules.stops,
            candidates: rules.candidates,
        };
        insert_value(&mut self.courses, PHASE_RULES, container, given)
    }

    /// What was counted of a container so far; `None` if it was never added.
    ///
    /// # Errors
    /// If a map cannot be read.
    pub fn read(&mut self, container: u64) -> Result<Option<SocketCounts>, TrackError> {
        if let Some(connections) = self.read_changed(container)? {
            let resets = self
                .has_new_resets(container, &connections)
                .then(|| self.resets_of(container));
            self.store_counts(container, &connections, resets);
        }
        Ok(self.last.get(&container).and_then(Read::decoded))
    }

    /// The containers of which something was counted since they were read last, each with what was counted, but for who
    /// connected: that is much, and matters when a report is due.
    ///
    /// # Errors
    /// If a map cannot be read.
    pub fn changed(&mut self) -> Result<Vec<(u64, SocketCounts)>, TrackError> {
        let mut newer = Vec::new();
        for container in self.last.keys() {
            let connections = self.read_changed(*container)?;
            newer.extend(connections.map(|connections| (*container, connections)));
        }
        // One walk for all of them: it reads the map to its end.
        let any_resets = newer
            .iter()
            .any(|(container, connections)| self.has_new_resets(*container, connections));
        let mut resets = if any_resets {
            self.resets()
        } else {
            BTreeMap::new()
        };
        let mut changed = Vec::new();
        for (container, connections) in newer {
            let resets = self
                .has_new_resets(container, &connections)
                .then(|| resets.remove(&container).unwrap_or_default());
            self.store_counts(container, &connections, resets);
            let read = self.last.get(&container).and_then(Read::decoded);
            changed.extend(read.map(|counts| {
                let peers = Vec::new();
                (container, SocketCounts { peers, ..counts })
            }));
        }
        Ok(changed)
    }

    /// Has connections from these addresses counted as ones from the node itself, or no more so.
    ///
    /// # Errors
    /// If the map is full or cannot be written.
    pub fn set_node_addresses(
        &mut self,
        added: &[IpAddr],
        removed: &[IpAddr],
    ) -> Result<(), TrackError> {
        for address in removed {
            remove(&mut self.node_addresses, NODE_ADDRESSES, &octets(*address))?;
        }
        for address in added {
            self.node_addresses
                .insert(octets(*address), 1, 0)
                .map_err(|source| refused(NODE_ADDRESSES, NODE_ADDRESSES_MAX, 0, source))?;
        }
        Ok(())
    }

    /// What is counted of a container now, if it differs from what was read last. To be read before its resets: what falls
    /// in between is read again.
    fn read_changed(&self, container: u64) -> Result<Option<Connections>, TrackError> {
        let Some(last) = self.last.get(&container) else {
            return Ok(None);
        };
        let connections =
            self.connections
                .get(&container, 0)
                .map_err(|source| TrackError::Refused {
                    map: CONNECTIONS,
                    source,
                })?;
        Ok((connections != last.connections).then_some(connections))
    }

    /// Whether there were resets since the container was read last.
    fn has_new_resets(&self, container: u64, now: &Connections) -> bool {
        let last = self.last.get(&container);
        last.is_none_or(|last| last.connections.reset_changes != now.reset_changes)
    }

    /// Keeps what was read of a container; the resets, if there were any.
    fn store_counts(
        &mut self,
        container: u64,
        connections: &Connections,
        resets: Option<Vec<(ResetKey, u64)>>,
    ) {
        if let Some(read) = self.last.get_mut(&container) {
            read.connections = *connections;
            if let Some(resets) = resets {
                read.resets = resets;
            }
        }
    }

    /// The resets by container.
    fn resets(&self) -> BTreeMap<u64, Vec<(ResetKey, u64)>> {
        let mut entries = entries(&self.resets, RESETS_MAX);
        // A walk that starts again meets some twice.
        entries.sort_unstable();
        entries.dedup_by_key(|(key, _count)| *key);
        let mut resets: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        for entry in entries {
            resets.entry(entry.0.container).or_default().push(entry);
        }
        resets
    }

    fn resets_of(&self, container: u64) -> Vec<(ResetKey, u64)> {
        self.resets().remove(&container).unwrap_or_default()
    }
}

impl Read {
    fn decoded(&self) -> Option<SocketCounts> {
        // One that was taken back is none.
        let resets = self.resets.iter().filter(|(_key, count)| *count != 0);
        decode::counts(&self.connections, resets.copied())
            .inspect_err(|error| tracing::error!(%error, "connections cannot be read"))
            .ok()
    }
}

/// As the kernel side has it.
const fn phase_id(phase: Phase) -> PhaseId {
    match phase {
        Phase::Running => PhaseId::Running,
        Phase::Hook => PhaseId::Hook,
        Phase::Stopping => PhaseId::Stopping,
        Phase::Closing => PhaseId::Closing,
    }
}

fn insert_value<V: aya::Pod>(
    map: &mut HashMap<MapData, u64, V>,
    name: &'static str,
    container: u64,
    value: V,
) -> Result<(), TrackError> {
    map.insert(container, value, 0)
        .map_err(|source: MapError| refused(name, CONTAINERS_MAX, container, source))
}
