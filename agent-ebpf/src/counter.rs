//! Counters that lose nothing: a program may be interrupted on its CPU by another run of itself or
//! of its neighbour, so that even a per-CPU counter needs an atomic addition.

use aya_ebpf::maps::PerCpuArray;

/// Adds to a `u64` that lives in a map's value.
///
/// The instruction is the one without a fetched result, which every kernel that has BPF knows; the
/// fetching ones came with 5.12.
///
/// # Safety
///
/// `counter` must point to a `u64` in a map's value, as the verifier checks too.
#[inline(always)]
pub(crate) unsafe fn add(counter: *mut u64, value: u64) {
    // SAFETY: the caller's promise; the instruction touches these eight bytes only.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({counter} + 0) += {value}",
            counter = in(reg) counter,
            value = in(reg) value,
            options(nostack),
        );
    }
}

/// Counts one in a slot; a slot that does not exist is not counted.
#[inline(always)]
pub(crate) fn count(counters: &PerCpuArray<u64>, slot: u32) {
    if let Some(counter) = counters.get_ptr_mut(slot) {
        // SAFETY: the map handed out this pointer to its `u64`.
        unsafe { add(counter, 1) }
    }
}
