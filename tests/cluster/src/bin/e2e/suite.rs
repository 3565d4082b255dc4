//! Kubernetes' own end-to-end tests as a workload: pods in ways of their own, while the agent's DaemonSet watches. Each container
//! that ended has one report, and that says what kubelet and containerd logged of signals, SIGKILL, grace period, hook, exit code
//! and times.
//!
//! `kubelet` reads what the kubelet says.

mod kubelet;

use std::fs::{self, File};
use std::io::{BufReader, Write as _};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_core::report::Report;
use anyhow::{Context as _, Result, ensure};
use gracewatch_cluster::cluster::Cluster;
use gracewatch_cluster::daemon::Daemon;
use gracewatch_cluster::suites::{compare, last_words, log};
use gracewatch_tests::harness::{Played, attempt};
use gracewatch_tests::{claim, replay};

use crate::Args;
use crate::agent::Agents;
use crate::check::Check;
use crate::place::{self, Place};
use crate::watch::Watch;
use crate::{record, runner};

/// The name of the one case that this is.
const NAME: &str = "suite";
/// How many specs run beside each other: most of them only wait.
const AT_ONCE: usize = 5;
/// What is tested of a pod's life: hooks, graceful termination, sidecars, restarts, probes that end containers, evictions, jobs.
const FOCUS: &str = "Lifecycle Hook|Lifecycle Sleep Hook|Lifecycle sleep action|PreStop|InitContainer|Delete Grace Period|\
    Pod Container lifecycle|Pod TerminationGracePeriodSeconds|Container Restart Rules|RestartAllContainers|\
    Probing .* be restarted|Probing .* terminating|Probing .* override|blackbox test|\
    Pods should (be submitted|delete a collection|allow activeDeadlineSeconds|run through)|\\] Job (should|with)|\
    NoExecuteTaintManager|block an eviction|SchedulerPreemption|Ephemeral Containers";
/// What asks for what is not here: registries, nginx, and gates that are off by default. And those that watch for minutes that
/// a container is *not* restarted.
const SKIPPED: &str =
    "\\*not\\* be restarted|with a new image|wait until preStop hook|Feature:OffByDefault";
/// How long all of it may take.
const LIMIT: &str = "3h";
/// How long the pods that the suite has left may take to be gone.
const GONE_LIMIT: Duration = Duration::from_mins(5);
/// Until the agent has told of the last container: its tail, and a busy machine.
const SETTLED_AFTER: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(500);

/// The suite, and where it runs.
#[derive(Debug)]
pub(crate) struct Suite<'a> {
    pub(crate) args: &'a Args,
    /// A cluster of our own.
    pub(crate) place: &'a Place,
    pub(crate) watch: &'a Watch,
    pub(crate) agents: &'a Agents<'a>,
    /// The folder of `e2e.test` and `ginkgo`.
    pub(crate) programs: &'a Path,
}

impl Suite<'_> {
    /// Runs it, and compares.
    pub(crate) fn run(&self) -> Played<Check> {
        let outcome = attempt(NAME, Check::default(), |check| self.compare_reports(check));
        runner::print_outcome(&outcome);
        Played {
            tried: vec![outcome],
            failed_stages: Vec::new(),
        }
    }

    fn compare_reports(&self, check: &mut Check) -> Result<()> {
        let own = self.place.own_cluster();
        let own = own.context("the suite needs a cluster of our own")?;
        let logs = own.cluster.logs_folder();
        if let Some(images) = &self.args.suite_images {
            place::import(&own.cluster, images)?;
        }
        record::start_recording(self.agents)?;
        let containerd = logs.join("containerd.log");
        let before = fs::metadata(&containerd).map_or(0, |file| file.len());
        let restarts = self.agents.restarts();
        self.run_suite(&own.cluster)?;
        self.wait_gone()?;
        // What follows ends the agent, too, which nobody reports.
        let logged = log::read(&containerd, usize::try_from(before)?)?;
        let kubelet = fs::read(logs.join("kubelet.log"))?;
        let kubelet = kubelet::parse(&String::from_utf8_lossy(&kubelet));
        let ends = self.agents.exit_codes();
        claim!(
            self.agents.restarts() == restarts,
            "the agent ended with {ends:?}"
        );
        let journal = logs.join("suite.jsonl");
        fs::write(&journal, record::take_journal(self.agents)?)?;
        let reports = replay::reports(BufReader::new(File::open(&journal)?))?;
        write_reports(&logs.join("suite.reports.jsonl"), &reports)?;
        let compared = compare::compare_all(&logged, &reports, |id, report| {
            let said = kubelet.get(id);
            said.map_or_else(Vec::new, |said| said.differences(report))
        });
        println!("  {}", compared.summary());
        check.staged("a container ended", compared.ended > 0, true);
        for wrong in compared.wrong {
            check.agrees("difference from the logs", wrong, "none".to_owned());
        }
        Ok(())
    }

    /// Runs the suite to its end, and tells how many specs passed and which did not; whether they did, does not matter here.
    fn run_suite(&self, cluster: &Cluster) -> Result<()> {
        let mut command = Command::new(self.programs.join("ginkgo"));
        command
            .arg(format!("--procs={AT_ONCE}"))
            .arg(format!("--timeout={LIMIT}"))
            .args(["--no-color", "--keep-going", "--silence-skips", "--seed=1"])
            .arg("--focus")
            .arg(self.args.focus.as_deref().unwrap_or(FOCUS))
            .args(["--skip", SKIPPED])
            .arg(self.programs.join("e2e.test"))
            .args(["--", "--provider=skeleton", "--kubeconfig"])
            .arg(self.place.kubeconfig())
            .current_dir(cluster.logs_folder());
        let mut suite = Daemon::start(NAME, command, cluster.logs_folder())?;
        cluster.hold(&suite)?;
        println!(
            "  the suite runs; its words go to {}",
            suite.log_path().display()
        );
        while suite.runs()? {
            self.watch.check_stopped()?;
            sleep(POLL);
        }
        let said = fs::read_to_string(suite.log_path())?;
        println!("  {}", last_words(&said));
        let lines = said.lines().map(str::trim_start);
        for line in lines.filter(|line| line.starts_with("[FAIL]")) {
            println!("  {line}");
        }
        let words = suite.last_words();
        ensure!(said.contains("Ran "), "the suite did not run: {words}");
        Ok(())
    }

    /// Waits until the pods that the suite has left are gone and the agent has told of them.
    fn wait_gone(&self) -> Result<()> {
        let started = Instant::now();
        let all = ["get", "pods", "--all-namespaces", "--no-headers"];
        loop {
            self.watch.check_stopped()?;
            let pods = self.place.kubectl().output(&all)?;
            if pods.lines().all(|pod| pod.starts_with("gracewatch ")) {
                break;
            }
            ensure!(
                started.elapsed() < GONE_LIMIT,
                "the suite has left pods:\n{pods}"
            );
            sleep(POLL);
        }
        sleep(SETTLED_AFTER);
        Ok(())
    }
}

/// Writes the reports, for whoever has to understand what is wrong.
fn write_reports(path: &Path, reports: &[Report]) -> Result<()> {
    let mut file =
        File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    for report in reports {
        writeln!(file, "{}", serde_json::to_string(report)?)?;
    }
    Ok(())
}
