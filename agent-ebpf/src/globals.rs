//! The read-only globals that the loader sets: offsets in the kernel's structures, the shape of its
//! hooks, the filter on signals. The verifier knows them as constants.

use agent_common::global::{MEMBERS, SOCKET_MEMBERS};
use agent_common::record::ABI_VERSION;
use aya_ebpf::Global;

/// An offset in bytes, or a stride.
pub(crate) type Offset = Global<u32>;

macro_rules! offsets {
    ($members:expr; hot: $($hot:ident)+; cold: $($name:ident)+) => {
        $(
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".rodata.hot")]
            pub(crate) static $hot: Offset = Global::new(0);
        )+
        $(
            #[unsafe(no_mangle)]
            pub(crate) static $name: Offset = Global::new(0);
        )+
        /// The loader refuses an object that lacks a member's global; that there is no global
        /// which it does not set is said here.
        const _: () = assert!([$(stringify!($hot)),+, $(stringify!($name)),+].len() == $members.len());
    };
}

// What every event needs lies together, in one line of the cache.
offsets! {
    MEMBERS;
    hot:
    TASK_CGROUPS
    CSS_SET_CGROUP
    CGROUP_KN
    KERNFS_ID;
    cold:
    TASK_FLAGS
    TASK_TGID
    TASK_SIGNAL
    TASK_SIGHAND
    TASK_BLOCKED
    TASK_REAL_BLOCKED
    TASK_PENDING
    TASK_PTRACE
    TASK_EXIT_CODE
    TASK_REAL_PARENT
    TASK_GROUP_LEADER
    TASK_START_BOOTTIME
    TASK_THREAD_PID
    TASK_COMM
    TASK_MM
    MM_ARG_START
    MM_ARG_END
    SIGNAL_LIVE
    SIGNAL_FLAGS
    SIGNAL_GROUP_EXIT_CODE
    SIGNAL_SHARED_PENDING
    SIGHAND_ACTION
    ACTION_HANDLER
    SIGINFO_CODE
    PID_LEVEL
    PID_NUMBERS
    UPID_NR
    UPID_NS
    PID_NS_INUM
    PID_NS_REBOOT
    KERNFS_NAME
    CGROUP_ROOT
    CGROUP_LEVEL
    CGROUP_PARENT
    CSS_CGROUP
    CGROUP_ROOT_HIERARCHY
    SOCK_FAMILY
    SOCK_PORT
    SOCK_ADDRESS
}

// All 0 if the kernel lacks one of them: see `COUNTS_SOCKETS`.
offsets! {
    SOCKET_MEMBERS;
    hot:
    SOCK_STATE
    SOCK_CGROUP;
    cold:
    SOCK_NET
    SOCK_PROTOCOL
    SOCK_BACKLOG
    SOCK_ERROR
    TCP_PACKET_AT
    TCP_SENT_AT
    TCP_RECEIVED_AT
    TCP_ROUND_TRIP
    TCP_ACKNOWLEDGED
    TCP_WRITTEN
    INET_PORT
    NET_INUM
    TASK_NSPROXY
    NSPROXY_NET
    SKB_HEAD
    SKB_TRANSPORT
    SKB_NETWORK
    SKB_DEVICE
    SKB_CONTROL
    DEVICE_NET
}

/// Size of `struct upid`.
#[unsafe(no_mangle)]
pub(crate) static UPID_SIZE: Offset = Global::new(0);
/// Size of `struct k_sigaction`.
#[unsafe(no_mangle)]
pub(crate) static ACTION_SIZE: Offset = Global::new(0);
/// Offset of a `struct sock`'s IPv6 address; 0 if the kernel has none.
#[unsafe(no_mangle)]
pub(crate) static SOCK_ADDRESS6: Offset = Global::new(0);
/// 1 if the kernel has all of `SOCKET_MEMBERS`.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.hot")]
pub(crate) static COUNTS_SOCKETS: Global<u32> = Global::new(0);
/// 1 if the lowest bits of `sock.sk_cgrp_data` tell whether it is a pointer.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.hot")]
pub(crate) static SOCK_CGROUP_IS_TAGGED: Global<u32> = Global::new(0);
/// 1 if `tcp_send_reset` passes a reason.
#[unsafe(no_mangle)]
pub(crate) static HAS_RESET_REASON: Global<u32> = Global::new(0);
/// 1 if `sched_process_exit` passes `group_dead`.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.hot")]
pub(crate) static HAS_GROUP_DEAD: Global<u32> = Global::new(0);
/// Signals that may matter to any container, bit n-1 for signal n.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.hot")]
pub(crate) static SIGNALS: Global<u64> = Global::new(0);

/// What the loader compares with its own version. No program reads it.
#[used]
#[unsafe(no_mangle)]
static ABI: u32 = ABI_VERSION;
