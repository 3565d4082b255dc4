//! `cgroup_mkdir`, `cgroup_rmdir`, `cgroup_attach_task`, `cgroup_notify_populated`: containers as
//! they come, fill, empty and go.
//!
//! All four pass the cgroup first and its path below the hierarchy's root second. They fire for the
//! v1 hierarchies of a hybrid machine too, which are passed over.
//! <https://github.com/torvalds/linux/blob/v6.12/include/trace/events/cgroup.h>

use agent_common::map::{OUTSIDE, Subject};
use agent_common::record::{AttachRecord, CgroupRecord, CgroupStateRecord, Kind, PATH_SIZE};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::globals::{CGROUP_LEVEL, TASK_TGID};
use crate::kernel::{Address, BtfPtr};
use crate::output::{Record, RecordHeader, record};
use crate::place::{Made, Where};
use crate::share::{Cause, NOBODY};
use crate::{birth, connections, filter, place, process, share};

// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for CgroupRecord {}
// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for CgroupStateRecord {}
// SAFETY: see the assertions on its layout in `agent-common`.
unsafe impl Record for AttachRecord {}

/// Every new cgroup is told to user space, which knows the containers by their paths. One inside a
/// container becomes part of it before anybody can enter it, and one beside a container is tracked as one.
///
/// Arguments: `struct cgroup *cgrp, const char *path`
#[btf_tracepoint(function = "cgroup_mkdir")]
pub(crate) fn cgroup_mkdir(ctx: BtfTracePointContext) {
    let cgroup = BtfPtr::argument(&ctx, 0);
    if !cgroup.is_of_default_hierarchy() {
        return;
    }
    let id = cgroup.cgroup_id();
    let parent = cgroup.cgroup_parent().cgroup_id();
    let around = filter::container(parent);
    let place = place::of(cgroup);
    let is_born = birth::track_new(cgroup, id, parent, place);
    let container = if is_born {
        id
    } else {
        filter::adopt(id, parent);
        around
    };
    let (outermost, charged) = match place {
        Where::Inside(outermost) => (outermost, outermost),
        Where::Outside(place) => {
            if !is_born && !place::take(place, Made::Other) {
                share::note_lost(OUTSIDE);
                return;
            }
            // Its place has been charged.
            (OUTSIDE, NOBODY)
        }
    };
    let about = RecordHeader {
        kind: Kind::CgroupMade,
        container,
        cgroup: id,
        outermost,
        charged,
        cause: Cause::Inside,
    };
    let path = Address(ctx.arg(1));
    record(&ctx, about, |to: *mut CgroupRecord| {
        if is_born {
            birth::confirm(id);
        }
        // SAFETY: `record` hands out memory for a whole record; these are all fields after the header.
        unsafe {
            (&raw mut (*to).parent).write(parent);
            (&raw mut (*to).level).write(cgroup.load(&CGROUP_LEVEL));
            copy_path(path, to);
        }
    });
}

/// # Safety
///
/// `to` must be writable.
#[inline(always)]
unsafe fn copy_path(path: Address, to: *mut CgroupRecord) {
    // SAFETY: `to` is writable, as the caller promises; the helper checks the address and ends
    // what it copies with a NUL.
    unsafe {
        let buffer = &raw mut (*to).path;
        buffer.write_bytes(0, 1);
        let copied = bpf_probe_read_kernel_str(buffer.cast(), PATH_SIZE as u32, path.0 as *const _);
        // The helper counts the NUL; negative if the path cannot be read.
        let size = if copied > 0 { copied as u32 - 1 } else { 0 };
        (&raw mut (*to).path_size).write(size);
    }
}

/// Runs when the cgroup's directory is gone.
///
/// Arguments: `struct cgroup *cgrp, const char *path`
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/cgroup/cgroup.c>: `cgroup_rmdir`
#[btf_tracepoint(function = "cgroup_rmdir")]
pub(crate) fn cgroup_rmdir(ctx: BtfTracePointContext) {
    let cgroup = BtfPtr::argument(&ctx, 0);
    if !cgroup.is_of_default_hierarchy() {
        return;
    }
    let id = cgroup.cgroup_id();
    birth::forget_parent(id);
    let Some(subject) = filter::entry(id) else {
        return;
    };
    if birth::forget_unconfirmed(id, subject) {
        return;
    }
    if subject.container == id {
        connections::release_resets(id, subject.outermost);
    }
    filter::disown(id, subject);
    let about = RecordHeader {
        kind: Kind::CgroupRemoved,
        container: subject.container,
        cgroup: id,
        outermost: subject.outermost,
        charged: subject.outermost,
        cause: cause_of_state(id, subject),
    };
    record_state(&ctx, about, 0);
}

/// Arguments: `struct cgroup *cgrp, const char *path, int val`
#[btf_tracepoint(function = "cgroup_notify_populated")]
pub(crate) fn cgroup_notify_populated(ctx: BtfTracePointContext) {
    let Some((id, subject)) = tracked(&ctx) else {
        return;
    };
    let about = RecordHeader {
        kind: Kind::CgroupPopulated,
        container: subject.container,
        cgroup: id,
        outermost: subject.outermost,
        charged: subject.outermost,
        cause: cause_of_state(id, subject),
    };
    record_state(&ctx, about, u32::from(ctx.arg::<i32>(2) != 0));
}

/// Who causes a change of a cgroup: an outermost container's own cgroup fills, empties and goes when the runtime wishes.
#[inline(always)]
fn cause_of_state(id: u64, subject: Subject) -> Cause {
    Cause::outside_if(id == subject.outermost)
}

/// Id of the cgroup that the hook is about, and what is said of it, if it is tracked.
#[inline(always)]
fn tracked(ctx: &BtfTracePointContext) -> Option<(u64, Subject)> {
    let cgroup = BtfPtr::argument(ctx, 0);
    if !cgroup.is_of_default_hierarchy() {
        return None;
    }
    let id = cgroup.cgroup_id();
    Some((id, filter::subject(id)?))
}

#[inline(always)]
fn record_state(ctx: &BtfTracePointContext, about: RecordHeader, populated: u32) {
    record(ctx, about, |to: *mut CgroupStateRecord| {
        // SAFETY: `record` hands out memory for a whole record; these are all fields after the header.
        unsafe {
            (&raw mut (*to).populated).write(populated);
            (&raw mut (*to).reserved).write(0);
        }
    });
}

/// Runs for a move by a write to `cgroup.procs` or `cgroup.threads`, when it is done; not for a
/// process that is born in its cgroup.
///
/// Arguments: `struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool threadgroup`
#[btf_tracepoint(function = "cgroup_attach_task")]
pub(crate) fn cgroup_attach_task(ctx: BtfTracePointContext) {
    let cgroup = BtfPtr::argument(&ctx, 0);
    if !cgroup.is_of_default_hierarchy() {
        return;
    }
    let task = BtfPtr::argument(&ctx, 2);
    let id = cgroup.cgroup_id();
    let Some(subject) = filter::subject(id) else {
        // It may have left a container; its exit is looked at in its new cgroup only.
        filter::unwatch(task.load(&TASK_TGID), 0);
        return;
    };
    if !filter::watch_if_from_outside(task, subject) {
        return;
    }
    let about = RecordHeader {
        kind: Kind::Attach,
        container: subject.container,
        cgroup: id,
        outermost: subject.outermost,
        charged: subject.outermost,
        cause: Cause::Inside,
    };
    record(&ctx, about, |to: *mut AttachRecord| {
        // SAFETY: `record` hands out memory for a whole record; this is its only field after the header.
        unsafe { process::copy(task.address(), &raw mut (*to).process) }
    });
}
