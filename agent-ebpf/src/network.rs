//! Whose is what has no socket: known by the port that was listened on, or by the network namespace alone.

use agent_common::map::Subject;
use agent_common::socket::{Connections, LISTENERS_MAX, Listener, NETWORKS_MAX, Scope};
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;

use crate::globals::{COUNTS_SOCKETS, NET_INUM, NSPROXY_NET, TASK_NSPROXY, TASK_REAL_PARENT};
use crate::kernel::BtfPtr;
use crate::share::Remembered;
use crate::{connections, share};

#[map]
static LISTENERS: LruHashMap<Listener, u64> = LruHashMap::with_max_entries(LISTENERS_MAX, 0);
#[map]
static NETWORKS: LruHashMap<u32, u64> = LruHashMap::with_max_entries(NETWORKS_MAX, 0);

/// Takes note of the network namespace of a process that came from outside, unless it came with the one of its
/// parent: then it is the machine's, or another one that says nothing of the container.
#[inline(always)]
pub(crate) fn remember(task: BtfPtr, subject: Subject) {
    if COUNTS_SOCKETS.load() == 0 {
        return;
    }
    let network = network_namespace(task);
    if network == 0 || network == network_namespace(task.follow(&TASK_REAL_PARENT)) {
        return;
    }
    put(&NETWORKS, network, subject, Remembered::Network);
}

#[inline(always)]
fn network_namespace(task: BtfPtr) -> u32 {
    task.follow(&TASK_NSPROXY)
        .follow(&NSPROXY_NET)
        .load(&NET_INUM)
}

/// Takes note of who listens on a port, or did until now.
#[inline(always)]
pub(crate) fn record_listener(listener: Listener, subject: Subject) {
    // Beyond the share, what is refused at this port later counts for its pod, and no more for its container.
    put(&LISTENERS, listener, subject, Remembered::Listener);
}

/// Remembers whose this is, unless that is known, or the share of its outermost container is used up.
#[inline(always)]
fn put<K>(owners: &LruHashMap<K, u64>, key: K, subject: Subject, remembered: Remembered) {
    let (container, outermost) = (subject.container, subject.outermost);
    // SAFETY: the value is copied at once.
    if unsafe { owners.get(&key) }.is_some_and(|known| *known == container) {
        return;
    }
    if !share::take(outermost, remembered) {
        share::note_lost(outermost);
        return;
    }
    // The oldest entry gives way, so there is always room.
    let _inserted = owners.insert(&key, container, 0);
}

/// Somebody else listens on a port.
#[inline(always)]
pub(crate) fn forget_listener(listener: Listener) {
    let _removed = LISTENERS.remove(listener);
}

/// Whether a tracked container was seen to listen on a port.
#[inline(always)]
pub(crate) fn is_known(listener: Listener) -> bool {
    LISTENERS.get_ptr(listener).is_some()
}

/// The container that a port belongs to, what tells so, and what is counted of it.
#[inline(always)]
pub(crate) fn owner(listener: Listener) -> Option<(u64, Scope, *mut Connections)> {
    // SAFETY: the value is copied at once.
    let listened = unsafe { LISTENERS.get(listener) }.copied();
    // Who is not counted any more is not the owner either.
    if let Some(container) = listened
        && let Some(connections) = connections::counters(container)
    {
        return Some((container, Scope::Container, connections));
    }
    // SAFETY: the same.
    let container = unsafe { NETWORKS.get(listener.network) }.copied()?;
    Some((container, Scope::Pod, connections::counters(container)?))
}
