//! A browser for the tests of the page: Debian's Chromium without a window, with all its libraries and a font, run from the
//! cache. Nothing is installed.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::debian;

const PACKAGES: [&str; 2] = ["chromium-headless-shell", "fonts-dejavu-core"];

/// Where the loader of the browser's C library is, in older releases and in newer ones.
const LOADERS: [&str; 2] = [
    "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
];

/// The browser's own folder, in which it looks for its resources: the one that the running program is in, which is the loader.
const HOME: &str = "usr/lib/chromium";

/// The loader does not hand its place on to what the browser starts by itself. So its helpers are started by this script again,
/// and none by the zygote, which would start itself.
const SCRIPT: &str = r#"#!/bin/sh
self=$(readlink -f "$0")
here=$(dirname "$self")
tree=$here/tree
lib=x86_64-linux-gnu
home=$tree/usr/lib/chromium
export FONTCONFIG_FILE="$here/fonts.conf"
exec "$home/loader" \
    --library-path "$tree/lib/$lib:$tree/usr/lib/$lib:$tree/usr/lib/$lib/pulseaudio:$home" \
    "$home/chromium-headless-shell" --no-zygote --browser-subprocess-path="$self" "$@"
"#;

/// Its fonts and no others, so that pictures are the same on every machine. Their folder is taken from where this file is; what
/// fontconfig remembers of them goes where it goes for everybody.
const FONTS: &str = r#"<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">tree/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  <alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"#;

/// Fetches `chromium` into `folder`.
pub(super) fn fetch(folder: &Path) -> Result<()> {
    let tree = debian::unpack_with_dependencies(&PACKAGES, folder)?;
    let loader = LOADERS
        .iter()
        .map(|path| tree.join(path))
        .find(|path| path.exists())
        .context("Debian's C library has no loader where one was")?;
    std::fs::copy(&loader, tree.join(HOME).join("loader"))
        .with_context(|| format!("cannot copy {}", loader.display()))?;
    let fonts = folder.join("fonts.conf");
    std::fs::write(&fonts, FONTS).with_context(|| format!("cannot write {}", fonts.display()))?;
    debian::script(folder, "chromium", SCRIPT, "--version")
}
