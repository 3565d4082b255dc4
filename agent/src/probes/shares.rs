//! The shares of the outermost containers: which there are, and what was lost of each.

use std::collections::BTreeMap;

use agent_common::map::{ALL, OUTSIDE, SHARES, SHARES_MAX, Share};
use aya::Ebpf;
use aya::maps::{HashMap, MapData};

use super::failure::LoadError;
use super::maps::{BPF_NOEXIST, TrackError, entries, is_there, refused, remove, take_map};

/// What each outermost container has taken of what there is for all.
pub(super) struct Shares {
    shares: HashMap<MapData, u64, Share>,
    /// What was lost of each when that was read last.
    lost: BTreeMap<u64, u64>,
}

impl Shares {
    pub(super) fn from_ebpf(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        let mut shares = Self {
            shares: take_map(ebpf, SHARES)?,
            lost: BTreeMap::new(),
        };
        let added = shares.add(ALL).and_then(|()| shares.add(OUTSIDE));
        added.map_err(|error| LoadError::Object(Box::new(error)))?;
        Ok(shares)
    }

    /// Gives an outermost container its share, if it has none yet.
    pub(super) fn add(&mut self, outermost: u64) -> Result<(), TrackError> {
        let share = Share::default();
        match self.shares.insert(outermost, share, BPF_NOEXIST) {
            Err(source) if is_there(&source) => Ok(()),
            inserted => inserted.map_err(|source| refused(SHARES, SHARES_MAX, outermost, source)),
        }
    }

    /// Forgets the share of an outermost container, if it has one.
    pub(super) fn remove(&mut self, outermost: u64) -> Result<(), TrackError> {
        self.lost.remove(&outermost);
        remove(&mut self.shares, SHARES, &outermost)
    }

    /// What was lost of each outermost container since the last call, of those of which anything was. Walks over all of them.
    pub(super) fn newly_lost(&mut self) -> Vec<(u64, u64)> {
        let mut newly = Vec::new();
        for (outermost, share) in entries(&self.shares, SHARES_MAX) {
            if share.lost == 0 {
                continue;
            }
            let before = self.lost.insert(outermost, share.lost).unwrap_or_default();
            // A share that was made anew begins to count again.
            let more = share.lost.checked_sub(before).unwrap_or(share.lost);
            if more > 0 {
                newly.push((outermost, more));
            }
        }
        newly
    }
}
