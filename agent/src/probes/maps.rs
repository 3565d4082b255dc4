//! The maps: whom the kernel side looks at, and what it counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use agent_common::map::{
    BY_KERNEL, CGROUPS_OF_SHARE, FullMap, LOST, MAP_FULL, RECORDED, SIGNAL_COUNTS, SLOTS,
    SUBJECT_SLOTS, SUBJECTS, SUBJECTS_MAX, SignalCounts, Subject, UNATTRIBUTED, UNCOUNTED,
    UNTOLD_ENDS, Uncounted, WATCHED, WATCHED_MAX, Watched,
};
use agent_common::record::Kind;
use agent_core::output::Names;
use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, Queue};
use rustix::io::Errno;

use super::endpoints::Endpoints;
use super::failure::LoadError;
use super::parents::Parents;
use super::shares::Shares;

/// Flag of an insertion: only if there is no such entry.
pub(super) const BPF_NOEXIST: u64 = 1;
/// Flag of an insertion: only in the place of such an entry.
const BPF_EXIST: u64 = 2;

/// Takes a map out of the object.
pub(super) fn take_map<T>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, LoadError>
where
    T: TryFrom<Map>,
{
    let map = ebpf.take_map(name).ok_or(LoadError::Missing(name))?;
    T::try_from(map).map_err(|_other_type| LoadError::Missing(name))
}

/// Why the kernel side could not be told whom to look at.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// No room in a map.
    #[error(
        "the map {map} is full ({max} entries), so it has no entry for cgroup or process {key}"
    )]
    Full {
        /// The map.
        map: &'static str,
        /// How many entries it holds.
        max: u32,
        /// The cgroup's id, or the process's.
        key: u64,
    },
    /// What made the cgroup has used up its share of a map.
    #[error("what made cgroup {key} has used up its share of the map {map}")]
    BeyondShare {
        /// The map.
        map: &'static str,
        /// The cgroup's id.
        key: u64,
    },
    /// The kernel refused.
    #[error("the kernel refuses a change of the map {map}")]
    Refused {
        /// The map.
        map: &'static str,
        /// Its words.
        source: MapError,
    },
}

/// Signals of a container that matter, as masks: bit n-1 for signal n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals {
    /// Worth a record.
    pub recorded: u64,
    /// Of these, the ones that are likely to be the stop signal: each is remembered as the last one from outside, even where it
    /// only tells of something (SIGWINCH).
    pub beginning: u64,
}

impl Signals {
    /// Worth a record, and each likely to be the stop signal.
    pub const fn that_all_begin(mask: u64) -> Self {
        Self {
            recorded: mask,
            beginning: mask,
        }
    }
}

/// Tells the kernel side whom to look at.
pub struct Tracker {
    subjects: HashMap<MapData, u64, Subject>,
    slots: Array<MapData, [u8; SLOTS as usize]>,
    watched: HashMap<MapData, u32, Watched>,
    signal_counts: HashMap<MapData, u64, SignalCounts>,
    endpoints: Endpoints,
    parents: Parents,
    /// Where the kernel side reads what it has to take out of its own slots.
    uncounted: Queue<MapData, Uncounted>,
    shares: Shares,
    /// The outermost container of each.
    outermost: BTreeMap<u64, u64>,
    /// The cgroups that this side put in, by container.
    cgroups: BTreeMap<u64, BTreeSet<u64>>,
    /// How many of these are in each slot; `slots` has whether there are any.
    per_slot: BTreeMap<usize, u64>,
    /// Containers of which the kernel side may have put something in, since the last [`Self::sweep`].
    ended: BTreeSet<u64>,
}

impl fmt::Debug for Tracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker")
            .field("cgroups", &self.cgroups)
            .finish_non_exhaustive()
    }
}

impl Tracker {
    pub(super) fn from_ebpf(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            subjects: take_map(ebpf, SUBJECTS)?,
            slots: take_map(ebpf, SUBJECT_SLOTS)?,
            watched: take_map(ebpf, WATCHED)?,
            signal_counts: take_map(ebpf, SIGNAL_COUNTS)?,
            endpoints: Endpoints::from_ebpf(ebpf)?,
            parents: Parents::from_ebpf(ebpf)?,
            uncounted: take_map(ebpf, UNCOUNTED)?,
            shares: Shares::from_ebpf(ebpf)?,
            outermost: BTreeMap::new(),
            cgroups: BTreeMap::new(),
            per_slot: BTreeMap::new(),
            ended: BTreeSet::new(),
        })
    }

    /// Tracks a container: its topmost cgroup, and those below it that exist already. `signals` says which of them are
    /// worth a record, and which are likely to be the stop signal. `outermost` is the container whose share pays for it.
    ///
    /// From the moment this returns the kernel side adds the cgroups that are made inside. One that
    /// was made between the caller's look at the tree and this call is missed; so call it, look,
    /// and call it again. Calling it again adds what is missing, and gives all of them these signals.
    ///
    /// Returns how many of them have no place since the outermost container has used up its share.
    pub fn track_container(
        &mut self,
        (container, outermost): (u64, u64),
        descendants: &[u64],
        signals: Signals,
    ) -> Result<u64, TrackError> {
        self.shares.add(outermost)?;
        self.outermost.insert(container, outermost);
        let counts = SignalCounts::default();
        let counted = self.signal_counts.insert(container, counts, BPF_NOEXIST);
        // The kernel side counts already what it tracks from its birth.
        if let Err(source) = counted
            && !is_there(&source)
        {
            return Err(refused(SIGNAL_COUNTS, SUBJECTS_MAX, container, source));
        }
        self.ended.remove(&container);
        self.insert_cgroup((container, outermost), container, signals)?;
        if descendants.is_empty() {
            return Ok(0);
        }
        // As many as the kernel side may put in, beside the containers themselves.
        let mut free = CGROUPS_OF_SHARE.saturating_sub(self.cgroup_count(outermost));
        let mut beyond = 0;
        for cgroup in descendants {
            let is_new = self.subjects.get(cgroup, 0).is_err();
            if is_new && free <= 0 {
                beyond += 1;
                continue;
            }
            self.insert_cgroup((container, outermost), *cgroup, signals)?;
            free -= i64::from(is_new);
        }
        Ok(beyond)
    }

    /// How many cgroups this side put in for an outermost container.
    fn cgroup_count(&self, outermost: u64) -> i64 {
        let its = self.outermost.iter().filter(|(_, its)| **its == outermost);
        its.filter_map(|(container, _)| self.cgroups.get(container))
            .map(|cgroups| i64::try_from(cgroups.len()).unwrap_or(i64::MAX))
            .sum()
    }

    /// Has a cgroup tracked as one of the container.
    fn insert_cgroup(
        &mut self,
        (container, outermost): (u64, u64),
        cgroup: u64,
        signals: Signals,
    ) -> Result<(), TrackError> {
        let known = self.subjects.get(&cgroup, 0).ok();
        // Whoever put it in counts it in its slot.
        let by_kernel = match known {
            Some(known) if known.by_kernel != 0 => BY_KERNEL,
            Some(_) | None => 0,
        };
        let subject = Subject {
            container,
            outermost,
            signals: signals.recorded,
            begins: signals.beginning,
            by_kernel,
        };
        if known == Some(subject) {
            return Ok(());
        }
        let flag = if known.is_some() {
            BPF_EXIST
        } else {
            BPF_NOEXIST
        };
        // First the hash, then the slot in front of it, which opens the way to the hash.
        match self.subjects.insert(cgroup, subject, flag) {
            Ok(()) => {}
            // The cgroup is gone, and the kernel side has taken it out.
            Err(source) if is_errno(&source, Errno::NOENT) => return Ok(()),
            // It has come just now, and the kernel side has put it in: the next look gives it its signals.
            Err(source) if is_there(&source) => return Ok(()),
            Err(source) => return Err(refused(SUBJECTS, SUBJECTS_MAX, cgroup, source)),
        }
        if by_kernel != 0 {
            return Ok(());
        }
        let before = known.and_then(|known| self.cgroups.get_mut(&known.container));
        let is_counted = before.is_some_and(|cgroups| cgroups.remove(&cgroup));
        self.cgroups.entry(container).or_default().insert(cgroup);
        if !is_counted {
            self.count_in_slot(cgroup, 1)?;
        }
        Ok(())
    }

    /// Has cgroups with such names that are made in this one tracked from their birth.
    ///
    /// # Errors
    /// If there is no room, or none for what the cgroup lies in.
    pub fn add_parent(
        &mut self,
        parent: (u64, &str),
        outermost: Option<u64>,
        names: &[Names],
        signals: Signals,
    ) -> Result<(), TrackError> {
        self.parents.add(parent, outermost, names, signals)
    }

    /// Does not expect containers in this cgroup any more.
    ///
    /// # Errors
    /// If the map cannot be written.
    pub fn remove_parent(&mut self, parent: u64) -> Result<(), TrackError> {
        self.parents.remove(parent)
    }

    /// Forgets a container and the cgroups that were told to [`Self::track_container`]. What the kernel side added is
    /// forgotten by the next [`Self::sweep`].
    pub fn untrack(&mut self, container: u64) -> Result<(), TrackError> {
        self.ended.insert(container);
        self.outermost.remove(&container);
        for cgroup in self.cgroups.remove(&container).unwrap_or_default() {
            self.count_in_slot(cgroup, -1)?;
            remove(&mut self.subjects, SUBJECTS, &cgroup)?;
        }
        if let Ok(subject) = self.subjects.get(&container, 0)
            && subject.container == container
        {
            self.take_out(container, &subject)?;
        }
        self.endpoints.remove_all_of(container)?;
        remove(&mut self.signal_counts, SIGNAL_COUNTS, &container)
    }

    /// Forgets the cgroups and processes of all containers that were untracked since the last call. One walk
    /// for all of them: each reads the maps to their ends.
    pub fn sweep(&mut self) -> Result<(), TrackError> {
        let ended = std::mem::take(&mut self.ended);
        if ended.is_empty() {
            return Ok(());
        }
        for (cgroup, subject) in entries(&self.subjects, SUBJECTS_MAX) {
            if ended.contains(&subject.container) {
                self.take_out(cgroup, &subject)?;
            }
        }
        // Not by what was found in the map: a walk over a map that changes meanwhile may miss entries.
        let used: BTreeSet<u64> = self.outermost.values().copied().collect();
        for container in ended.difference(&used) {
            self.shares.remove(*container)?;
        }
        for (tgid, watched) in entries(&self.watched, WATCHED_MAX) {
            if ended.contains(&watched.container) {
                remove(&mut self.watched, WATCHED, &tgid)?;
            }
        }
        Ok(())
    }

    /// Takes out what the kernel side may have put in.
    fn take_out(&mut self, cgroup: u64, subject: &Subject) -> Result<(), TrackError> {
        match self.subjects.remove(&cgroup) {
            // CHILD_SLOTS is not ours to write. Where there is no room, a look-up now and then is all that it costs.
            Ok(()) if subject.by_kernel != 0 => {
                let outermost = subject.outermost;
                drop(self.uncounted.push(Uncounted { cgroup, outermost }, 0));
            }
            Ok(()) => {}
            // The kernel side was faster.
            Err(source) if is_missing(&source) => {}
            Err(source) => {
                return Err(TrackError::Refused {
                    map: SUBJECTS,
                    source,
                });
            }
        }
        Ok(())
    }

    /// How many cgroups and processes the kernel side looks at. Walks over all of them.
    pub fn entries(&self) -> (usize, usize) {
        let subjects = self.subjects.keys().flatten().count();
        let watched = self.watched.keys().flatten().count();
        (subjects, watched)
    }

    /// What was lost of each outermost container since the last call, of those of which anything was: id, and how much.
    pub fn newly_lost(&mut self) -> Vec<(u64, u64)> {
        self.shares.newly_lost()
    }

    /// The maps that have no room.
    pub fn full_maps(&self) -> Vec<&'static str> {
        let (subjects, watched) = self.entries();
        let counts = [
            (SUBJECTS, subjects, SUBJECTS_MAX),
            (WATCHED, watched, WATCHED_MAX),
        ];
        let is_full = |count: usize, max: u32| u32::try_from(count).is_ok_and(|count| count >= max);
        let full = counts
            .into_iter()
            .filter(|(_, count, max)| is_full(*count, *max));
        full.map(|(map, _, _)| map).collect()
    }

    /// Has connections to this address and port recorded as ones to the container, until it is untracked or
    /// another container asks for the same.
    pub fn await_connect(
        &mut self,
        container: u64,
        address: IpAddr,
        port: u16,
    ) -> Result<(), TrackError> {
        self.endpoints.add(container, address, port)
    }

    /// Which signals of a tracked container were counted so far.
    pub fn counts(&self, container: u64) -> SignalCounts {
        self.signal_counts.get(&container, 0).unwrap_or_default()
    }

    /// Has the signals and the exit of a process recorded that was in the container before it was
    /// tracked.
    pub fn watch_process(&mut self, tgid: u32, container: u64) -> Result<(), TrackError> {
        let watched = Watched {
            container,
            outermost: 0,
            queued: 0,
        };
        let refused = |source| refused(WATCHED, WATCHED_MAX, u64::from(tgid), source);
        match self.watched.insert(tgid, watched, BPF_NOEXIST) {
            Err(source) if is_there(&source) => {
                let known = self.watched.get(&tgid, 0).ok();
                if known.is_some_and(|known| known.container == container) {
                    // The kernel side watches it already, and remembers its signals.
                    return Ok(());
                }
                self.watched.insert(tgid, watched, 0).map_err(refused)
            }
            inserted => inserted.map_err(refused),
        }
    }

    fn count_in_slot(&mut self, cgroup: u64, change: i64) -> Result<(), TrackError> {
        let slot = usize::try_from(cgroup % u64::from(SLOTS)).unwrap_or_default();
        let count = self.per_slot.entry(slot).or_default();
        let had_some = *count > 0;
        *count = count.saturating_add_signed(change);
        let has_some = *count > 0;
        if !has_some {
            self.per_slot.remove(&slot);
        }
        if had_some == has_some {
            return Ok(());
        }
        let mut slots = [0; SLOTS as usize];
        for used in self.per_slot.keys() {
            if let Some(slot) = slots.get_mut(*used) {
                *slot = 1;
            }
        }
        self.slots
            .set(0, slots, 0)
            .map_err(|source| TrackError::Refused {
                map: SUBJECT_SLOTS,
                source,
            })
    }
}

/// Every entry, as far as it can be read while the kernel side changes the map.
pub(super) fn entries<K, V>(map: &HashMap<MapData, K, V>, max: u32) -> Vec<(K, V)>
where
    K: aya::Pod,
    V: aya::Pod,
{
    // A key that is removed in between makes the walk start again.
    let steps = usize::try_from(max).unwrap_or(usize::MAX).saturating_mul(2);
    map.iter().take(steps).filter_map(Result::ok).collect()
}

pub(super) fn remove<K, V>(
    map: &mut HashMap<MapData, K, V>,
    name: &'static str,
    key: &K,
) -> Result<(), TrackError>
where
    K: aya::Pod,
    V: aya::Pod,
{
    match map.remove(key) {
        // The kernel side may have been faster.
        Ok(()) => Ok(()),
        Err(source) if is_missing(&source) => Ok(()),
        Err(source) => Err(TrackError::Refused { map: name, source }),
    }
}

pub(super) fn refused(map: &'static str, max: u32, key: u64, source: MapError) -> TrackError {
    if is_errno(&source, Errno::TOOBIG) {
        TrackError::Full { map, max, key }
    } else {
        TrackError::Refused { map, source }
    }
}

fn is_missing(error: &MapError) -> bool {
    matches!(error, MapError::KeyNotFound | MapError::ElementNotFound)
        || is_errno(error, Errno::NOENT)
}

/// Whether the kernel said that there is such an entry already.
pub(super) fn is_there(error: &MapError) -> bool {
    is_errno(error, Errno::EXIST)
}

/// Whether the kernel gave this reason.
fn is_errno(error: &MapError, reason: Errno) -> bool {
    let MapError::SyscallError(error) = error else {
        return false;
    };
    error.io_error.raw_os_error() == Some(reason.raw_os_error())
}

/// What the kernel side counted since it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Records given to the ring buffer.
    pub recorded: BTreeMap<Kind, u64>,
    /// Records that were not made, since the ring buffer had no room or a container had caused too many.
    pub lost: BTreeMap<Kind, u64>,
    /// Insertions that found a hash full.
    pub map_full: Vec<(FullMap, u64)>,
    /// Records of these that may have been about any container.
    pub unattributed: u64,
    /// Containers that were made and removed, and of which no record found room.
    pub untold: u64,
}

/// Reads what the kernel side counts of itself.
pub struct Counters {
    recorded: PerCpuArray<MapData, u64>,
    lost: PerCpuArray<MapData, u64>,
    map_full: PerCpuArray<MapData, u64>,
    unattributed: PerCpuArray<MapData, u64>,
    untold: PerCpuArray<MapData, u64>,
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

impl Counters {
    pub(super) fn from_ebpf(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            recorded: take_map(ebpf, RECORDED)?,
            lost: take_map(ebpf, LOST)?,
            map_full: take_map(ebpf, MAP_FULL)?,
            unattributed: take_map(ebpf, UNATTRIBUTED)?,
            untold: take_map(ebpf, UNTOLD_ENDS)?,
        })
    }

    /// The counts, summed up over the CPUs.
    pub fn read(&self) -> Result<Counts, MapError> {
        let by_kind = |map| -> Result<BTreeMap<Kind, u64>, MapError> {
            let kinds = Kind::ALL.into_iter();
            kinds
                .map(|kind| Ok((kind, sum_over_cpus(map, kind as u32)?)))
                .collect()
        };
        let map_full = FullMap::ALL
            .into_iter()
            .map(|full| Ok((full, sum_over_cpus(&self.map_full, full as u32)?)));
        Ok(Counts {
            recorded: by_kind(&self.recorded)?,
            lost: by_kind(&self.lost)?,
            map_full: map_full.collect::<Result<_, MapError>>()?,
            unattributed: sum_over_cpus(&self.unattributed, 0)?,
            untold: sum_over_cpus(&self.untold, 0)?,
        })
    }
}

fn sum_over_cpus(map: &PerCpuArray<MapData, u64>, slot: u32) -> Result<u64, MapError> {
    Ok(map.get(&slot, 0)?.iter().sum())
}
