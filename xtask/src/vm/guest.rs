//! What runs in the VM: the real-kernel test program as PID 1 of an initramfs, and beside it, as `/gracewatch`, the
//! agent itself. Both are linked statically, so the guest needs no distribution.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cargo;
use crate::vm::initramfs::Initramfs;

/// The static programs of a guest.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The real-kernel test program.
    pub(crate) test: PathBuf,
    /// The agent, with the probes in it.
    pub(crate) agent: PathBuf,
    /// The random stops.
    pub(crate) fuzz: PathBuf,
}

/// Builds the guest's programs around the eBPF object.
pub(crate) fn build(object: &Path) -> Result<Programs> {
    let programs = cargo::build_static(object, &["kernel", "gracewatch", "fuzz"])?;
    Ok(Programs {
        test: programs.join("kernel"),
        agent: programs.join("gracewatch"),
        fuzz: programs.join("fuzz"),
    })
}

/// Packs programs, each with its name in the guest's root folder, into an initramfs at `path`.
pub(crate) fn write_initramfs(programs: &[(&str, &Path)], path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let failed = || format!("cannot write {}", path.display());
    let mut initramfs = Initramfs::new(BufWriter::new(file)).with_context(failed)?;
    for (name, program) in programs {
        let content =
            std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
        initramfs.program(name, &content).with_context(failed)?;
    }
    initramfs.finish().map(drop).with_context(failed)
}
