//! `inet_sock_set_state`: connections to the few endpoints that are waited for.

use core::cell::UnsafeCell;

use agent_common::map::ENDPOINTS_MAX;
use agent_common::record::{ConnectRecord, Endpoint, Kind};
use aya_ebpf::helpers::bpf_get_current_task;
use aya_ebpf::macros::{btf_tracepoint, map};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::BtfTracePointContext;

use crate::globals::{SOCK_ADDRESS, SOCK_ADDRESS6, SOCK_FAMILY, SOCK_PORT};
use crate::kernel::{Address, Typed};
use crate::output::{About, Record, record};
use crate::process;

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

/// `TCP_CLOSE` and `TCP_SYN_SENT` of the states.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/net/tcp_states.h>
const CLOSE: i32 = 7;
const SYN_SENT: i32 = 2;
/// Address families.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/socket.h>
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for ConnectRecord {}

/// Runs for every change of state of every TCP connection of the machine. In the one that is looked
/// at, the current task is inside connect(2), and the socket has its destination already.
///
/// Arguments: `const struct sock *sk, const int oldstate, const int newstate`
/// <https://github.com/torvalds/linux/blob/v6.12/include/trace/events/sock.h>, and
/// <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp_ipv4.c>: `tcp_v4_connect`
#[btf_tracepoint(function = "inet_sock_set_state")]
pub(crate) fn inet_sock_set_state(ctx: BtfTracePointContext) {
    // SAFETY: valid memory; see the promise of `Sync`.
    let awaited = unsafe { ENDPOINT_COUNT.0.get().read_volatile() };
    if awaited != 0 && ctx.arg::<i32>(1) == CLOSE && ctx.arg::<i32>(2) == SYN_SENT {
        look(ctx);
    }
}

/// The way of the few; see `signal`.
#[inline(never)]
fn look(ctx: BtfTracePointContext) {
    let Some(endpoint) = destination(Typed::argument(&ctx, 0)) else {
        return;
    };
    // SAFETY: the value is copied at once. An endpoint that is removed in that instant may yield
    // the container of another one; the record says which endpoint it was.
    let Some(container) = unsafe { ENDPOINTS.get(endpoint) }.copied() else {
        return;
    };
    let about = About {
        kind: Kind::Connect,
        container,
        cgroup: container,
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

/// Where a `struct sock` connects to.
#[inline(always)]
fn destination(sock: Typed) -> Option<Endpoint> {
    let mut endpoint = Endpoint {
        address: [0; _],
        port: u32::from(u16::from_be(sock.load(&SOCK_PORT))),
    };
    match sock.load::<u16>(&SOCK_FAMILY) {
        AF_INET => {
            // As an IPv6 address: `::ffff:a.b.c.d`.
            let [a, b, c, d] = sock.load::<u32>(&SOCK_ADDRESS).to_ne_bytes();
            endpoint.address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d];
        }
        // A socket of this family may be on its way to a mapped IPv4 address.
        AF_INET6 if SOCK_ADDRESS6.load() != 0 => {
            // SAFETY: the field has these 16 bytes.
            unsafe {
                sock.address()
                    .copy(&SOCK_ADDRESS6, &raw mut endpoint.address);
            }
        }
        _ => return None,
    }
    Some(endpoint)
}
