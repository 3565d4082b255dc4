//! Records into the ring buffer. What finds no room is counted by kind, and so is what does not.

use core::mem::size_of;

use agent_common::map::EVENTS_BYTES;
use agent_common::record::{Header, Kind};
use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use aya_log_ebpf::debug;

use crate::share::Cause;
use crate::{counter, share};

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(EVENTS_BYTES, 0);
#[map]
static RECORDED: PerCpuArray<u64> = PerCpuArray::with_max_entries(Kind::SLOTS, 0);
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(Kind::SLOTS, 0);

/// What a record is about.
#[derive(Clone, Copy)]
pub(crate) struct RecordHeader {
    pub(crate) kind: Kind,
    pub(crate) container: u64,
    pub(crate) cgroup: u64,
    /// The outermost container that it is about.
    pub(crate) outermost: u64,
    /// The outermost container from whose share the record is taken; [`NOBODY`](share::NOBODY) if from none.
    pub(crate) charged: u64,
    /// Who caused it: see [`Share::from_outside_whole_at`](agent_common::map::Share::from_outside_whole_at).
    pub(crate) cause: Cause,
}

/// A record of the contract: it starts with a [`Header`].
///
/// # Safety
///
/// `repr(C)`, the header first, no padding, at most 8 bytes of alignment.
pub(crate) unsafe trait Record: 'static {}

/// Makes one record in the memory of the ring buffer: a record does not fit on the stack.
///
/// `fill` must write every byte after the header; the memory holds what an older record left. Says whether there was room;
/// without, `fill` does not run.
#[inline(always)]
pub(crate) fn record<T: Record>(
    ctx: &impl EbpfContext,
    about: RecordHeader,
    fill: impl FnOnce(*mut T),
) -> bool {
    if !share::take_record(about.charged, about.cause, &EVENTS) {
        lose(about);
        return false;
    }
    let header = Header {
        kind: about.kind as u32,
        size: size_of::<T>() as u32,
        // SAFETY: the helper has no precondition.
        at: unsafe { bpf_ktime_get_boot_ns() },
        container: about.container,
        cgroup: about.cgroup,
    };
    let Some(mut entry) = EVENTS.reserve::<T>(0) else {
        lose(about);
        return false;
    };
    // SAFETY: the header is what the reserved record starts with.
    unsafe { entry.as_mut_ptr().cast::<Header>().write(header) }
    fill(entry.as_mut_ptr());
    entry.submit(0);
    counter::count(&RECORDED, about.kind as u32);
    debug!(
        ctx,
        "record of kind {} for container {}, cgroup {}",
        about.kind as u32,
        about.container,
        about.cgroup
    );
    true
}

/// First for whom it is lost: who sees that something was lost is to see that, too.
#[inline(always)]
fn lose(about: RecordHeader) {
    share::note_lost(about.outermost);
    counter::count(&LOST, about.kind as u32);
}
