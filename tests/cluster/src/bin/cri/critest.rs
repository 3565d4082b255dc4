//! cri-tools' `critest` as a workload: the suite that every container runtime has to pass makes and stops some hundred
//! containers in ways of its own, while the agent watches. Each container that ended has one report, and that says what
//! containerd's log says of signals, SIGKILL, exit code and times.
//!
//! `registry` serves the suite's images.

mod registry;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gracewatch_cluster::suites::{compare, last_words, log};
use gracewatch_tests::harness::{Tried, attempt};
use gracewatch_tests::replay;

use crate::Args;
use crate::check::{Check, Row};
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
        compare_reports(rig, program, args, check)
    });
    println!(
        "  {NAME} {:.1} s ... {}",
        tried.took.as_secs_f32(),
        tried.ending.as_str()
    );
    for words in tried.ending.details() {
        println!("    {words}");
    }
    tried
}

fn compare_reports(rig: &Rig, program: &Path, args: &Args, check: &mut Check) -> Result<()> {
    let journal = rig.logs.join("critest.jsonl");
    let agent = rig.start_agent("agent", &[], Some(&journal))?;
    let registry = Registry::start(&args.images.join("test.tar"))?;
    rig.pull_from(registry.address())?;
    // Its log may hold what other runs wrote.
    let before = std::fs::read(rig.log_path()).map_or(0, |text| text.len());
    let said = rig.logs.join("critest.log");
    println!("  critest runs; its words go to {}", said.display());
    let words = File::create(&said).with_context(|| format!("cannot write {}", said.display()))?;
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
    let said = std::fs::read_to_string(&said).unwrap_or_default();
    println!("  critest {status}: {}", last_words(&said));
    sleep(SETTLED_AFTER);
    let words = agent.log_text();
    let (status, _) = agent.stop()?;
    ensure!(
        status.success(),
        "the agent ended with {status} and said: {words}"
    );
    let reports = replay::reports(BufReader::new(File::open(&journal)?))?;
    let compared = compare::compare_all(&log::read(&rig.log_path(), before)?, &reports, |_, _| {
        Vec::new()
    });
    println!("  {}", compared.summary());
    check.staged("no container ended", compared.ended > 0);
    let ended = format!("{} containers as containerd's log says", compared.ended);
    check.rows.push(Row {
        container: "app".to_owned(),
        expected: ended.clone(),
        got: ended,
        errors: Vec::new(),
    });
    for wrong in compared.wrong {
        check.require(wrong, false);
    }
    Ok(())
}
