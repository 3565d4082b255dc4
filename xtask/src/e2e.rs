//! `cargo xtask e2e`: builds the tools, the agent's image and the end-to-end tests, and becomes them.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{cache, cargo, chart, image, tools};

/// What `--help` teaches below the options.
const MORE_HELP: &str = "\
The cluster is etcd, a control plane, kubelet, kube-proxy, containerd and runc, in network and mount namespaces of their
own; the machine stays as it was, also after Ctrl-C. Its programs are built by `cargo xtask tools`: ten minutes on two
cores the first time.

With --kubeconfig nothing is started. The nodes need the images (kind: `kind load image-archive target/image/*.tar`); the
agent is installed from deploy/kustomize where it is not there already, and removed again.";

/// Bring up a real Kubernetes on this machine, terminate pods on it, and check what the agent says. Needs root.
#[derive(Debug, Default, clap::Args)]
#[command(after_long_help = MORE_HELP)]
pub(crate) struct Args {
    /// Use the cluster of this kubeconfig instead of an own one.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Run only the scenarios whose name contains this, or one of these, with commas between them.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// List the scenarios and end.
    #[arg(long)]
    list: bool,
    /// Leave the cluster running in the end, until Ctrl-C, and say how to reach it.
    #[arg(long, conflicts_with = "kubeconfig")]
    keep: bool,
    /// Run Kubernetes' own end-to-end tests of the pod's life in the place of our scenarios, or those whose name matches FOCUS, a
    /// regular expression, and compare each container that ended with what kubelet and containerd logged. Takes some forty
    /// minutes, and is no part of `cargo xtask test`.
    #[arg(long, value_name = "FOCUS", num_args = 0..=1, conflicts_with_all = ["kubeconfig", "only", "list", "record_dir"])]
    #[expect(
        clippy::option_option,
        reason = "without it, with it, and with a value"
    )]
    suite: Option<Option<String>>,
    /// Write everything that was expected and what came to this file, fact by fact.
    #[arg(long, value_name = "FILE")]
    table_out: Option<PathBuf>,
    /// Write the same in short to this file: docs/kubernetes.md.
    #[arg(long, value_name = "FILE")]
    page_out: Option<PathBuf>,
    /// Run the scenarios one after the other, and record the agent's journal of each that passes into this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "kubeconfig")]
    record_dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    // Becoming it leaves Ctrl-C to the one that cleans up.
    let error = build(args)?.exec();
    Err(error).context("cannot start the end-to-end tests")
}

/// The command of `cargo xtask test`: all scenarios; `page` is where they are told in short.
pub(crate) fn build_all(page: Option<PathBuf>) -> Result<Command> {
    build(&Args {
        page_out: page,
        ..Args::default()
    })
}

/// Builds what is needed, and gives the command that runs the tests. They are built without optimization: they only wait.
fn build(args: &Args) -> Result<Command> {
    let folder = cache::workspace().join("target/e2e");
    let images = cache::workspace().join("target/image");
    eprintln!("building the end-to-end tests");
    let mut tests = Command::new(cargo::build_debug("e2e")?);
    // Not looked at for a list, but an option cannot be empty.
    let mut tools = folder.clone();
    if args.list {
        tests.arg("--list");
    } else {
        ensure!(
            args.kubeconfig.is_some() || rustix::process::geteuid().is_root(),
            "a kubelet needs root: run this as root, `sudo -E env PATH=\"$PATH\" cargo xtask e2e`, or give a cluster by \
             --kubeconfig"
        );
        tools = match args.suite {
            Some(_) => tools::cluster()?,
            None => tools::ensure()?,
        };
        image::write_agent_image(image::NAME, &images.join("gracewatch.tar"))?;
        image::write_rig_images(&tools, &images)?;
        forget(&folder.join("logs"))?;
    }
    let places = [
        ("--tools", tools),
        ("--images", images),
        ("--manifests", cache::workspace().join("deploy/kustomize")),
        ("--rules", cache::workspace().join("deploy/mixin/rules")),
        ("--dashboards", cache::workspace().join("deploy/dashboards")),
        ("--chart", cache::workspace().join(chart::FOLDER)),
        ("--logs", folder.join("logs")),
    ];
    for (flag, place) in places {
        tests.arg(flag).arg(place);
    }
    pass_on(args, &mut tests);
    if let Some(focus) = &args.suite {
        build_suite(focus.as_deref(), &mut tests)?;
    }
    Ok(tests)
}

/// Builds Kubernetes' own tests and their images.
fn build_suite(focus: Option<&str>, tests: &mut Command) -> Result<()> {
    let built = tools::kubernetes_tests()?;
    // Others of the rig do not import what is in a folder of its own.
    let images = cache::workspace().join("target/image/suite");
    image::suite::write(&tools::cluster()?, &built, &images)?;
    tests.arg("--suite").arg(built.programs);
    tests.arg("--suite-images").arg(images);
    if let Some(focus) = focus {
        tests.arg("--focus").arg(focus);
    }
    Ok(())
}

fn pass_on(args: &Args, tests: &mut Command) {
    if args.keep {
        tests.arg("--keep");
    }
    if let Some(text) = &args.only {
        tests.arg("--only").arg(text);
    }
    for (flag, path) in [
        ("--kubeconfig", &args.kubeconfig),
        ("--table-out", &args.table_out),
        ("--page-out", &args.page_out),
        ("--record-dir", &args.record_dir),
    ] {
        if let Some(path) = path {
            tests.arg(flag).arg(path);
        }
    }
}

/// Removes the logs of the run before.
fn forget(logs: &Path) -> Result<()> {
    match fs::remove_dir_all(logs) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", logs.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
