//! `inet_sock_set_state`: connections to the few endpoints that are waited for.

use core::cell::UnsafeCell;

use agent_common::map::ENDPOINTS_MAX;
use agent_common::record::{ConnectRecord, Endpoint, Kind};
use aya_ebpf::helpers::{bpf_get_current_cgroup_id, bpf_get_current_task};
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::BtfTracePointContext;

use crate::kernel::{Address, BtfPtr};
use crate::output::{Record, RecordHeader, record};
use crate::share::{Cause, NOBODY};
use crate::{filter, process, socket};

#[map]
static ENDPOINTS: HashMap<Endpoint, u64> = HashMap::with_max_entries(ENDPOINTS_MAX, 0);

/// What `agent_common::map::ENDPOINT_COUNT` describes.
#[unsafe(link_section = ".bss.endpoints")]
static ENDPOINT_COUNT: Count = Count(UnsafeCell::new(0));

/// A number in memory that user space writes to.
#[repr(transparent)]
struct Count(UnsafeCell<u64>);

// SAFETY: every access is a volatile read of the whole number.
unsafe impl Sync for Count {}

// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for ConnectRecord {}

/// Whether any endpoint is waited for: most of the time there is none.
#[inline(always)]
pub(crate) fn is_any_awaited() -> bool {
    // SAFETY: valid memory; see the promise of `Sync`.
    unsafe { ENDPOINT_COUNT.0.get().read_volatile() != 0 }
}

/// The slow path, of tracked containers alone; see `signal`. The current task is inside connect(2), and the socket has its destination
/// already.
///
/// <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp_ipv4.c>: `tcp_v4_connect`
#[inline(never)]
pub(crate) fn handle_awaited(ctx: BtfTracePointContext) {
    let Some(endpoint) = socket::peer(BtfPtr::argument(&ctx, 0)) else {
        return;
    };
    // SAFETY: the value is copied at once. An endpoint that is removed in that instant may yield
    // the container of another one; the record says which endpoint it was.
    let Some(container) = unsafe { ENDPOINTS.get(endpoint) }.copied() else {
        return;
    };
    let outermost = filter::outermost(container);
    // Whoever is in a container and connects is to harm nobody but itself.
    // SAFETY: the helper has no precondition.
    let client = filter::outermost(unsafe { bpf_get_current_cgroup_id() });
    let is_in_none = client == NOBODY;
    let about = RecordHeader {
        kind: Kind::Connect,
        container,
        cgroup: container,
        outermost,
        charged: if is_in_none { outermost } else { client },
        cause: Cause::outside_if(is_in_none),
    };
    record(&ctx, about, |to: *mut ConnectRecord| {
        // SAFETY: `record` hands out memory for a whole record; these are all fields after the header.
        unsafe {
            process::copy(Address(bpf_get_current_task()), &raw mut (*to).process);
            (&raw mut (*to).endpoint).write(endpoint);
            (&raw mut (*to).reserved).write(0);
        }
    });
}
