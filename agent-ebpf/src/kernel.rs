//! Reading the kernel's structures, in the two ways there are.
//!
//! [`BtfPtr`]: what a hook passes, and what is reached from there. The verifier knows the type from
//! the kernel's BTF and allows plain loads, which cost next to nothing (a fault reads as zero). But
//! offsets must be constants, and some fields have a type that cannot be followed.
//!
//! [`Address`]: any number that is believed to be an address. A helper reads it, and zero is what a
//! fault reads as. It costs a call, so it is for what passed the filter.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel as copy_kernel;
use aya_ebpf::programs::{BtfTracePointContext, FEntryContext};

use crate::globals::{
    CGROUP_KN, CGROUP_PARENT, CGROUP_ROOT, CGROUP_ROOT_HIERARCHY, CSS_CGROUP, CSS_SET_CGROUP,
    KERNFS_ID, Offset, TASK_CGROUPS,
};

/// A pointer whose type the verifier knows.
#[derive(Clone, Copy)]
pub(crate) struct BtfPtr(*const u8);

impl BtfPtr {
    /// The hook's argument `n`, which must be a pointer to a structure.
    #[inline(always)]
    pub(crate) fn argument(ctx: &BtfTracePointContext, n: usize) -> Self {
        Self(ctx.arg(n))
    }

    /// The same of a kernel function that is traced at its entry.
    #[inline(always)]
    pub(crate) fn parameter(ctx: &FEntryContext, n: usize) -> Self {
        Self(ctx.arg(n))
    }

    /// Whether there is nothing. Before a load the verifier wants this asked of an argument that may be missing.
    #[inline(always)]
    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Loads a member.
    #[inline(always)]
    pub(crate) fn load<T: Copy>(self, member: &Offset) -> T {
        // SAFETY: the verifier has checked the offset against the structure's type, and a fault
        // in the load reads as zero. Volatile, so that the load keeps its width and its place.
        unsafe {
            self.0
                .add(member.load() as usize)
                .cast::<T>()
                .read_volatile()
        }
    }

    /// Follows a member that is a pointer to a structure.
    #[inline(always)]
    pub(crate) fn follow(self, member: &Offset) -> Self {
        Self(self.load(member))
    }

    /// The same for readers of addresses.
    #[inline(always)]
    pub(crate) fn address(self) -> Address {
        Address(self.0 as u64)
    }

    /// Id of a `struct cgroup`.
    #[inline(always)]
    pub(crate) fn cgroup_id(self) -> u64 {
        self.follow(&CGROUP_KN).load(&KERNFS_ID)
    }

    /// The `struct cgroup` above a `struct cgroup`.
    #[inline(always)]
    pub(crate) fn cgroup_parent(self) -> Self {
        self.follow(&CGROUP_PARENT).follow(&CSS_CGROUP)
    }

    /// Id of the v2 cgroup of a `struct task_struct`.
    #[inline(always)]
    pub(crate) fn task_cgroup_id(self) -> u64 {
        self.follow(&TASK_CGROUPS)
            .follow(&CSS_SET_CGROUP)
            .cgroup_id()
    }

    /// Whether a `struct cgroup` is of the v2 hierarchy. The hooks fire for v1 hierarchies too.
    #[inline(always)]
    pub(crate) fn is_of_default_hierarchy(self) -> bool {
        self.follow(&CGROUP_ROOT)
            .load::<u32>(&CGROUP_ROOT_HIERARCHY)
            == 0
    }
}

/// An address in the kernel's memory.
#[derive(Clone, Copy)]
pub(crate) struct Address(pub(crate) u64);

impl Address {
    /// Reads a member; zero if it cannot be read.
    #[inline(always)]
    pub(crate) fn read<T: Copy + Default>(self, member: &Offset) -> T {
        self.plus(u64::from(member.load())).get()
    }

    /// Reads what stands at the address; zero if it cannot be read.
    #[inline(always)]
    pub(crate) fn get<T: Copy + Default>(self) -> T {
        // SAFETY: the helper checks the address and reports a fault.
        unsafe { bpf_probe_read_kernel(self.0 as *const T) }.unwrap_or_default()
    }

    /// Follows a member that is a pointer.
    #[inline(always)]
    pub(crate) fn follow(self, member: &Offset) -> Self {
        Self(self.read(member))
    }

    /// The address so many bytes on.
    #[inline(always)]
    pub(crate) fn plus(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// Copies bytes of a member; zeros if they cannot be read.
    ///
    /// # Safety
    ///
    /// `to` must have room for `SIZE` bytes.
    #[inline(always)]
    pub(crate) unsafe fn copy<const SIZE: usize>(self, member: &Offset, to: *mut [u8; SIZE]) {
        let from = self.plus(u64::from(member.load())).0 as *const c_void;
        // SAFETY: the caller gives the room; the helper checks the address, and zeroes the room if
        // it faults, so its result says nothing more.
        let _faulted: i64 = unsafe { copy_kernel(to.cast(), SIZE as u32, from) };
    }

    /// Id of the v2 cgroup of a `struct task_struct`.
    #[inline(always)]
    pub(crate) fn task_cgroup_id(self) -> u64 {
        self.follow(&TASK_CGROUPS)
            .follow(&CSS_SET_CGROUP)
            .follow(&CGROUP_KN)
            .read(&KERNFS_ID)
    }
}
