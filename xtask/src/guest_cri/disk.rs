//! The guest's disk: Debian's files, our programs, and one unit that runs them and turns the machine off.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::base::Base;
use crate::cri::Parts;
use crate::process;
use crate::tools::remove;

/// Where the guest puts what is to be kept.
pub(super) const OUT: &str = "/gracewatch/out";

/// The size of the image; what is not written takes no place.
const SIZE: &str = "1500M";

/// What of the tools the guest needs.
const TOOLS: [&str; 7] = [
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "bridge",
    "host-local",
    "loopback",
];
const IMAGES: [&str; 3] = ["pause.tar", "test.tar", "test-quit.tar"];
const PROGRAMS: [&str; 2] = ["cri", "gracewatch"];

/// Units that other units want are all of no use here: device manager, journal, timers, terminals.
const WANTS: &str = "usr/lib/systemd/system";

/// What an installed system has, and an unpacked one has not.
const FILES: [(&str, &str); 7] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/:/bin/sh\nmessagebus:x:100:100::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    ),
    (
        "etc/group",
        "root:x:0:\nmessagebus:x:100:\nnogroup:x:65534:\n",
    ),
    ("etc/hostname", "guest\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    ("etc/resolv.conf", ""),
    // Without one systemd would set the system up for the first time.
    ("etc/machine-id", "6772616365776174636800000000cafe\n"),
    ("etc/systemd/system/gracewatch.service", SERVICE),
];

/// The unit that is started. Results go to the second serial port: into the first the kernel writes, too.
const SERVICE: &str = "\
[Unit]
Description=The CRI tier
DefaultDependencies=no
Requires=dbus.service
After=dbus.service
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/gracewatch/run
StandardOutput=file:/dev/ttyS1
StandardError=inherit
TimeoutStartSec=infinity
";

/// What the unit runs; the arguments go between. What it says in the protocol goes to the console.
const RUN: [&str; 2] = [
    r#"#!/usr/bin/busybox sh
export PATH=/usr/bin:/usr/sbin
busybox stty -F /dev/ttyS1 -onlcr
tell() { echo "VM-FACT $1=$2" >/dev/console; echo "$1: $2" | busybox tee -a /gracewatch/out/versions.txt; }
tell linux "$(busybox uname -r)"
tell cgroups "$(busybox awk '$3 ~ /^cgroup/ { print $3 " at " $2 }' /proc/mounts | busybox xargs)"
tell systemd "$(systemctl --version | busybox head -n 1)"
tell containerd "$(/gracewatch/tools/containerd --version | busybox cut -d ' ' -f 3)"
tell runc "$(/gracewatch/tools/runc --version | busybox head -n 1)"
tell crun "$(crun --version | busybox head -n 1)"
/gracewatch/cri --tools /gracewatch/tools --images /gracewatch/images --agent /gracewatch/gracewatch \
  --crun /usr/bin/crun --driver systemd --logs /gracewatch/out/logs --table-out /gracewatch/out/table.md \
  --stages-out /gracewatch/out/stages.txt \
  --at-once 1 --patience 6"#,
    r#"
code=$?
busybox sync
echo "TEST_RC=$code" >/dev/console
"#,
];

/// Writes the image; `root` is the folder in which its files are put together.
pub(super) fn write_image(
    base: &Base,
    parts: &Parts,
    args: &[String],
    root: &Path,
    image: &Path,
) -> Result<()> {
    remove(root)?;
    process::output(Command::new("cp").arg("-a").arg(base.tree()).arg(root))?;
    want_nothing(&root.join(WANTS))?;
    for (path, text) in FILES {
        write(&root.join(path), text)?;
    }
    symlink("busybox", root.join("usr/bin/sh")).context("the guest has a shell already")?;
    fs::create_dir_all(root.join(OUT.trim_start_matches('/')))?;
    let ours = root.join("gracewatch");
    copy_files(&parts.tools, &TOOLS, &ours.join("tools"))?;
    copy_files(&parts.images, &IMAGES, &ours.join("images"))?;
    copy_files(&parts.programs, &PROGRAMS, &ours)?;
    let run = ours.join("run");
    write(&run, &script(args))?;
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} a program", run.display()))?;
    // Nothing of an older one.
    fs::File::create(image).with_context(|| format!("cannot write {}", image.display()))?;
    process::output(
        Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-O", "^has_journal"])
            .args(["-E", "root_owner=0:0,lazy_itable_init=1", "-d"])
            .arg(root)
            .arg(image)
            .arg(SIZE),
    )
    .context("the guest's disk is made by mke2fs: `apt-get install e2fsprogs`")?;
    remove(root)
}

/// Removes what says that a unit is wanted by another.
fn want_nothing(units: &Path) -> Result<()> {
    let entries =
        fs::read_dir(units).with_context(|| format!("cannot read {}", units.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "wants") {
            remove(&path)?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Copies files, and what links lead to, with their permissions.
fn copy_files(from: &Path, names: &[&str], to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for name in names {
        let source = from.join(name);
        fs::copy(&source, to.join(name))
            .with_context(|| format!("cannot copy {} for the guest", source.display()))?;
    }
    Ok(())
}

fn script(args: &[String]) -> String {
    let [before, after] = RUN;
    let words: Vec<_> = args.iter().map(|arg| quoted(arg)).collect();
    format!("{before} {}{after}", words.join(" "))
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_reach_the_program_as_they_are() {
        let args = ["--filter", "it's; $x"].map(str::to_owned);
        let text = script(&args);
        assert!(text.contains(r" '--filter' 'it'\''s; $x'"), "{text}");
        let said = process::output(
            Command::new("sh")
                .arg("-c")
                .arg(format!("printf %s {}", quoted("it's; $x"))),
        );
        assert_eq!(said.unwrap(), "it's; $x");
    }

    #[test]
    fn the_program_is_the_last_command_before_its_code_is_taken() {
        assert!(script(&[]).contains(" \ncode=$?\n"));
    }
}
