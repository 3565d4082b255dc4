//! bpf-linker, pinned, in our cache, linked with the LLVM of the compiler whose bitcode it reads.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::print_progress;
use super::toolchain::{Toolchain, Way};
use super::{compile, rustup};
use crate::{cache, process};

/// The pinned version.
pub(super) const VERSION: &str = "0.13.0";

/// The LLVM versions this bpf-linker has a feature for.
const KNOWN_LLVM: [u32; 3] = [21, 22, 23];

/// The linker for `toolchain`, from the cache or freshly built into it.
pub(super) fn find_or_install(toolchain: &Toolchain) -> Result<PathBuf> {
    let root = cache::dir(
        "bpf-linker",
        &cache_key(toolchain.way, toolchain.version.llvm),
    )?;
    let linker = root.join("bin/bpf-linker");
    if is_usable(&linker) {
        return Ok(linker);
    }
    let llvm = toolchain.version.llvm;
    ensure!(
        KNOWN_LLVM.contains(&llvm),
        "bpf-linker {VERSION} knows LLVM {KNOWN_LLVM:?}, and {toolchain} has another: raise the pinned version"
    );

    print_progress(&format!(
        "installing bpf-linker {VERSION} into the cache ({}): about a minute",
        root.display()
    ));
    let mut command = Command::new(&toolchain.cargo);
    compile::clean_environment(&mut command);
    command
        .env("RUSTC", &toolchain.rustc)
        .env("LLVM_PREFIX", llvm_prefix(&root, &toolchain.llvm)?);
    // cargo warns where the result is not on the PATH.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(root.join("bin")).chain(std::env::split_paths(&path));
    command.env(
        "PATH",
        std::env::join_paths(path).context("the cache folder's name holds a colon")?,
    );
    // Outside the workspace, so that its configuration has no say.
    command.current_dir(&root);
    command
        .args([
            "install",
            "bpf-linker",
            "--version",
            VERSION,
            "--locked",
            "--force",
            "--root",
        ])
        .arg(&root);
    command.args([
        "--no-default-features",
        "--features",
        &format!("llvm-{llvm}"),
    ]);
    process::run(&mut command).context("cannot build bpf-linker")?;
    ensure!(
        is_usable(&linker),
        "{} was built but does not run",
        linker.display()
    );
    Ok(linker)
}

/// Names the folder in the cache. rustup's LLVM belongs to one nightly; Debian's is updated in place.
fn cache_key(way: Way, llvm: u32) -> String {
    match way {
        Way::Rustup => format!("{VERSION}-{}", rustup::NIGHTLY),
        Way::Debian => format!("{VERSION}-debian-llvm-{llvm}"),
    }
}

/// Whether it starts (its LLVM may have gone since) and is the pinned version.
fn is_usable(linker: &Path) -> bool {
    process::output(Command::new(linker).arg("--version"))
        .is_ok_and(|text| text.trim().ends_with(VERSION))
}

/// A folder whose `lib/` holds this one LLVM, under the name the linker asks for and its own.
///
/// The build of bpf-linker looks for `libLLVM.so` in `$LLVM_PREFIX/lib` and makes that folder the
/// program's rpath. rustup's LLVM has only a versioned name, and rustc's lib folder is no place to
/// put another one.
fn llvm_prefix(root: &Path, llvm: &Path) -> Result<PathBuf> {
    let prefix = root.join("llvm");
    let lib = prefix.join("lib");
    std::fs::create_dir_all(&lib).with_context(|| format!("cannot make {}", lib.display()))?;
    let real = llvm
        .canonicalize()
        .with_context(|| format!("cannot find {}", llvm.display()))?;
    let own_name = real
        .file_name()
        .context("LLVM's library has no name")?
        .to_owned();
    for name in ["libLLVM.so".into(), own_name] {
        let link = lib.join(name);
        if link.symlink_metadata().is_ok() {
            std::fs::remove_file(&link)
                .with_context(|| format!("cannot replace {}", link.display()))?;
        }
        symlink(&real, &link).with_context(|| format!("cannot make {}", link.display()))?;
    }
    Ok(prefix)
}

#[cfg(test)]
mod tests {
    use super::{Way, cache_key};

    #[test]
    fn linkers_of_different_llvms_do_not_meet() {
        assert_ne!(cache_key(Way::Debian, 22), cache_key(Way::Debian, 23));
        assert_ne!(cache_key(Way::Debian, 22), cache_key(Way::Rustup, 22));
    }
}
