//! Hands the eBPF object to the compiler: `$OUT_DIR/gracewatch.bpf.o`, which the agent embeds.
//!
//! The object comes from `$GRACEWATCH_EBPF_OBJECT`, else from `target/ebpf/gracewatch.bpf.o`, where
//! `cargo xtask build-ebpf` puts it. Without one the agent still compiles, with an empty object: so
//! the pure parts build and test on a machine that has no eBPF toolchain.
#![forbid(unsafe_code)]

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

const VARIABLE: &str = "GRACEWATCH_EBPF_OBJECT";
const NAME: &str = "gracewatch.bpf.o";

fn main() -> Result<()> {
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    let embedded = path_from_env("OUT_DIR")?.join(NAME);
    let object = match std::env::var_os(VARIABLE) {
        Some(path) => {
            let path = PathBuf::from(path);
            println!("cargo:rerun-if-changed={}", path.display());
            path
        }
        None => default_object()?,
    };
    match std::fs::copy(&object, &embedded) {
        Ok(_bytes) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!(
                "cargo:warning=no eBPF object at {}, so this agent has no probes: run `cargo xtask build-ebpf`",
                object.display()
            );
            std::fs::write(&embedded, [])
        }
        Err(error) => Err(Error::new(
            error.kind(),
            format!("cannot copy {}: {error}", object.display()),
        )),
    }
}

/// Where `cargo xtask build-ebpf` puts it. Watches the folder and not the file: cargo takes a
/// missing file for a changed one and would compile the agent again at every call.
fn default_object() -> Result<PathBuf> {
    let crate_dir = path_from_env("CARGO_MANIFEST_DIR")?;
    let folder = crate_dir
        .parent()
        .unwrap_or(Path::new("."))
        .join("target/ebpf");
    std::fs::create_dir_all(&folder)?;
    println!("cargo:rerun-if-changed={}", folder.display());
    Ok(folder.join(NAME))
}

fn path_from_env(name: &str) -> Result<PathBuf> {
    let value = std::env::var_os(name)
        .ok_or_else(|| Error::other(format!("{name} is not set: cargo sets it")))?;
    Ok(PathBuf::from(value))
}
