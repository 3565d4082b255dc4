//! The CRI tier in a virtual machine: systemd is PID 1 and makes the containers' cgroups, and cgroup v2 is all there is,
//! as on a node of today. The parts: `base` (what comes from Debian), `disk` (what the guest finds), `boot` (how it gets
//! there), and `vm`'s machine, kernels and protocol.

mod base;
mod boot;
mod disk;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::cri::Parts;
use crate::process::FailedStages;
use crate::vm::fleet::Fleet;
use crate::vm::mirror::Mirror;
use crate::vm::outcome::Outcome;
use crate::vm::qemu::{self, Machine};
use crate::vm::{self, kernels, series};
use crate::{cache, process};

/// The kernel: that of the Debian release which the guest's systemd is from.
const KERNEL: &str = "6.12";
/// Emulation loses against a kernel that patches its code while another processor runs it, and in minutes of probes
/// that come and go that happens.
const PROCESSORS: u8 = 1;
/// containerd's images, snapshots and state are in memory.
const MEMORY_MIB: u32 = 2048;
/// What [`disk`] has `cri` write its table to.
const TABLE: &str = "table.md";
/// What it has it write the stages that failed to.
const STAGES: &str = "stages.txt";
/// For all cases with both runtimes. Emulation needs some twenty times the processor's time.
const TIME_LIMIT: Duration = Duration::from_mins(25);

/// What a guest found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The file with its table.
    pub(crate) table: PathBuf,
    /// Stages that failed but once.
    pub(crate) stages: FailedStages,
}

/// Boots the guest, runs `cri` in it with `args`, and shows what it says as it says it. Its table and logs, and what else
/// it writes to [`disk::OUT`], are in `target/cri-guest/out` afterwards.
///
/// # Errors
/// If a case failed, or the guest did not come to its end.
pub(crate) fn run(parts: &Parts, args: &[String]) -> Result<Found> {
    qemu::ensure()?;
    let series = series::find(KERNEL).map_err(anyhow::Error::msg)?;
    let kernel = kernels::obtain(series, false, Mirror::of_this_machine)?;
    let base = base::ensure(&kernel)?;
    let folder = cache::workspace().join("target/cri-guest");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let _alone = vm::lock_folder(&folder)?;
    let (image, initramfs) = (folder.join("disk"), folder.join("initramfs"));
    disk::write_image(&base, parts, args, &folder.join("root"), &image)?;
    boot::write_initramfs(&base, &initramfs)?;
    let fleet = Fleet {
        initramfs: &initramfs,
        append: boot::APPEND.to_owned(),
        time_limit: TIME_LIMIT,
        logs: &folder,
        machine: Machine {
            processors: PROCESSORS,
            memory_mib: MEMORY_MIB,
            disk: Some(&image),
            second_port: true,
        },
        once_more: false,
    };
    let outcomes = fleet.boot(&[kernel], 1)?;
    let out = folder.join("out");
    take_out(&image, &out)?;
    eprintln!("table, versions and logs: {}", out.display());
    let problems: Vec<_> = outcomes.iter().flat_map(Outcome::problems).collect();
    for outcome in &outcomes {
        // Failed cases have been told by `cri` itself.
        if outcome.report.exit_code.is_none() {
            vm::show_tail(&fleet.log(&outcome.kernel))?;
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("; "));
    let stages = std::fs::read_to_string(out.join(STAGES)).unwrap_or_default();
    Ok(Found {
        table: out.join(TABLE),
        stages: FailedStages::from_text(&stages),
    })
}

/// Copies what the guest wrote out of its disk, without mounting it.
fn take_out(image: &Path, out: &Path) -> Result<()> {
    crate::tools::remove(out)?;
    let order = format!(
        "rdump {} {}",
        disk::OUT,
        out.parent().unwrap_or(out).display()
    );
    process::output(Command::new("debugfs").arg("-R").arg(order).arg(image))
        .context("the guest's disk is read by debugfs: `apt-get install e2fsprogs`")
        .map(drop)
}
