//! Files of every kind, each by the name that an option would have.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::fs::{CWD, FileType as Kind, Mode, mknodat};

use super::*;

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("gracewatch-file-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write_file(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    fn make_fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        mknodat(CWD, &path, Kind::Fifo, Mode::from_raw_mode(PRIVATE), 0).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn file_mode(path: &Path) -> u32 {
    metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_regular_files_are_opened() {
    let folder = Folder::new("kinds");
    let _listener = UnixListener::bind(folder.path("socket")).unwrap();
    symlink(&folder.0, folder.path("link")).unwrap();
    for (path, kind) in [
        (folder.make_fifo("fifo"), "a FIFO"),
        (folder.path("socket"), "a socket"),
        (folder.0.clone(), "a directory"),
        (folder.path("link"), "a directory"),
        ("/dev/zero".into(), "a device"),
        ("/dev/null".into(), "a device"),
    ] {
        let said = open(&path).unwrap_err().to_string();
        assert!(said.contains(kind), "{path:?}: {said}");
        let said = create_private(&path).unwrap_err().to_string();
        assert!(said.contains("no regular file"), "{path:?}: {said}");
    }
    symlink(folder.write_file("there", 0o644), folder.path("to-file")).unwrap();
    open(&folder.path("to-file")).unwrap();
    assert_eq!(
        open(&folder.path("nowhere")).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[test]
fn settings_have_a_bound_also_while_they_grow() {
    let folder = Folder::new("settings");
    let path = folder.path("large");
    let most = 1 << 20;
    fs::write(&path, vec![b'#'; most]).unwrap();
    assert_eq!(read(&path, SETTINGS_MIB_MAX).unwrap().len(), most);
    let mut growing = File::options().append(true).open(&path).unwrap();
    growing.write_all(b"#").unwrap();
    let said = read(&path, SETTINGS_MIB_MAX).unwrap_err().to_string();
    assert!(said.contains("more than 1 MiB"), "{said}");
    // A file without an end, whose length says nothing.
    growing.set_len(1 << 40).unwrap();
    read(&path, SETTINGS_MIB_MAX).unwrap_err();
    fs::write(&path, [0xff, 0xfe]).unwrap();
    read(&path, SETTINGS_MIB_MAX).unwrap_err();
}

#[test]
fn a_private_file_is_private_whatever_was_there() {
    let folder = Folder::new("private");
    let new = folder.path("new");
    create_private(&new).unwrap();
    assert_eq!(file_mode(&new), PRIVATE);
    for before in [0o600, 0o644, 0o666, 0o640, 0o777, 0o604] {
        let path = folder.write_file("old", before);
        let mut reader = File::open(&path).unwrap();
        create_private(&path).unwrap().write_all(b"secret").unwrap();
        assert_eq!(
            (file_mode(&path), fs::read(&path).unwrap()),
            (PRIVATE, b"secret".into())
        );
        let mut seen = String::new();
        reader.read_to_string(&mut seen).unwrap();
        // Who could not read it before had not opened it.
        assert!(before == 0o600 || seen == "old", "{before:o}: {seen}");
    }
}

#[test]
fn a_file_that_is_not_this_users_alone_is_left_as_it_is() {
    let folder = Folder::new("foreign");
    let target = folder.write_file("target", 0o600);
    symlink(&target, folder.path("link")).unwrap();
    symlink(folder.path("nowhere"), folder.path("dangling")).unwrap();
    fs::hard_link(&target, folder.path("hard")).unwrap();
    for (name, why) in [
        ("link", "a symbolic link"),
        ("dangling", "a symbolic link"),
        ("hard", "a hard link"),
    ] {
        let said = create_private(&folder.path(name)).unwrap_err().to_string();
        assert!(said.contains(why), "{name}: {said}");
    }
    assert!(!folder.path("nowhere").exists());
    let foreign = folder.write_file("foreign", 0o666);
    if chown(&foreign, Some(65_534), None).is_ok() {
        let said = create_private(&foreign).unwrap_err().to_string();
        assert!(said.contains("another user"), "{said}");
        assert_eq!(fs::read_to_string(&foreign).unwrap(), "old");
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "old");
}
