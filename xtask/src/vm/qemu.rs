//! QEMU itself: found on the PATH or installed, and one boot of one kernel.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::vm::archive::Archive;
use crate::vm::mirror::{Mirror, codename};

const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGE: &str = "qemu-system-x86";

/// One boot: what to start and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Boot<'a> {
    pub(crate) kernel: &'a Path,
    pub(crate) initramfs: &'a Path,
    /// Words added to the kernel command line.
    pub(crate) append: &'a str,
    pub(crate) time_limit: Duration,
    /// Where the console goes.
    pub(crate) log: &'a Path,
    pub(crate) machine: Machine<'a>,
}

/// What differs from one kind of guest to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine<'a> {
    pub(crate) processors: u8,
    pub(crate) memory_mib: u32,
    /// An image that is the guest's first disk; the guest writes to it.
    pub(crate) disk: Option<&'a Path>,
    /// Whether what the guest writes to its second serial port is written to our standard output. The kernel writes
    /// nothing there.
    pub(crate) second_port: bool,
}

impl Machine<'_> {
    /// One that needs no disk.
    pub(crate) const SMALL: Self = Machine {
        processors: 2,
        memory_mib: 1024,
        disk: None,
        second_port: false,
    };
}

/// How a boot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) took: Duration,
    pub(crate) timed_out: bool,
}

/// Boots and waits for power-off. Always software emulation: a nested `/dev/kvm` may open and then kill the guest, and
/// results should not depend on where they were made. QEMU's exit code says nothing about the guest. The time is kept by
/// `timeout`, so that a VM ends in time even if we are killed before it.
pub(crate) fn boot(boot: &Boot<'_>) -> Result<Ended> {
    let log =
        File::create(boot.log).with_context(|| format!("cannot write {}", boot.log.display()))?;
    let mut command = Command::new("timeout");
    command
        .args(["--foreground", "--signal=KILL"])
        .arg(boot.time_limit.as_secs().to_string())
        .arg(PROGRAM)
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp"])
        .arg(boot.machine.processors.to_string())
        .arg("-m")
        .arg(boot.machine.memory_mib.to_string())
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ])
        .arg("-kernel")
        .arg(boot.kernel)
        .arg("-initrd")
        .arg(boot.initramfs)
        .args([
            "-append",
            format!("console=ttyS0 panic=-1 quiet {}", boot.append).trim_end(),
        ])
        .stdin(Stdio::null());
    if let Some(disk) = boot.machine.disk {
        // It is thrown away after the run: nothing has to be safe on it.
        let options = ",format=raw,if=virtio,cache=unsafe";
        command.args(["-drive", &format!("file={}{options}", escaped(disk))]);
    }
    if boot.machine.second_port {
        let mut port = OsString::from("file:");
        port.push(boot.log);
        command.arg("-serial").arg(port);
    } else {
        command
            .stderr(log.try_clone().context("cannot share the console log")?)
            .stdout(log);
    }
    command.args(["-serial", "stdio"]);
    let started = Instant::now();
    command
        .status()
        .context("cannot start `timeout`, which is part of coreutils")?;
    let took = started.elapsed();
    Ok(Ended {
        took,
        timed_out: took >= boot.time_limit,
    })
}

/// A path as the value of an option in QEMU's lists, where a comma is written twice.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// Installs QEMU where it is missing; never at the price of removing a package.
pub(crate) fn ensure() -> Result<()> {
    if process::exists(PROGRAM) {
        return Ok(());
    }
    install().with_context(|| {
        format!("{PROGRAM} is missing; install it (Debian: as root, `apt-get install {PACKAGE}`)")
    })
}

fn install() -> Result<()> {
    if !process::exists("apt-get") {
        bail!("this machine has no apt-get to install it with");
    }
    eprintln!("installing {PACKAGE}");
    let plan = apt_plan(&[]).or_else(|_| {
        // A fresh machine has no package lists yet.
        process::output(Command::new("apt-get").arg("update"))?;
        apt_plan(&[])
    })?;
    if removals(&plan).is_empty() {
        return apt_install(&[]);
    }
    let codename = codename().with_context(|| refusal(&plan))?;
    eprintln!(
        "the plain way would remove {}; trying {codename}-backports",
        removals(&plan).join(" ")
    );
    let backports = format!("{codename}-backports");
    let archive = Archive::open(
        &Mirror::of_this_machine()?,
        &[&codename, &format!("{codename}-security"), &backports],
    )?;
    let options = [
        archive.option(),
        format!("-oAPT::Default-Release={backports}").into(),
    ];
    let plan = apt_plan(&options)?;
    if !removals(&plan).is_empty() {
        bail!(refusal(&plan));
    }
    apt_install(&options)
}

fn refusal(plan: &str) -> String {
    format!(
        "installing it would remove {}, which is yours to decide",
        removals(plan).join(" ")
    )
}

fn apt_command(options: &[OsString]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(options);
    command
}

fn apt_plan(options: &[OsString]) -> Result<String> {
    process::output(apt_command(options).args([
        "--simulate",
        "install",
        "--no-install-recommends",
        PACKAGE,
    ]))
}

fn apt_install(options: &[OsString]) -> Result<()> {
    process::output(apt_command(options).args([
        "--yes",
        "install",
        "--no-install-recommends",
        PACKAGE,
    ]))
    .map(drop)
}

/// The packages a simulated installation would remove.
fn removals(plan: &str) -> Vec<&str> {
    plan.lines()
        .filter_map(|line| line.strip_prefix("Remv ")?.split(' ').next())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_only_adds_removes_nothing() {
        assert!(removals("Inst seabios (1.16.2-1)\nConf seabios (1.16.2-1)\n").is_empty());
    }

    #[test]
    fn every_removal_in_a_plan_is_seen() {
        let plan = "Remv qemu-utils [1:10.0.2]\nInst seabios (1.16.2-1)\nRemv qemu-block-extra [1:10.0.2]\n";
        assert_eq!(removals(plan), ["qemu-utils", "qemu-block-extra"]);
    }
}
