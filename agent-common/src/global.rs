//! The read-only globals of the object, which the loader sets before the kernel sees the programs.
//!
//! aya has no CO-RE relocations for Rust programs, so the offsets of the kernel's structures are
//! looked up in the running kernel's BTF by user space and handed over here. The verifier knows a
//! frozen read-only global as a constant, so a load through it is checked like any other.

/// A member of a kernel structure whose offset the kernel side needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name of the `u32` global.
    pub global: &'static str,
    /// Name of the kernel's structure.
    pub structure: &'static str,
    /// The member, and further members inside it: `["self", "parent"]`.
    pub path: &'static [&'static str],
}

const fn member(
    global: &'static str,
    structure: &'static str,
    path: &'static [&'static str],
) -> Member {
    Member {
        global,
        structure,
        path,
    }
}

/// Every offset that the kernel side needs, in bytes from the start of the structure.
pub const MEMBERS: &[Member] = &[
    member("TASK_CGROUPS", "task_struct", &["cgroups"]),
    member("TASK_FLAGS", "task_struct", &["flags"]),
    member("TASK_TGID", "task_struct", &["tgid"]),
    member("TASK_SIGNAL", "task_struct", &["signal"]),
    member("TASK_SIGHAND", "task_struct", &["sighand"]),
    member("TASK_BLOCKED", "task_struct", &["blocked"]),
    member("TASK_REAL_BLOCKED", "task_struct", &["real_blocked"]),
    member("TASK_PENDING", "task_struct", &["pending", "signal"]),
    member("TASK_PTRACE", "task_struct", &["ptrace"]),
    member("TASK_EXIT_CODE", "task_struct", &["exit_code"]),
    member("TASK_REAL_PARENT", "task_struct", &["real_parent"]),
    member("TASK_GROUP_LEADER", "task_struct", &["group_leader"]),
    member("TASK_START_BOOTTIME", "task_struct", &["start_boottime"]),
    member("TASK_THREAD_PID", "task_struct", &["thread_pid"]),
    member("TASK_COMM", "task_struct", &["comm"]),
    member("TASK_MM", "task_struct", &["mm"]),
    member("MM_ARG_START", "mm_struct", &["arg_start"]),
    member("MM_ARG_END", "mm_struct", &["arg_end"]),
    member("SIGNAL_LIVE", "signal_struct", &["live"]),
    member("SIGNAL_FLAGS", "signal_struct", &["flags"]),
    member(
        "SIGNAL_GROUP_EXIT_CODE",
        "signal_struct",
        &["group_exit_code"],
    ),
    member(
        "SIGNAL_SHARED_PENDING",
        "signal_struct",
        &["shared_pending", "signal"],
    ),
    member("SIGHAND_ACTION", "sighand_struct", &["action"]),
    member("ACTION_HANDLER", "k_sigaction", &["sa", "sa_handler"]),
    member("SIGINFO_CODE", "kernel_siginfo", &["si_code"]),
    member("PID_LEVEL", "pid", &["level"]),
    member("PID_NUMBERS", "pid", &["numbers"]),
    member("UPID_NR", "upid", &["nr"]),
    member("UPID_NS", "upid", &["ns"]),
    member("PID_NS_INUM", "pid_namespace", &["ns", "inum"]),
    member("PID_NS_REBOOT", "pid_namespace", &["reboot"]),
    member("CSS_SET_CGROUP", "css_set", &["dfl_cgrp"]),
    member("CGROUP_KN", "cgroup", &["kn"]),
    member("CGROUP_ROOT", "cgroup", &["root"]),
    member("CGROUP_LEVEL", "cgroup", &["level"]),
    member("CGROUP_PARENT", "cgroup", &["self", "parent"]),
    member("CSS_CGROUP", "cgroup_subsys_state", &["cgroup"]),
    member("CGROUP_ROOT_HIERARCHY", "cgroup_root", &["hierarchy_id"]),
    member("KERNFS_ID", "kernfs_node", &["id"]),
    member("KERNFS_NAME", "kernfs_node", &["name"]),
    member("SOCK_FAMILY", "sock", &["__sk_common", "skc_family"]),
    member("SOCK_PORT", "sock", &["__sk_common", "skc_dport"]),
    member("SOCK_ADDRESS", "sock", &["__sk_common", "skc_daddr"]),
];

/// What is read of sockets, packets and network namespaces, beside [`MEMBERS`]. A kernel may be built without
/// some of these; then all are 0, [`COUNTS_SOCKETS`] too, and connections are not counted.
pub const SOCKET_MEMBERS: &[Member] = &[
    member("SOCK_STATE", "sock", &["__sk_common", "skc_state"]),
    member("SOCK_NET", "sock", &["__sk_common", "skc_net", "net"]),
    member("SOCK_PROTOCOL", "sock", &["sk_protocol"]),
    member("SOCK_CGROUP", "sock", &["sk_cgrp_data"]),
    member("SOCK_BACKLOG", "sock", &["sk_max_ack_backlog"]),
    member("SOCK_ERROR", "sock", &["sk_err"]),
    member("TCP_PACKET_AT", "tcp_sock", &["tcp_mstamp"]),
    member("TCP_SENT_AT", "tcp_sock", &["lsndtime"]),
    member(
        "TCP_RECEIVED_AT",
        "inet_connection_sock",
        &["icsk_ack", "lrcvtime"],
    ),
    member("TCP_ROUND_TRIP", "tcp_sock", &["srtt_us"]),
    member("TCP_ACKNOWLEDGED", "tcp_sock", &["snd_una"]),
    member("TCP_WRITTEN", "tcp_sock", &["write_seq"]),
    member("INET_PORT", "inet_sock", &["inet_sport"]),
    member("NET_INUM", "net", &["ns", "inum"]),
    member("TASK_NSPROXY", "task_struct", &["nsproxy"]),
    member("NSPROXY_NET", "nsproxy", &["net_ns"]),
    member("SKB_HEAD", "sk_buff", &["head"]),
    member("SKB_TRANSPORT", "sk_buff", &["transport_header"]),
    member("SKB_NETWORK", "sk_buff", &["network_header"]),
    member("SKB_DEVICE", "sk_buff", &["dev"]),
    member("SKB_CONTROL", "sk_buff", &["cb"]),
    member("DEVICE_NET", "net_device", &["nd_net", "net"]),
];

/// `u32` global: 1 if the kernel has all of [`SOCKET_MEMBERS`], else 0.
pub const COUNTS_SOCKETS: &str = "COUNTS_SOCKETS";
/// `u32` global: 1 if the pointer in `sock.sk_cgrp_data` shares its place with other data and is told from it by
/// its lowest bits (before 5.16), else 0.
pub const SOCK_CGROUP_IS_TAGGED: &str = "SOCK_CGROUP_IS_TAGGED";
/// `u32` global: 1 if `tcp_send_reset` passes a reason, and so sees resets without a socket (6.10 and later), else 0.
pub const HAS_RESET_REASON: &str = "HAS_RESET_REASON";
/// Size of `struct upid` in bytes: `u32` global, the stride of `pid.numbers`.
pub const UPID_SIZE: &str = "UPID_SIZE";
/// Size of `struct k_sigaction` in bytes: `u32` global, the stride of `sighand_struct.action`.
pub const ACTION_SIZE: &str = "ACTION_SIZE";
/// `u32` global: 1 if `sched_process_exit` passes `group_dead` (6.16 and later), else 0.
pub const HAS_GROUP_DEAD: &str = "HAS_GROUP_DEAD";
/// `u32` global: offset of `sock.__sk_common.skc_v6_daddr`; 0 if the kernel is built without IPv6.
pub const SOCK_ADDRESS6: &str = "SOCK_ADDRESS6";
/// `u64` global: signals that may matter to any container, bit n-1 for signal n.
pub const SIGNALS: &str = "SIGNALS";
/// `u32` global that holds [`crate::record::ABI_VERSION`] as the object was compiled.
pub const ABI: &str = "ABI";

/// Where a program is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A BTF-typed raw tracepoint (`tp_btf`), as in `btf_trace_<name>`.
    Tracepoint(&'static str),
    /// The entry of a kernel function (`fentry`).
    Function(&'static str),
}

impl Hook {
    /// Its name in the kernel.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tracepoint(name) | Self::Function(name) => name,
        }
    }
}

/// A program of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its symbol.
    pub name: &'static str,
    /// What it attaches to.
    pub hook: Hook,
    /// Without it the agent refuses to start; an optional one is reported and left out.
    pub required: bool,
    /// What is not measured without it.
    pub purpose: &'static str,
}

const fn program(name: &'static str, hook: Hook, required: bool, purpose: &'static str) -> Program {
    Program {
        name,
        hook,
        required,
        purpose,
    }
}

/// Every program. Of the two `mark_victim` programs the loader takes the one that fits the hook's signature in
/// BTF (a pid before 6.9, a task since, and in stable kernels to which that was carried back); the two functions are
/// for kernels whose `tcp_send_reset` does not see resets without a socket.
pub const PROGRAMS: &[Program] = &[
    program(
        "signal_generate",
        Hook::Tracepoint("signal_generate"),
        true,
        "stop signals, SIGKILL, who sent them",
    ),
    program(
        "signal_deliver",
        Hook::Tracepoint("signal_deliver"),
        true,
        "what became of a queued signal",
    ),
    program(
        "sched_process_exec",
        Hook::Tracepoint("sched_process_exec"),
        true,
        "hooks and the start of main processes",
    ),
    program(
        "sched_process_exit",
        Hook::Tracepoint("sched_process_exit"),
        true,
        "exits of main processes and hooks",
    ),
    program(
        "cgroup_mkdir",
        Hook::Tracepoint("cgroup_mkdir"),
        true,
        "containers as they appear",
    ),
    program(
        "cgroup_rmdir",
        Hook::Tracepoint("cgroup_rmdir"),
        true,
        "containers as they vanish",
    ),
    program(
        "cgroup_attach_task",
        Hook::Tracepoint("cgroup_attach_task"),
        true,
        "processes moved into a container",
    ),
    program(
        "cgroup_notify_populated",
        Hook::Tracepoint("cgroup_notify_populated"),
        true,
        "the last process of a container gone",
    ),
    program(
        "inet_sock_set_state",
        Hook::Tracepoint("inet_sock_set_state"),
        false,
        "connections, and the start of httpGet hooks",
    ),
    program(
        "tcp_send_reset",
        Hook::Tracepoint("tcp_send_reset"),
        false,
        "TCP resets sent",
    ),
    program(
        "tcp_receive_reset",
        Hook::Tracepoint("tcp_receive_reset"),
        false,
        "TCP resets received",
    ),
    program(
        "tcp_v4_send_reset",
        Hook::Function("tcp_v4_send_reset"),
        false,
        "connections refused over IPv4",
    ),
    program(
        "tcp_v6_send_reset",
        Hook::Function("tcp_v6_send_reset"),
        false,
        "connections refused over IPv6",
    ),
    program(
        "mark_victim_pid",
        Hook::Tracepoint("mark_victim"),
        false,
        "OOM kills",
    ),
    program(
        "mark_victim_task",
        Hook::Tracepoint("mark_victim"),
        false,
        "OOM kills",
    ),
];
