//! `cargo xtask fuzz`: builds the probes, the agent and the random stops, and becomes that program.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

use crate::process::FailedStages;
use crate::{build_ebpf, cargo, process};

/// Stops of each of the two runs of `cargo xtask test`.
const STOPS: u64 = 200;
/// The seed of the run that is always the same.
const SEED: u64 = 1;

/// Stop random programs in random ways, and judge every report. Needs root.
///
/// From a seed come programs (what they do with signals, children, threads, execs, connections, how they end) and what is done to
/// them: signals of any number by a runtime, a person or a process inside, SIGKILL, freezing, stopping, a memory limit, and an
/// agent that gets no time. Each runs in a real container (cgroup and pid namespace) that real agents watch. An oracle knows from
/// what was done, and from what the program wrote down, what a perfect report says; it shares no code with the engine.
///
/// A report that is certain and wrong is a failure. It is shrunk to a small case, which is printed as JSON that `--case` takes.
/// Reports that are unsure are counted, apart for the agent that was starved. Some ten stops a second on two cores.
///
///   cargo xtask fuzz --stops 20000                   of seed 1
///   cargo xtask fuzz --stops 500 --seed 7 --jobs 16
///   cargo xtask fuzz --case '{"grace":2,…}' --times 4
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// How many stops.
    #[arg(long, default_value_t = 300)]
    stops: u64,
    /// From which seed they are made; the same seed always makes the same.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// How many at a time; most of them wait.
    #[arg(long, default_value_t = 32)]
    jobs: usize,
    /// Instead of random ones, this one, as a failure prints it.
    #[arg(long, value_name = "JSON")]
    case: Option<String>,
    /// How often `--case` is played.
    #[arg(long, default_value_t = 4, requires = "case")]
    times: u64,
    /// Further options of the program itself; `-- --help` lists them.
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut fuzz = build()?;
    fuzz.args(["--jobs", &args.jobs.to_string()]);
    match &args.case {
        Some(case) => fuzz.args(["--case", case, "--times", &args.times.to_string()]),
        None => of_seed(&mut fuzz, args.stops, args.seed),
    };
    // Becoming it leaves Ctrl-C to the one that cleans up.
    let error = fuzz.args(&args.rest).exec();
    Err(error).context("cannot start the random stops")
}

/// Two short runs: of a seed that is always the same, and of a new one, whose number is printed.
pub(crate) fn test() -> Result<FailedStages> {
    let new = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut stages = FailedStages::default();
    for seed in [SEED, new] {
        let failed = process::run_tests(of_seed(&mut build()?, STOPS, seed))
            .with_context(|| format!("of seed {seed}"))?;
        stages.0.extend(failed.0);
    }
    Ok(stages)
}

fn of_seed(fuzz: &mut Command, stops: u64, seed: u64) -> &mut Command {
    fuzz.args(["--stops", &stops.to_string(), "--seed", &seed.to_string()])
}

/// Builds everything, and gives the command that runs the stops.
fn build() -> Result<Command> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "random stops load probes and make cgroups: run this as root, \
         `sudo -E env PATH=\"$PATH\" cargo xtask fuzz`"
    );
    let object = build_ebpf::build()?;
    Ok(Command::new(cargo::build_with_agent(&object, "fuzz")?))
}
