//! The call of cargo that compiles agent-ebpf for the kernel, and where its result goes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::toolchain::{Toolchain, Way};
use crate::process;

/// Where cargo works for the kernel's target: its own folder, so that it has its own lock.
pub(super) const TARGET_DIR: &str = "target/ebpf-build";

/// The kernel's target for this machine.
const TARGET: &str = if cfg!(target_endian = "big") {
    "bpfeb-unknown-none"
} else {
    "bpfel-unknown-none"
};

/// Flags that do not depend on the machine.
///
/// * `debuginfo=2` and `--btf` give the sections .BTF and .BTF.ext.
/// * `target-cpu=v3` is the instruction set with 32-bit registers, known to every kernel since 5.1.
///   We support 5.10 and newer, whose verifier follows bounds through 32-bit registers but loses
///   them in the pairs of shifts that v2 needs instead. v4 needs 6.6. The default changes with LLVM.
pub(super) const FLAGS: [&str; 3] = ["-Cdebuginfo=2", "-Clink-arg=--btf", "-Ctarget-cpu=v3"];

/// Compiles the probes and puts each program of the package at its place in `objects`, untouched
/// where it is the same already.
pub(super) fn build(
    workspace: &Path,
    toolchain: &Toolchain,
    linker: &Path,
    objects: &[(&str, &Path)],
) -> Result<()> {
    let target_dir = workspace.join(TARGET_DIR);
    let mut command = Command::new(&toolchain.cargo);
    clean_environment(&mut command);
    command
        .env("RUSTC", &toolchain.rustc)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(linker)?);
    if toolchain.way == Way::Debian {
        // Debian's is a stable compiler; this lets it take -Z.
        command.env("RUSTC_BOOTSTRAP", "1");
    }
    command.current_dir(workspace);
    command.args([
        "build",
        "--package",
        "agent-ebpf",
        "--release",
        "--target",
        TARGET,
        "-Zbuild-std=core",
    ]);
    command.arg("--target-dir").arg(&target_dir);
    process::run(&mut command).context("the probes do not compile")?;
    let built = target_dir.join(TARGET).join("release");
    objects
        .iter()
        .try_for_each(|(program, object)| publish(&built.join(program), object, &target_dir))
}

fn rustflags(linker: &Path) -> Result<String> {
    let linker = linker
        .to_str()
        .context("the cache folder's name is not UTF-8: set GRACEWATCH_CACHE to another")?;
    // aya reads bpf_target_arch for the layout of registers, which differs by machine.
    let arch = std::env::consts::ARCH;
    let mut flags = vec![
        format!("-Clinker={linker}"),
        format!("--cfg=bpf_target_arch=\"{arch}\""),
    ];
    flags.extend(FLAGS.map(str::to_owned));
    Ok(flags.join("\x1f"))
}

/// Copies in one step (a reader never sees half an object), and only if it differs: the agent is
/// compiled again whenever the file changes.
fn publish(built: &Path, object: &Path, scratch: &Path) -> Result<()> {
    let bytes =
        std::fs::read(built).with_context(|| format!("cargo did not make {}", built.display()))?;
    ensure!(
        has_btf(&bytes),
        "{} has no BTF, so no kernel takes it: agent-ebpf holds no program, or the linker was not given --btf",
        built.display()
    );
    if std::fs::read(object).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let folder = object.parent().context("the object's path has no folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let fresh: PathBuf = scratch.join("object.new");
    std::fs::write(&fresh, &bytes).with_context(|| format!("cannot write {}", fresh.display()))?;
    std::fs::rename(&fresh, object).with_context(|| format!("cannot write {}", object.display()))
}

/// Whether the object's table of section names has both of BTF's. Only the ends of the names are
/// compared, because such a table keeps `.BTF` as the end of `.rel.BTF`.
fn has_btf(object: &[u8]) -> bool {
    let holds = |name: &[u8]| object.windows(name.len()).any(|window| window == name);
    holds(b".BTF\0") && holds(b".BTF.ext\0")
}

/// Removes what the cargo we were started by set for its own compiler and package.
pub(super) fn clean_environment(command: &mut Command) {
    for (name, _value) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_another_build) {
            command.env_remove(name);
        }
    }
}

/// Whether a variable says how to compile, in contrast to where to fetch from and how to print.
fn is_of_another_build(name: &str) -> bool {
    const OURS: [&str; 7] = [
        "CARGO",
        "RUSTC",
        "RUSTDOC",
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTUP_TOOLCHAIN",
        "LLVM_PREFIX",
    ];
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
        "CARGO_BUILD_JOBS",
    ];
    if name.starts_with("CARGO_") {
        return !KEPT.iter().any(|kept| name.starts_with(kept));
    }
    OURS.contains(&name)
        || ["RUSTC_", "RUSTUP_TOOLCHAIN_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::{has_btf, is_of_another_build};

    #[test]
    fn the_outer_compiler_has_no_say() {
        for name in [
            "CARGO",
            "RUSTC",
            "RUSTUP_TOOLCHAIN",
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
            "CARGO_ENCODED_RUSTFLAGS",
        ] {
            assert!(is_of_another_build(name), "{name} must go");
        }
        for name in [
            "CARGO_MANIFEST_DIR",
            "CARGO_PKG_NAME",
            "CARGO_TARGET_DIR",
            "CARGO_PROFILE_RELEASE_LTO",
        ] {
            assert!(is_of_another_build(name), "{name} must go");
        }
    }

    #[test]
    fn the_users_registry_and_network_stay() {
        for name in [
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "CARGO_REGISTRIES_X_INDEX",
            "CARGO_NET_OFFLINE",
            "PATH",
        ] {
            assert!(!is_of_another_build(name), "{name} must stay");
        }
    }

    #[test]
    fn btf_is_found_by_its_section() {
        assert!(has_btf(b"\x7fELF..\0.text\0.rel.BTF\0.rel.BTF.ext\0"));
        assert!(!has_btf(b"\x7fELF..\0.text\0.BTF.ext\0"));
        assert!(!has_btf(b"\x7fELF..\0.text\0.BTF\0"));
    }
}
