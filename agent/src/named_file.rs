//! Files that an option names. Only regular ones are opened, so that nothing waits for a writer or a reader; what is read has a
//! bound, and what is written nobody else can read.

use std::fs::{File, FileType, Metadata, Permissions, metadata, remove_file, symlink_metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use rustix::fs::OFlags;

/// The most MiB that a file of settings has.
pub(crate) const SETTINGS_MIB_MAX: u64 = 1;

/// The mode of what only its owner may read.
const PRIVATE: u32 = 0o600;

/// Opens a file to be read.
///
/// # Errors
/// In few words, if it is none or cannot be read.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // To open a device can have effects of its own.
    refuse_others(&metadata(path)?)?;
    let file = File::options()
        .read(true)
        .custom_flags(flag_bits(OFlags::NONBLOCK))
        .open(path)?;
    refuse_others(&file.metadata()?)?;
    Ok(file)
}

/// The text of a file that is read as a whole.
///
/// # Errors
/// In few words, if it is no such file, cannot be read, or is larger than that.
pub(crate) fn read(path: &Path, mib_max: u64) -> io::Result<String> {
    let bytes_max = mib_max << 20;
    let mut text = String::new();
    open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it has more than {mib_max} MiB")));
    }
    Ok(text)
}

/// An empty file that only this user can read. What was in it is gone, and nobody who had it open before gets to see what comes.
///
/// # Errors
/// In few words, if it cannot be made, or what is there is not a file of this user alone.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    match symlink_metadata(path) {
        Ok(there) => {
            refuse_foreign(&there)?;
            if there.permissions().mode() & 0o077 != 0 {
                remove_file(path).map_err(|error| {
                    let mode = there.permissions().mode() & 0o777;
                    io::Error::other(format!(
                        "others can read it (mode {mode:o}), and it cannot be replaced: {error}"
                    ))
                })?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(PRIVATE)
        .custom_flags(flag_bits(OFlags::NOFOLLOW | OFlags::NONBLOCK))
        .open(path)?;
    refuse_foreign(&file.metadata()?)?;
    file.set_permissions(Permissions::from_mode(PRIVATE))?;
    file.set_len(0)?;
    Ok(file)
}

fn flag_bits(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

fn refuse_foreign(there: &Metadata) -> io::Result<()> {
    refuse_others(there)?;
    if there.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if there.nlink() > 1 {
        return Err(io::Error::other("it has another name, a hard link"));
    }
    Ok(())
}

fn refuse_others(there: &Metadata) -> io::Result<()> {
    match other_kind(there.file_type()) {
        None => Ok(()),
        Some(kind) => Err(io::Error::other(format!(
            "it is {kind} and no regular file"
        ))),
    }
}

fn other_kind(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_symlink() {
        Some("a symbolic link")
    } else if kind.is_fifo() {
        Some("a FIFO")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

#[cfg(test)]
mod tests;
