//! Where slow things are kept between runs: outside `target/`, one folder per thing and version.
//! Every user of the cache survives finding it empty.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The cache root: `$GRACEWATCH_CACHE`, else `$XDG_CACHE_HOME/gracewatch`, else `~/.cache/gracewatch`.
pub(crate) fn root() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("GRACEWATCH_CACHE") {
        return Ok(PathBuf::from(path));
    }
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(path) => PathBuf::from(path),
        None => std::env::home_dir()
            .context("no home directory for the cache; set GRACEWATCH_CACHE to a folder")?
            .join(".cache"),
    };
    Ok(base.join("gracewatch"))
}

/// The folder of `name` in `version`, made if it is missing.
pub(crate) fn dir(name: &str, version: &str) -> Result<PathBuf> {
    let path = root()?.join(name).join(version);
    std::fs::create_dir_all(&path)
        .with_context(|| format!("cannot make cache folder {}", path.display()))?;
    Ok(path)
}

/// The workspace root, which is the parent of xtask's own folder.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}
