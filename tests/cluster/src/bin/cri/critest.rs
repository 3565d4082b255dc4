//! cri-tools' `critest` as a workload: the suite that every container runtime has to pass makes and stops some hundred
//! containers in ways of its own, while the agent watches. Each container that ended has one report, and that says what
//! containerd's log says of signals, SIGKILL, exit code and times.
//!
//! `registry` serves the suite's images, `log` reads what containerd says, `compare` compares.

mod compare;
mod log;
mod registry;

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use agent_core::report::Report;
use anyhow::{Context as _, Result, ensure};
use gracewatch_tests::harness::{Tried, attempt};

use crate::Args;
use crate::check::Check;
use crate::rig::Rig;
use registry::Registry;

/// The name of the one case that this is.
pub(crate) const NAME: &str = "critest";
/// Until the agent has told of the last container: its tail, and a busy machine.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
/// Specs that are left out, since they ask for what is not here: registries with certain images, NRI, AppArmor, SELinux, and
/// web servers, for which they would wait a minute each. A few others fail for want of users and programs in the one image
/// that there is; their containers are stopped all the same, and compared.
const SKIPPED: &str = "Image Manager|Image Consistency|Image Identifier|Image Volume|NRI|AppArmor|SELinux|Multiple Containers|port mapping|portforward";

/// Runs the suite with this rig.
pub(crate) fn run(rig: &Rig, program: &Path, args: &Args) -> Tried<Check> {
    let tried = attempt(NAME, Check::default(), |check| {
        judge(rig, program, args, check)
    });
    println!(
        "  {NAME} {:.1} s ... {}",
        tried.took.as_secs_f32(),
        tried.ending.word()
    );
    for words in tried.ending.words() {
        println!("    {words}");
    }
    tried
}

fn judge(rig: &Rig, program: &Path, args: &Args, check: &mut Check) -> Result<()> {
    let journal = rig.logs.join("critest.jsonl");
    let agent = rig.agent("agent", &[], Some(&journal))?;
    let registry = Registry::start(&args.images.join("test.tar"))?;
    rig.pull_from(registry.address())?;
    // Its log may hold what other runs wrote.
    let before = std::fs::read(rig.log()).map_or(0, |text| text.len());
    let log = rig.logs.join("critest.log");
    println!("  critest runs; its words go to {}", log.display());
    let words =
        std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let endpoint = rig.endpoint();
    let status = Command::new(program)
        .args(["-runtime-endpoint", &endpoint, "-image-endpoint", &endpoint])
        .args([
            "-ginkgo.no-color",
            "-ginkgo.seed=1",
            "-ginkgo.skip",
            SKIPPED,
        ])
        .current_dir(&rig.logs)
        .stdin(Stdio::null())
        .stdout(words.try_clone()?)
        .stderr(words)
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(!rig.interrupted.is_set(), "interrupted");
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    println!("  critest {status}: {}", last_words(&said));
    sleep(SETTLED_AFTER);
    let words = agent.words();
    let (status, _) = agent.stop()?;
    ensure!(
        status.success(),
        "the agent ended with {status} and said: {words}"
    );
    let reports = replay(args, &journal)?;
    compare::all(&log::read(&rig.log(), before)?, &reports, check);
    Ok(())
}

/// How many specs ran, passed and failed.
fn last_words(said: &str) -> String {
    let wanted = |line: &&str| line.starts_with("Ran ") || line.contains(" Passed |");
    let lines: Vec<_> = said.lines().filter(wanted).map(str::trim).collect();
    lines.join("; ")
}

/// All reports that a journal gives: of those that are finished the agent itself remembers the last ones only.
fn replay(args: &Args, journal: &Path) -> Result<Vec<Report>> {
    let output = Command::new(&args.agent)
        .args(["replay", "--json"])
        .arg(journal)
        .output()
        .context("cannot start the agent")?;
    ensure!(
        output.status.success(),
        "the journal cannot be replayed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}
