//! `cargo xtask build-ebpf`: the probes' source to `target/ebpf/gracewatch.bpf.o`.
//!
//! 1. Was the object made from these very sources, flags and versions? Then that is all (`stamp`).
//! 2. Find a compiler for the kernel's target, or install one (`toolchain`): the pinned nightly
//!    with rust-src through rustup, else Debian's `rustc-web`.
//! 3. Find bpf-linker in the cache, or build it there, against that compiler's LLVM (`linker`).
//! 4. Let cargo build the package `agent-ebpf` in its own target folder (`compile`).
//! 5. Put the object where `agent/build.rs` takes it from, if it differs from the one there.

mod compile;
mod debian;
mod linker;
mod rustup;
mod stamp;
mod toolchain;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use crate::cache;

/// What `--help` teaches below the options.
const MORE_HELP: &str = "\
The object goes to target/ebpf/gracewatch.bpf.o, and `cargo build` embeds it in the agent.

Rust compiles for the kernel with a nightly feature (-Z build-std=core) and bpf-linker. Both are
found, or installed in one of two ways:

  rustup   the nightly that this project pins, with its component rust-src
  debian   rustc-web, cargo-web, rust-web-src and LLVM's library, with apt-get as root

A way that is ready is taken before one that needs an install; otherwise rustup comes first.
bpf-linker is built once, which takes about a minute, and is kept in $GRACEWATCH_CACHE, else in
~/.cache/gracewatch. A run that finds nothing changed only says so.";

/// Options of `build-ebpf`.
#[derive(Debug, Default, clap::Args)]
#[command(after_long_help = MORE_HELP)]
pub(crate) struct Args {
    /// Which compiler to use.
    #[arg(long, value_enum, default_value_t)]
    toolchain: toolchain::Choice,

    /// Build even if nothing changed.
    #[arg(long)]
    force: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    build_with(args).map(drop)
}

/// What is built, where each lies.
#[derive(Debug)]
pub(crate) struct Objects {
    /// The probes, which `agent/build.rs` embeds.
    pub(crate) probes: PathBuf,
    /// Programs that do nothing on the same hooks, which `bench` compares the probes with. Not in
    /// the probes' folder: the agent is compiled again whenever something changes there.
    pub(crate) empty: PathBuf,
}

/// Builds the probes if anything changed, and returns the object's path.
pub(crate) fn build() -> Result<PathBuf> {
    build_all().map(|objects| objects.probes)
}

/// The same, with the paths of all objects.
pub(crate) fn build_all() -> Result<Objects> {
    build_with(&Args::default())
}

fn build_with(args: &Args) -> Result<Objects> {
    let workspace = cache::workspace();
    let objects = Objects {
        probes: workspace.join("target/ebpf/gracewatch.bpf.o"),
        empty: workspace.join(compile::TARGET_DIR).join("empty.bpf.o"),
    };
    let object = &objects.probes;
    let inputs = stamp::of_inputs(workspace)?;
    if !args.force
        && objects.empty.exists()
        && stamp::is_current(workspace, object, &inputs, args.toolchain)
    {
        print_progress(&format!("up to date: {}", object.display()));
        return Ok(objects);
    }

    let started = Instant::now();
    let toolchain = toolchain::find_or_install(args.toolchain)?;
    let linker = linker::find_or_install(&toolchain)?;
    print_progress(&format!("compiling the probes with {toolchain}"));
    let programs = [
        ("gracewatch-ebpf", object.as_path()),
        ("empty-ebpf", objects.empty.as_path()),
    ];
    compile::build(workspace, &toolchain, &linker, &programs)?;
    stamp::write(workspace, object, &inputs, toolchain.way)?;
    print_progress(&format!(
        "built {} in {:.1} s",
        object.display(),
        started.elapsed().as_secs_f32()
    ));
    Ok(objects)
}

/// One line of progress.
fn print_progress(text: &str) {
    eprintln!("build-ebpf: {text}");
}
