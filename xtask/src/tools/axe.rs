//! axe-core, which finds in a page what keeps people from using it: from npm, as it is.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;

use crate::process;

/// The version; npm checks that it is what was published.
pub(super) const VERSION: &str = "4.14.1";
const FILE: &str = "package/axe.min.js";

/// Fetches `axe.min.js` into `folder`.
pub(super) fn fetch(folder: &Path) -> Result<()> {
    ensure!(
        process::exists("npm"),
        "axe-core comes from npm, which is not here: install it (`apt-get install npm`)"
    );
    let package = format!("axe-core@{VERSION}");
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", &package]).current_dir(folder);
    let name = process::output(&mut npm)?;
    let path = folder.join(name.trim());
    let file =
        std::fs::File::open(&path).with_context(|| format!("npm wrote no {}", path.display()))?;
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    for entry in archive
        .entries()
        .context("axe-core's package cannot be read")?
    {
        let mut entry = entry.context("axe-core's package cannot be read")?;
        if entry.path().is_ok_and(|path| path == Path::new(FILE)) {
            entry
                .unpack(folder.join("axe.min.js"))
                .context("cannot unpack axe-core")?;
        }
    }
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
}
