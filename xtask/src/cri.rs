//! `cargo xtask cri`: builds what the CRI tier needs, and becomes its program.

mod crun;

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{build_ebpf, cache, cargo, guest_cri, image, tools};

/// Stop containers of real runtimes by the calls that a kubelet makes, and check what the agent says. Needs root.
///
/// containerd runs in mount and network namespaces of its own, once with runc and the machine's cgroups, and, where the
/// machine has cgroup v1, too, with cgroup v2 alone: with runc, and with crun, which needs that. Builds containerd and
/// runc from their Go modules (once, into the cache), takes crun from Debian, and leaves nothing behind but the cache.
///
/// With `--guest` all of that happens in a virtual machine, where systemd makes the cgroups of the containers and cgroup v2
/// is all there is; it is emulated, and takes a quarter of an hour.
///
/// What follows `--` goes to the program `cri`: `cargo xtask cri -- --filter hook --setup crun`; `-- --help` lists all.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// In a virtual machine with systemd and cgroup v2 alone.
    #[arg(long)]
    guest: bool,
    /// Run cri-tools' suite for runtimes, critest, in the place of our cases, and compare each container that it stops with
    /// containerd's log. Takes some minutes with each set-up, and is no part of `cargo xtask test`.
    #[arg(long, conflicts_with = "guest")]
    critest: bool,
    /// Options of the program itself.
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.guest {
        return run_in_guest(&args.rest).map(drop);
    }
    let mut command = build()?;
    if args.critest {
        command.arg("--critest").arg(tools::critest()?);
    }
    // Becoming it leaves Ctrl-C to the one that cleans up.
    let error = command.args(&args.rest).exec();
    Err(error).context("cannot start the CRI tier")
}

/// Builds everything, and runs the tier in a virtual machine.
pub(crate) fn run_in_guest(args: &[String]) -> Result<guest_cri::Found> {
    guest_cri::run(&parts()?, args)
}

/// Builds everything, and gives the command that runs the tier on this machine.
pub(crate) fn build() -> Result<Command> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "container runtimes need root, and so do the probes: run it as root, `sudo -E env PATH=\"$PATH\" cargo xtask cri`"
    );
    let parts = parts()?;
    let mut command = Command::new(parts.programs.join("cri"));
    command.arg("--tools").arg(parts.tools);
    command.arg("--crun").arg(crun::ensure()?);
    command.arg("--images").arg(parts.images);
    command
        .arg("--agent")
        .arg(parts.programs.join("gracewatch"));
    Ok(command)
}

/// What the tier consists of.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// Folder of containerd, its shim, ctr, runc and the CNI plugins.
    pub(crate) tools: PathBuf,
    /// Folder of the images' archives.
    pub(crate) images: PathBuf,
    /// Folder of `gracewatch` and `cri`, static, so that they also run in a virtual machine.
    pub(crate) programs: PathBuf,
}

/// Builds all parts.
pub(crate) fn parts() -> Result<Parts> {
    let tools = tools::runtime()?;
    let images = cache::workspace().join("target/image");
    image::write_rig_images(&tools, &images)?;
    let object = build_ebpf::build()?;
    let programs = cargo::build_static(&object, &["gracewatch", "cri"])?;
    Ok(Parts {
        tools,
        images,
        programs,
    })
}
