//! `cargo xtask test`: everything that proves that Gracewatch works, step by step, and a table of it in the end.

mod runtimes;
mod steps;
mod summary;

use std::time::Instant;

use anyhow::{Result, bail};

use steps::Step;
use summary::{Done, Outcome};

/// Test everything: format, lints, probes, unit tests, chart, this kernel, real runtimes, other kernels, a real Kubernetes, pages.
///
/// The steps, in this order:
///
///   format   cargo fmt --check
///   lints    cargo clippy with warnings as errors
///   probes   build the eBPF object
///   unit     cargo test: the engine's scenarios and properties, replay of recorded journals, and the rest
///            that needs no kernel
///   mixin    alerts, recording rules and dashboards are what deploy/mixin renders to; promtool tests the rules with series
///            of recorded runs: `cargo xtask mixin`
///   chart    the Helm chart renders, refuses wrong values by name, and makes the same objects as kustomize's manifests:
///            `cargo xtask chart`
///   kernel   real processes, signals and cgroups on this machine's kernel; each report is compared with what
///            was done and with independent clocks. Needs root
///   fuzz     random programs that are stopped in random ways on this kernel, of a fixed and of a new seed; an oracle judges each
///            report: `cargo xtask fuzz`. Needs root
///   hostile  containers that attack the agent; the reports about their neighbours are right all the same:
///            `cargo xtask hostile`. Needs root
///   connections
///            servers that are stopped, and their clients; each count of connections and resets is compared with a
///            capture by tcpdump and with what the clients met: `cargo xtask connections`. Needs root
///   conformance
///            the conformance table: `cargo xtask conformance`. Needs root
///   demo     the demo runs to its end. Needs root
///   page     the agent's page in a real browser: `cargo xtask page`. Needs root
///   cri      containers of containerd with runc and crun, stopped by the calls of a kubelet, compared in the same way:
///            `cargo xtask cri`. Needs root
///   vm       the scenarios of `kernel` on Debian kernels in QEMU: `cargo xtask vm`
///   e2e      pods of a real Kubernetes on this machine, terminated in every way; the agent is its DaemonSet:
///            `cargo xtask e2e`. Needs root
///   guest    the cases of `cri` in QEMU, with systemd making the cgroups and cgroup v2 alone: `cargo xtask cri --guest`
///   docs     docs/metrics.md and docs/timeline.svg are what the agent prints, the chart's tables what its values.yaml says,
///            and every link leads somewhere
///
/// A stage that is not ready in time, as may happen on a busy machine, is set up once more, alone, and the summary lists it;
/// more than three of these in all steps fail the run. A verdict that is wrong is never tried again.
///
/// A step that cannot run fails; none is skipped in silence. What a step needs is built or fetched into the cache first,
/// with an empty one most of all Kubernetes: ten minutes on two cores.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Run only these steps (comma-separated).
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STEP")]
    only: Vec<Step>,
    /// Leave these steps out (comma-separated); the summary says so.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "STEP",
        conflicts_with = "only"
    )]
    without: Vec<Step>,
    /// Write the generated pages from what the steps find: docs/accuracy.md (kernel), connections.md (connections), conformance.md (conformance), runtimes.md (cri, guest), kernels.md
    /// (vm), kubernetes.md (e2e), metrics.md and timeline.svg (docs), the pictures of page.md (page).
    #[arg(long)]
    write_docs: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let wanted = |step: Step| {
        if args.only.is_empty() {
            !args.without.contains(&step)
        } else {
            args.only.contains(&step)
        }
    };
    let mut done = Vec::new();
    for step in Step::ALL {
        if !wanted(step) {
            done.push(Done {
                step,
                outcome: Outcome::NotRun,
            });
            continue;
        }
        summary::print_start(step);
        let started = Instant::now();
        let outcome = match steps::run(step, args.write_docs) {
            Ok(stages) => Outcome::Passed(started.elapsed(), stages.0),
            Err(error) => Outcome::Failed(started.elapsed(), format!("{error:#}")),
        };
        let done_one = Done { step, outcome };
        summary::print_end(&done_one);
        done.push(done_one);
    }
    let failed = summary::print(&done);
    if failed > 0 {
        bail!("{failed} of the steps failed; run one again with `cargo xtask test --only STEP`");
    }
    Ok(())
}
