//! The files of the repository.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The files with this ending below `folder` of `root`, by their paths from `root`. Hidden folders and what cargo builds
/// are left out.
pub(super) fn find_files(root: &Path, folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = || format!("cannot list {}", root.join(&folder).display());
        for entry in std::fs::read_dir(root.join(&folder)).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            let name = entry.file_name();
            let path = folder.join(&name);
            let is_hidden = name.to_string_lossy().starts_with('.');
            if entry.file_type().with_context(failed)?.is_dir() {
                if !is_hidden && path != Path::new("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|end| end == ending) {
                found.push(path);
            }
        }
    }
    Ok(found)
}
