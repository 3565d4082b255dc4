//! Calling cargo again, in the workspace.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::{cache, process};

/// The cargo that called us, in the workspace's root.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(cache::workspace()).args(args);
    command
}

/// Everything but the kernel side, which compiles for another target. Which packages are named decides which features
/// dependencies have; as long as all commands name these, none compiles anew what another has compiled.
pub(crate) const USER_SIDE: [&str; 3] = ["--workspace", "--exclude", "agent-ebpf"];

/// Builds a program without optimization; gives its path.
pub(crate) fn build_debug(program: &str) -> Result<PathBuf> {
    let mut build = cargo(&["build", "--quiet"]);
    process::run(build.args(USER_SIDE).args(["--bin", program]))?;
    Ok(cache::workspace().join("target/debug").join(program))
}

/// Builds the agent around the eBPF object, and a program that uses it, both as they are in the image and in a virtual machine: what
/// is tested is what runs elsewhere, and one build serves all. Gives the program's path.
pub(crate) fn build_with_agent(object: &Path, program: &str) -> Result<PathBuf> {
    Ok(build_static(object, &["gracewatch", program])?.join(program))
}

const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds programs around the eBPF object; statically, so that they run where there is nothing else. Gives the folder they
/// are in. It is one of their own, so that their flags neither rebuild the workspace nor wait for it. Paths of this machine
/// are taken out of what is compiled here; the eBPF object comes as it is.
pub(crate) fn build_static(object: &Path, programs: &[&str]) -> Result<PathBuf> {
    eprintln!("building {}, static", programs.join(" and "));
    let started = Instant::now();
    let folder = cache::workspace().join("target/static");
    let mut build = cargo(&["build", "--quiet", "--release", "--target", STATIC_TARGET]);
    build.arg("--target-dir").arg(&folder).args(USER_SIDE);
    for name in programs {
        build.args(["--bin", name]);
    }
    let hidden = [
        (Some(cache::workspace().to_owned()), "/gracewatch"),
        (cargo_home(), "/cargo"),
    ];
    let flags: Vec<String> = std::iter::once("-C target-feature=+crt-static".to_owned())
        .chain(hidden.into_iter().filter_map(|(path, name)| {
            Some(format!("--remap-path-prefix={}={name}", path?.display()))
        }))
        .collect();
    process::run(
        build
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", flags.join(" "))
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
            .env("GRACEWATCH_EBPF_OBJECT", object),
    )?;
    eprintln!("built in {:.1} s", started.elapsed().as_secs_f64());
    Ok(folder.join(STATIC_TARGET).join("release"))
}

/// Where cargo keeps the sources of dependencies.
fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}
