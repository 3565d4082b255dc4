//! The images of the pods that the tests make: a shell with everything small and our own server and clients, the same with a
//! stop signal of its own, and the sandbox. Out of three static programs, so that no registry is needed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::image::oci::{Config, File, Image};
use crate::process;

const PASSWD: &str = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";

/// Writes an archive for each image of the tests into the folder `out`. `tools` holds the static programs `busybox` and
/// `pause`; `peer` is our own.
pub(crate) fn write(tools: &Path, peer: &Path, out: &Path) -> Result<()> {
    let mut shell = busybox(&tools.join("busybox"))?;
    shell
        .files
        .insert("bin/peer".to_owned(), super::program(peer)?);
    let mut quit = Image {
        name: "localhost/gracewatch-test-quit:1".to_owned(),
        ..shell.clone()
    };
    quit.config.stop_signal = Some("SIGQUIT".to_owned());
    for (file, image) in [
        ("pause.tar", pause_image(&tools.join("pause"))?),
        ("test.tar", shell),
        ("test-quit.tar", quit),
    ] {
        let digest = super::save_image(&image, &out.join(file))?;
        eprintln!("image: {} {digest}", image.name);
    }
    Ok(())
}

/// The sandbox's only program; the name is the one in the settings of the rig's containerd.
pub(super) fn pause_image(program: &Path) -> Result<Image> {
    Ok(Image {
        name: "localhost/pause:3.10".to_owned(),
        files: [("pause".to_owned(), super::program(program)?)].into(),
        config: Config {
            entrypoint: vec!["/pause".to_owned()],
            user: "65535:65535".to_owned(),
            ..Config::default()
        },
    })
}

/// A root file system of busybox and a link for each of its applets.
pub(super) fn busybox(program: &Path) -> Result<Image> {
    let applets = process::output(Command::new(program).arg("--list"))?;
    let mut files: BTreeMap<String, File> = [
        ("etc/passwd", PASSWD),
        ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ]
    .map(|(path, text)| (path.to_owned(), File::Regular(0o644, text.into())))
    .into();
    files.insert("tmp".to_owned(), File::Folder(0o1777));
    for applet in applets.lines() {
        files.insert(format!("bin/{applet}"), File::Link("busybox".to_owned()));
    }
    ensure!(
        files.contains_key("bin/sh"),
        "{} has no applet `sh`; it must be a busybox with a shell",
        program.display()
    );
    files.insert(
        "bin/busybox".to_owned(),
        super::program(program).context("the tests' pods need busybox")?,
    );
    Ok(Image {
        name: "localhost/gracewatch-test:1".to_owned(),
        files,
        config: Config {
            env: vec!["PATH=/bin".to_owned()],
            cmd: vec!["/bin/sh".to_owned()],
            ..Config::default()
        },
    })
}
