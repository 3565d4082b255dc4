//! Addresses and ports, connections to which the kernel side records.

use std::collections::BTreeMap;
use std::net::IpAddr;

use agent_common::map::{ENDPOINT_COUNT, ENDPOINTS, ENDPOINTS_MAX};
use agent_common::record::Endpoint;
use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData};

use super::failure::LoadError;
use super::maps::{TrackError, refused, remove, take_map};

pub(super) struct Endpoints {
    map: HashMap<MapData, Endpoint, u64>,
    /// What the kernel side looks at first: how many there are.
    count: Array<MapData, u64>,
    /// For whom each is in the map.
    owners: BTreeMap<Endpoint, u64>,
}

impl Endpoints {
    pub(super) fn from_ebpf(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            map: take_map(ebpf, ENDPOINTS)?,
            count: take_map(ebpf, ENDPOINT_COUNT)?,
            owners: BTreeMap::new(),
        })
    }

    /// Of two containers that wait for the same, the later one is told.
    pub(super) fn add(
        &mut self,
        container: u64,
        address: IpAddr,
        port: u16,
    ) -> Result<(), TrackError> {
        let endpoint = endpoint(address, port);
        self.map
            .insert(endpoint, container, 0)
            .map_err(|source| refused(ENDPOINTS, ENDPOINTS_MAX, container, source))?;
        self.owners.insert(endpoint, container);
        self.tell_count()
    }

    pub(super) fn remove_all_of(&mut self, container: u64) -> Result<(), TrackError> {
        let gone: Vec<Endpoint> = self
            .owners
            .iter()
            .filter_map(|(endpoint, owner)| (*owner == container).then_some(*endpoint))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        for endpoint in gone {
            remove(&mut self.map, ENDPOINTS, &endpoint)?;
            self.owners.remove(&endpoint);
        }
        self.tell_count()
    }

    fn tell_count(&mut self) -> Result<(), TrackError> {
        let count = u64::try_from(self.owners.len()).unwrap_or(u64::MAX);
        self.count
            .set(0, count, 0)
            .map_err(|source| TrackError::Refused {
                map: ENDPOINT_COUNT,
                source,
            })
    }
}

/// As the kernel side has it.
fn endpoint(address: IpAddr, port: u16) -> Endpoint {
    Endpoint {
        address: octets(address),
        port: u32::from(port),
    }
}

/// An address as the kernel side has it.
pub(super) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_however_it_is_written() {
        let of = |address: &str| endpoint(address.parse().unwrap(), 80);
        assert_eq!(of("10.0.0.7"), of("::ffff:10.0.0.7"));
        assert_ne!(of("10.0.0.7"), of("::10.0.0.7"));
        assert_ne!(of("10.0.0.7"), of("10.0.0.8"));
    }
}
