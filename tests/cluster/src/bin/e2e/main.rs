//! The end-to-end tests: pods of a real Kubernetes are terminated, and what the agent's DaemonSet says of each is compared
//! with what was done and with what the kubelet, the runtime and the pods themselves say.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a test runner reports on its terminal")]

mod agent;
mod check;
mod klog;
mod metrics;
mod monitoring;
mod page;
mod place;
mod rbac;
mod record;
mod runner;
mod scenario;
mod scenarios;
mod stage;
mod suite;
mod table;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gracewatch_tests::test_program;

/// Terminates pods on a real Kubernetes and checks what the agent says. `cargo xtask e2e` builds what it needs.
#[derive(Debug, Parser)]
struct Args {
    /// Folder of the cluster's programs, as `cargo xtask tools` makes it.
    #[arg(long, value_name = "FOLDER")]
    tools: PathBuf,
    /// Folder of the images: agent.tar, pause.tar and those of the tests' pods.
    #[arg(long, value_name = "FOLDER")]
    images: PathBuf,
    /// Folder of the agent's manifests.
    #[arg(long, value_name = "FOLDER")]
    manifests: PathBuf,
    /// Folder of the mixin's rules.
    #[arg(long, value_name = "FOLDER")]
    rules: PathBuf,
    /// Folder of the dashboards.
    #[arg(long, value_name = "FOLDER")]
    dashboards: PathBuf,
    /// Folder of the Helm chart.
    #[arg(long, value_name = "FOLDER")]
    chart: PathBuf,
    /// Folder for the logs of the cluster's programs; what the scrapes gave goes beside it.
    #[arg(long, value_name = "FOLDER")]
    logs: PathBuf,
    /// Use the cluster of this kubeconfig instead of an own one.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Run only the scenarios whose name contains this, or one of these, with commas between them.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Instead of the scenarios, run Kubernetes' own end-to-end tests, whose programs are in this folder, and compare each
    /// container that they end with the logs of kubelet and containerd.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["kubeconfig", "only", "record_dir"], requires = "suite_images")]
    suite: Option<PathBuf>,
    /// Folder of their images.
    #[arg(long, value_name = "FOLDER")]
    suite_images: Option<PathBuf>,
    /// Which of them [default: those of a pod's life].
    #[arg(long, value_name = "REGEX", requires = "suite")]
    focus: Option<String>,
    /// List the scenarios and end.
    #[arg(long)]
    list: bool,
    /// Leave the cluster running in the end, until Ctrl-C.
    #[arg(long, conflicts_with = "kubeconfig")]
    keep: bool,
    /// Write everything that was expected and what came to this file, fact by fact.
    #[arg(long, value_name = "FILE")]
    table_out: Option<PathBuf>,
    /// Write the same in short to this file: docs/kubernetes.md.
    #[arg(long, value_name = "FILE")]
    page_out: Option<PathBuf>,
    /// Run the scenarios one after the other, each with an agent of its own that records; the journals of those that pass go
    /// into this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "kubeconfig")]
    record_dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    test_program::run(|| runner::run(&Args::parse()))
}
