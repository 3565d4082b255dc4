//! From the kernel to systemd: an initramfs that loads the modules and goes over to the disk.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::base::{Base, MODULES, module_file};
use crate::vm::initramfs::Initramfs;

/// Words for the kernel's command line, most of them for systemd. The console is the protocol's: systemd must not write
/// to it. Without the mitigations emulation has less to do.
pub(super) const APPEND: &str =
    "mitigations=off systemd.show_status=0 systemd.log_target=kmsg systemd.unit=gracewatch.service";

/// Writes the initramfs to `path`.
pub(super) fn write_initramfs(base: &Base, path: &Path) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let file = File::create(path).with_context(failed)?;
    let mut initramfs = Initramfs::new(BufWriter::new(file)).with_context(failed)?;
    initramfs
        .program("init", init_script().as_bytes())
        .with_context(failed)?;
    let mut files = vec![("busybox".to_owned(), base.busybox())];
    files.extend(MODULES.map(|path| (module_file(path), base.module(path))));
    for (name, file) in files {
        let content =
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        initramfs.program(&name, &content).with_context(failed)?;
    }
    initramfs.finish().map(drop).with_context(failed)
}

/// The first program: it replaces itself by systemd. If it fails, the kernel panics and thereby ends.
fn init_script() -> String {
    let modules = MODULES
        .map(|path| format!("/busybox insmod /{}\n", module_file(path)))
        .concat();
    format!(
        "#!/busybox sh\nset -e\n/busybox mount -t devtmpfs none /dev\n{modules}\
         /busybox mount -t ext4 /dev/vda /tmp\nexec /busybox switch_root /tmp /usr/lib/systemd/systemd\n"
    )
}
