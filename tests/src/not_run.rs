//! Says, at the end of every `cargo test`, what that command does not run: it proves nothing about a kernel.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "to say it is all that this does")]

fn main() {
    println!(
        "\nNot run by `cargo test`: the probes on this kernel (real processes, signals and cgroups; needs root), the other\n\
         kernels (in QEMU), formatting, lints and the demo. `cargo xtask test`, as root, runs all of them.\n"
    );
}
