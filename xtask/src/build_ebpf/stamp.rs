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
        .any(|way| stamp == stamp_text(inputs, &bytes, *way))
}

/// Remembers what `object` was built from.
pub(super) fn write(workspace: &Path, object: &Path, inputs: &str, way: Way) -> Result<()> {
    let bytes =
        std::fs::read(object).with_context(|| format!("cannot read {}", object.display()))?;
    let path = path(workspace);
    std::fs::write(&path, stamp_text(inputs, &bytes, way))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn path(workspace: &Path) -> PathBuf {
    workspace.join(TARGET_DIR).join("gracewatch.stamp")
}

fn stamp_text(inputs: &str, object: &[u8], way: Way) -> String {
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::toolchain::{Choice, Way};
    use super::{is_current, of_inputs, path, write};

    /// A workspace with one source file and an object, in a folder of its own.
    fn workspace(name: &str) -> PathBuf {
        let root =
            std::env::temp_dir().join(format!("gracewatch-stamp-{name}-{}", std::process::id()));
        for folder in ["agent-common", "agent-ebpf/src/probes", super::TARGET_DIR] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in [
            "Cargo.lock",
            "Cargo.toml",
            "agent-ebpf/src/probes/exit.rs",
            "object",
        ] {
            std::fs::write(root.join(file), file).unwrap();
        }
        root
    }

    #[test]
    fn a_change_in_any_source_is_seen() {
        let root = workspace("source");
        let before = of_inputs(&root).unwrap();
        assert_eq!(of_inputs(&root).unwrap(), before);
        std::fs::write(root.join("agent-ebpf/src/probes/exit.rs"), "changed").unwrap();
        let edited = of_inputs(&root).unwrap();
        std::fs::write(root.join("agent-common/new.rs"), "").unwrap();
        let added = of_inputs(&root).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        assert_ne!(edited, before);
        assert_ne!(added, edited);
    }

    #[test]
    fn current_means_these_inputs_this_object_and_a_suitable_compiler() {
        let root = workspace("object");
        let object = root.join("object");
        assert!(
            !is_current(&root, &object, "inputs", Choice::Auto),
            "no stamp yet"
        );
        write(&root, &object, "inputs", Way::Debian).unwrap();
        assert!(path(&root).exists());
        let fresh = [Choice::Auto, Choice::Debian, Choice::Rustup]
            .map(|choice| is_current(&root, &object, "inputs", choice));
        let other_inputs = is_current(&root, &object, "others", Choice::Auto);
        std::fs::write(&object, "truncated").unwrap();
        let other_object = is_current(&root, &object, "inputs", Choice::Auto);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(fresh, [true, true, false]);
        assert!(!other_inputs);
        assert!(!other_object);
    }
}
