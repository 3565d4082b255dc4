//! Programs that do nothing, on the hooks of the others: what `cargo xtask bench` compares these
//! with. An object of its own, which the agent never sees.
#![no_std]
#![no_main]

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

#[btf_tracepoint(function = "signal_generate")]
fn signal_generate(_ctx: BtfTracePointContext) {}

#[btf_tracepoint(function = "signal_deliver")]
fn signal_deliver(_ctx: BtfTracePointContext) {}

#[btf_tracepoint(function = "sched_process_exec")]
fn sched_process_exec(_ctx: BtfTracePointContext) {}

#[btf_tracepoint(function = "sched_process_exit")]
fn sched_process_exit(_ctx: BtfTracePointContext) {}

#[btf_tracepoint(function = "cgroup_mkdir")]
fn cgroup_mkdir(_ctx: BtfTracePointContext) {}

#[btf_tracepoint(function = "cgroup_rmdir")]
fn cgroup_rmdir(_ctx: BtfTracePointContext) {}

#[btf_tracepoint(function = "cgroup_attach_task")]
fn cgroup_attach_task(_ctx: BtfTracePointContext) {}

#[btf_tracepoint(function = "cgroup_notify_populated")]
fn cgroup_notify_populated(_ctx: BtfTracePointContext) {}

#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state(_ctx: BtfTracePointContext) {}

#[btf_tracepoint(function = "tcp_send_reset")]
fn tcp_send_reset(_ctx: BtfTracePointContext) {}

#[btf_tracepoint(function = "tcp_receive_reset")]
fn tcp_receive_reset(_ctx: BtfTracePointContext) {}

/// The same as the others', so that the kernel treats them alike.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
