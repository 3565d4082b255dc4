//! Whether the object is up to date: a stamp next to cargo's files, so that asking takes no cargo.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::compile::{FLAGS, TARGET_DIR};
use super::toolchain::{Choice, Way, candidates};
use super::{linker, rustup};

/// Everything the object is made from: the two crates the kernel side consists of and the workspace.
const INPUTS: [&str; 4] = ["agent-common", "agent-ebpf", "Cargo.lock", "Cargo.toml"];

/// A digest of the sources, the flags and the pinned versions.
pub(super) fn of_inputs(workspace: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    (FLAGS, linker::VERSION, rustup::NIGHTLY).hash(&mut hasher);
    for input in INPUTS {
        for file in files_under(&workspace.join(input))? {
            let bytes =
                std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            (file, bytes).hash(&mut hasher);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Whether `object` is the one that was built from `inputs`, with a compiler that suits `choice`.
pub(super) fn is_current(workspace: &Path, object: &Path, inputs: &str, choice: Choice) -> bool {
    let (Ok(stamp), Ok(bytes)) = (
        std::fs::read_to_string(path(workspace)),
        std::fs::read(object),
    ) else {
        return false;
    };
    candidates(choice)
        .iter()
        .any(|way| stamp == text(inputs, &bytes, *way))
}

/// Remembers what `object` was built from.
pub(super) fn write(workspace: &Path, object: &Path, inputs: &str, way: Way) -> Result<()> {
    let bytes =
        std::fs::read(object).with_context(|| format!("cannot read {}", object.display()))?;
    let path = path(workspace);
    std::fs::write(&path, text(inputs, &bytes, way))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn path(workspace: &Path) -> PathBuf {
    workspace.join(TARGET_DIR).join("gracewatch.stamp")
}

fn text(inputs: &str, object: &[u8], way: Way) -> String {
    let mut hasher = DefaultHasher::new();
    object.hash(&mut hasher);
    format!(
        "inputs {inputs}\nobject {:016x}\ntoolchain {}\n",
        hasher.finish(),
        way.name()
    )
}

/// The file itself, or all files in the folder and below, in the order of their names.
fn files_under(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = || format!("cannot list {}", path.display());
    let mut entries = std::fs::read_dir(path)
        .with_context(unreadable)?
        .collect::<Result<Vec<_>, _>>()
        .with_context(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        files.extend(files_under(&entry.path())?);
    }
    Ok(files)
}
