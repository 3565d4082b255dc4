//! The kernel side of Gracewatch: programs on BTF-typed tracepoints that filter, copy facts and
//! count. They make no decision.
//!
//! One file per subject of hooks ([`signal`], [`delivery`], [`exec`], [`exit`], [`cgroup`], [`oom`], [`connections`] with [`connect`],
//! [`reset`]); the rest is what these share. The layout of the records and the meaning of the maps stand in `agent-common`.
#![no_std]
#![no_main]
// For the atomic add of `counter`: the target has no atomics of the language.
#![feature(asm_experimental_arch)]
#![expect(
    clippy::inline_always,
    reason = "a call takes registers and stack, and the verifier follows bounds best inside one function"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a checked conversion is a branch for the verifier; what is cast is a size known to fit"
)]

mod birth;
mod bucket;
mod budget;
mod cgroup;
mod connect;
mod connections;
mod counter;
mod delivery;
mod exec;
mod exit;
mod filter;
mod globals;
mod idle;
mod kernel;
mod network;
mod oom;
mod output;
mod packet;
mod peers;
mod phase;
mod place;
mod process;
mod reset;
mod share;
mod signal;
mod socket;
mod treatment;

/// The helpers that read the kernel's memory are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
