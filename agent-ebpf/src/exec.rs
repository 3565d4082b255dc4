//! `sched_process_exec`: main processes and hooks as they start.

use core::ffi::c_void;

use agent_common::record::{ARGV_SIZE, ExecRecord, Kind};
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::globals::{MM_ARG_END, MM_ARG_START, TASK_MM};
use crate::kernel::{Address, BtfPtr};
use crate::output::{Record, RecordHeader, record};
use crate::share::Cause;
use crate::{filter, process};

// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for ExecRecord {}

/// Runs after a successful exec, in the task that did it, with its new memory in place.
///
/// Arguments: `struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm`
/// <https://github.com/torvalds/linux/blob/v6.12/include/trace/events/sched.h>
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn sched_process_exec(ctx: BtfTracePointContext) {
    let cgroup = BtfPtr::argument(&ctx, 0).task_cgroup_id();
    if filter::may_be_tracked(cgroup) {
        handle_tracked(ctx, cgroup);
    }
}

/// The slow path, of tracked cgroups alone; see `signal`.
#[inline(never)]
fn handle_tracked(ctx: BtfTracePointContext, cgroup: u64) {
    let Some(subject) = filter::subject(cgroup) else {
        return;
    };
    let task = BtfPtr::argument(&ctx, 0);
    if !filter::watch_if_from_outside(task, subject) {
        return;
    }
    let about = RecordHeader {
        kind: Kind::Exec,
        container: subject.container,
        cgroup,
        outermost: subject.outermost,
        charged: subject.outermost,
        cause: Cause::Inside,
    };
    record(&ctx, about, |to: *mut ExecRecord| {
        // SAFETY: `record` hands out memory for a whole record; these are all fields after the header.
        unsafe {
            process::copy(task.address(), &raw mut (*to).process);
            copy_argv(task.address().follow(&TASK_MM), to);
        }
    });
}

/// Copies the command line from the memory of the current task.
///
/// # Safety
///
/// `to` must be writable.
#[inline(always)]
unsafe fn copy_argv(mm: Address, to: *mut ExecRecord) {
    let start: u64 = mm.read(&MM_ARG_START);
    let end: u64 = mm.read(&MM_ARG_END);
    let full = end.saturating_sub(start);
    // SAFETY: `to` is writable, as the caller promises.
    let argv = unsafe { &raw mut (*to).argv };
    // SAFETY: as above. The helper writes what it copies and no more.
    unsafe { argv.write_bytes(0, 1) };
    // Two calls, because the verifier of 5.10 wants a size that is a constant or visibly bounded.
    let (size, result) = if full >= ARGV_SIZE as u64 {
        // SAFETY: `argv` has this size; the helper checks the address.
        let result =
            unsafe { bpf_probe_read_user(argv.cast(), ARGV_SIZE as u32, start as *const c_void) };
        (ARGV_SIZE as u64, result)
    } else {
        let size = below_argv_size(full);
        // SAFETY: `argv` has more room than this; the helper checks the address.
        let result =
            unsafe { bpf_probe_read_user(argv.cast(), size as u32, start as *const c_void) };
        (size, result)
    };
    // SAFETY: `to` is writable, as the caller promises.
    unsafe {
        (&raw mut (*to).argv_size).write(if result == 0 { size as u32 } else { 0 });
        (&raw mut (*to).argv_size_full).write(u32::try_from(full).unwrap_or(u32::MAX));
    }
}

/// The same number, which must be below [`ARGV_SIZE`], with a bound that the verifier sees at the
/// very register: the compiler knows that the mask changes nothing and would drop it.
#[inline(always)]
fn below_argv_size(size: u64) -> u64 {
    const _: () = assert!(ARGV_SIZE.is_power_of_two());
    let mut size = size;
    // SAFETY: arithmetic on a register.
    unsafe {
        core::arch::asm!(
            "{size} &= {mask}",
            size = inout(reg) size,
            mask = const ARGV_SIZE - 1,
            options(nomem, nostack, pure),
        );
    }
    size
}
