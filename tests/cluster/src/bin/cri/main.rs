//! The CRI tier, run as root: real container runtimes, driven by the calls that a kubelet makes, and the agent beside
//! them. What the agent says is compared with what was done and with clocks that it knows nothing of.
//!
//! Each set-up (an OCI runtime with a view of the cgroups) runs in a process and a jail of its own. Needs neither cargo
//! nor the sources: all it uses is named by its options.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a test runner reports on its terminal")]

mod case;
mod cases;
mod check;
mod critest;
mod metrics;
mod pod;
mod record;
mod rig;
mod runner;
mod setup;
mod stage;
mod table;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use gracewatch_cluster::containerd::Driver;
use gracewatch_tests::test_program;

use crate::setup::Setup;

/// Tests the agent with real container runtimes. Needs root.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Folder of containerd, containerd-shim-runc-v2, ctr, runc and the CNI plugins.
    #[arg(long, value_name = "DIR")]
    tools: PathBuf,
    /// Folder of the images' archives: pause.tar, test.tar, test-quit.tar.
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// The agent's program.
    #[arg(long, value_name = "FILE")]
    agent: PathBuf,
    /// The program crun; without it only runc is tested.
    #[arg(long, value_name = "FILE")]
    crun: Option<PathBuf>,
    /// Who makes the containers' cgroups.
    #[arg(long, value_enum, default_value = "cgroupfs")]
    driver: DriverArg,
    /// Run only these set-ups (comma-separated) [default: all that this machine and the options allow].
    #[arg(long, value_enum, value_delimiter = ',')]
    setup: Vec<Setup>,
    /// Run only the cases whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    /// Run only the case of this name.
    #[arg(long, hide = true)]
    case: Option<String>,
    /// List the cases and end.
    #[arg(long)]
    list: bool,
    /// Write the table of the results to this file, too.
    #[arg(long, value_name = "FILE")]
    table_out: Option<PathBuf>,
    /// Instead of the cases, run this suite, the program critest of cri-tools, and compare each container that it stops with
    /// containerd's log.
    #[arg(long, value_name = "FILE", conflicts_with = "record_dir")]
    critest: Option<PathBuf>,
    /// Write the stages that failed and were set up once more to this file.
    #[arg(long, value_name = "FILE")]
    stages_out: Option<PathBuf>,
    /// Instead of testing, record the journals of the cases, with an agent for each, into this folder.
    #[arg(long, value_name = "DIR")]
    record_dir: Option<PathBuf>,
    /// How many cases run beside each other.
    #[arg(long, value_name = "N", default_value_t = 8)]
    at_once: usize,
    /// How many times longer than on an idle machine everything may take, for an emulated processor.
    #[arg(long, value_name = "N", default_value_t = 1)]
    patience: u32,
    /// Keep the logs of containerd and the agent in this folder.
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    /// Run this set-up in this process …
    #[arg(long, value_enum, hide = true, requires = "results")]
    one: Option<Setup>,
    /// … and write its results to this file.
    #[arg(long, value_name = "FILE", hide = true)]
    results: Option<PathBuf>,
}

impl Args {
    /// With paths that also containerd, which is elsewhere, can use.
    fn absolute(mut self) -> Self {
        let given = [&mut self.tools, &mut self.images, &mut self.agent];
        for path in given
            .into_iter()
            .chain(&mut self.crun)
            .chain(&mut self.critest)
        {
            // What has no absolute form is missing, and told where it is used.
            if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute;
            }
        }
        self
    }
}

/// [`Driver`] on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum DriverArg {
    /// The OCI runtime itself.
    Cgroupfs,
    /// systemd.
    Systemd,
}

impl From<DriverArg> for Driver {
    fn from(arg: DriverArg) -> Self {
        match arg {
            DriverArg::Cgroupfs => Self::Cgroupfs,
            DriverArg::Systemd => Self::Systemd,
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse().absolute();
    test_program::run(|| match (args.one, &args.results) {
        (Some(setup), Some(results)) => runner::run_one(&args, setup, results),
        _ => runner::run_all(&args),
    })
}
