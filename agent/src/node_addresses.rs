//! The addresses of the node itself, which the kubelet's probes come from.
//!
//! Read in the network namespace of what started a container (its shim): the node's, which need not be that of pid 1 or
//! of this agent.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use agent_core::event::Tgid;
use agent_core::time::Timestamp;

/// How long what was read stays good. Addresses of a node change rarely.
const GOOD_FOR: Duration = Duration::from_mins(1);

/// The addresses, and from whom they are known.
#[derive(Debug, Default)]
pub struct NodeAddresses {
    known: BTreeSet<IpAddr>,
    /// A process in the node's network namespace.
    source: Option<Tgid>,
    read_at: Option<Timestamp>,
}

/// What changed since the last look.
#[derive(Debug, PartialEq, Eq)]
pub struct Changes {
    /// Addresses that the node has now.
    pub added: Vec<IpAddr>,
    /// Addresses that it has no more.
    pub removed: Vec<IpAddr>,
}

impl NodeAddresses {
    /// Something that started a container of a pod.
    pub fn record_starter(&mut self, starter: Tgid) {
        self.source = Some(starter);
    }

    /// Looks again if it is time to. None: nothing was read, or all is as it was.
    pub fn refresh(&mut self, now: Timestamp) -> Option<Changes> {
        let fresh = self.read_at.is_some_and(|read| now.since(read) < GOOD_FOR);
        if fresh {
            return None;
        }
        // One that is gone tells nothing; the next container has another.
        let read = of_process(self.source.take()?)?;
        self.read_at = Some(now);
        let changes = Changes {
            added: read.difference(&self.known).copied().collect(),
            removed: self.known.difference(&read).copied().collect(),
        };
        self.known = read;
        (!changes.added.is_empty() || !changes.removed.is_empty()).then_some(changes)
    }
}

/// The addresses of the network namespace that a process is in.
fn of_process(process: Tgid) -> Option<BTreeSet<IpAddr>> {
    let file = |name: &str| fs::read_to_string(format!("/proc/{}/net/{name}", process.0));
    let v4 = file("fib_trie").ok()?;
    // Not there in a kernel without IPv6.
    let v6 = file("if_inet6").unwrap_or_default();
    Some(
        local_v4(&v4)
            .map(IpAddr::V4)
            .chain(local_v6(&v6).map(IpAddr::V6))
            .collect(),
    )
}

/// Of the routing table those leaves that are one address of this host: `|-- 10.0.0.1`, then `/32 host LOCAL`.
/// `fib_trie_seq_show`: <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/fib_trie.c>.
fn local_v4(table: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut leaf = None;
    table.lines().filter_map(move |line| {
        let line = line.trim_start();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
            return None;
        }
        line.starts_with("/32 host LOCAL").then_some(leaf).flatten()
    })
}

/// The first word of each line, without colons.
/// `if6_seq_show`: <https://github.com/torvalds/linux/blob/v6.12/net/ipv6/addrconf.c>.
fn local_v6(table: &str) -> impl Iterator<Item = Ipv6Addr> {
    table.lines().filter_map(|line| {
        let digits = line.split_whitespace().next()?;
        let bits = u128::from_str_radix(digits, 16).ok()?;
        (digits.len() == 32).then(|| Ipv6Addr::from_bits(bits))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIE: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
        |-- 127.0.0.0\n        /8 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n     \
        |-- 10.88.0.0\n        /16 link UNICAST\n     |-- 10.88.0.1\n        /32 host LOCAL\n     \
        |-- 10.88.255.255\n        /32 link BROADCAST\n";

    #[test]
    fn only_addresses_of_the_host_itself_count() {
        let found: Vec<Ipv4Addr> = local_v4(TRIE).collect();
        assert_eq!(found, [Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 88, 0, 1)]);
    }

    #[test]
    fn addresses_of_version_6_have_no_colons() {
        let table = "00000000000000000000000000000001 01 80 10 80       lo\nfd000000000000000000000000000002 04 40 00 82     eth0\n";
        let found: Vec<Ipv6Addr> = local_v6(table).collect();
        assert_eq!(
            found,
            ["::1", "fd00::2"].map(|text| text.parse::<Ipv6Addr>().unwrap())
        );
    }

    #[test]
    fn this_host_has_an_address_and_is_asked_once_a_minute() {
        let mut addresses = NodeAddresses::default();
        let own = Tgid(std::process::id());
        assert_eq!(addresses.refresh(Timestamp(0)), None, "nobody to ask");
        addresses.record_starter(own);
        let changes = addresses.refresh(Timestamp(0)).unwrap();
        assert!(changes.added.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
        addresses.record_starter(own);
        assert_eq!(addresses.refresh(Timestamp(1)), None);
        let later = Timestamp(0).after(GOOD_FOR);
        assert_eq!(addresses.refresh(later), None, "nothing changed");
    }
}
