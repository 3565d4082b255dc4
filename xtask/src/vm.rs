//! `cargo xtask vm`: boots real kernels and runs the real-kernel scenarios on each. The parts: `series` (which kernels
//! there are), `mirror`, `archive` and `kernels` (how to get them), `guest` and `initramfs` (what runs in them), `qemu`
//! (boots one), `fleet` (boots all), `protocol` (what the guest says), `outcome` and `matrix` (what that means).
#![expect(
    clippy::print_stdout,
    reason = "the matrix is what this command is for"
)]

pub(crate) mod archive;
pub(crate) mod fleet;
mod guest;
pub(crate) mod initramfs;
pub(crate) mod kernels;
mod matrix;
pub(crate) mod mirror;
pub(crate) mod outcome;
mod protocol;
pub(crate) mod qemu;
pub(crate) mod series;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::process::FailedStages;
use crate::{build_ebpf, cache};
use fleet::Fleet;
use kernels::Kernel;
use mirror::Mirror;
use outcome::Outcome;
use series::Series;

/// Lines of console shown for a failed kernel.
const TAIL: usize = 40;

const HOW: &str = "\
How it works:
  Each kernel gets a small VM (software emulation, no KVM needed) whose only program is our test
  binary: it loads and attaches every probe, terminates real processes in real cgroups and compares
  the reports with what it did itself. The result is a matrix of kernel, program and scenario;
  anything that fails makes the exit code 1 and shows the end of that VM's console. The whole
  console is in target/vm/KERNEL.log.

  Kernels come from the Debian archive that this machine's apt uses, checked by apt, through a
  private configuration that leaves the machine's own apt alone. They stay in the cache
  ($GRACEWATCH_CACHE, else ~/.cache/gracewatch) and are used from there without network.
  Root is only needed to install QEMU where it is missing.

Examples:
  cargo xtask vm                      all five kernels of the support matrix
  cargo xtask vm 5.10 7.3             the oldest and the newest only
  cargo xtask vm 6.12 -- ignored      only scenarios with `ignored` in their name, on 6.12
  cargo xtask vm --update             look for newer builds of each series first
  cargo xtask vm --write-docs         and write docs/kernels.md when everything passed
  cargo xtask vm --stops 2000 --time-limit 7200
                                      random stops instead of scenarios
  cargo xtask vm 6.1 --init ./a.out   boot a static program of your own";

/// Options of `vm`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HOW)]
pub(crate) struct Args {
    /// Kernel series such as 5.10 or 7.3 [default: 5.10 6.1 6.12 6.19 (else 7.2) 7.3]
    #[arg(value_name = "KERNEL", value_parser = series::find)]
    kernels: Vec<&'static Series>,
    /// Run only scenarios whose name contains this
    #[arg(last = true, value_name = "FILTER", value_parser = filter)]
    filter: Option<String>,
    /// Look for newer builds even when a kernel is in the cache
    #[arg(long)]
    update: bool,
    /// Write docs/kernels.md when every kernel passed
    #[arg(long, conflicts_with_all = ["filter", "init"])]
    write_docs: bool,
    /// VMs at a time; each keeps little more than one core busy
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
    /// Seconds a VM may take before it is ended
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    time_limit: u64,
    /// Instead of the scenarios, so many random stops of `cargo xtask fuzz`; give --time-limit, too
    #[arg(long, value_name = "N", conflicts_with_all = ["filter", "init", "write_docs"])]
    stops: Option<u64>,
    /// Of this seed
    #[arg(long, value_name = "SEED", default_value_t = 1, requires = "stops")]
    seed: u64,
    /// Boot this static program instead of the test binary; it must print TEST_RC=n and power off
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Debian archive to take kernels from [default: the one in this machine's apt configuration]
    #[arg(long, value_name = "URI")]
    mirror: Option<String>,
}

/// A filter travels on the kernel command line, where spaces and quotes have a meaning.
fn filter(text: &str) -> Result<String, String> {
    if !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
    {
        Ok(text.to_owned())
    } else {
        Err("a scenario filter is made of letters, digits and _ - . :".to_owned())
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    test(args).map(drop)
}

/// Does it, and gives the stages that failed but once.
pub(crate) fn test(args: &Args) -> Result<FailedStages> {
    qemu::ensure()?;
    let kernels = obtain(args)?;
    let folder = cache::workspace().join("target/vm");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let _alone = lock_folder(&folder)?;
    let initramfs = folder.join("initramfs");
    if let Some(init) = &args.init {
        guest::write_initramfs(&[("init", init)], &initramfs)?;
    } else {
        let object = build_ebpf::build()?;
        let programs = guest::build(&object)?;
        guest::write_initramfs(
            &[
                ("init", &programs.test),
                ("gracewatch", &programs.agent),
                ("fuzz", &programs.fuzz),
            ],
            &initramfs,
        )?;
    }
    let fleet = Fleet {
        initramfs: &initramfs,
        append: append(args),
        time_limit: Duration::from_secs(args.time_limit),
        logs: &folder,
        machine: qemu::Machine::SMALL,
        once_more: true,
    };
    let outcomes = fleet.boot(&kernels, args.jobs)?;
    println!("\n{}", matrix::render_text(&outcomes));
    check_outcomes(args, &outcomes, &fleet)?;
    if args.write_docs {
        let path = cache::workspace().join("docs/kernels.md");
        std::fs::write(&path, matrix::document(&outcomes))
            .with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    let stages = outcomes.iter().flat_map(Outcome::failed_stages);
    Ok(FailedStages(stages.collect()))
}

/// What the guest is told on the kernel command line.
fn append(args: &Args) -> String {
    match (&args.filter, args.stops) {
        (Some(filter), _) => format!("gracewatch.filter={filter}"),
        (None, Some(stops)) => {
            format!("gracewatch.stops={stops} gracewatch.seed={}", args.seed)
        }
        (None, None) => String::new(),
    }
}

/// Waits until no other run uses `folder`, whose initramfs and logs belong to one run at a time, and keeps it until the
/// returned file is closed.
pub(crate) fn lock_folder(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if lock.try_lock().is_err() {
        eprintln!("waiting for another run of `cargo xtask vm`");
        lock.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(lock)
}

/// The kernels asked for, or the default ones, all at hand before the first boots.
fn obtain(args: &Args) -> Result<Vec<Kernel>> {
    let named: Vec<Vec<_>> = args.kernels.iter().map(|series| vec![*series]).collect();
    let choices = if named.is_empty() {
        default_series()?
    } else {
        named
    };
    choices
        .iter()
        .map(|choice| first_of(choice, args))
        .collect()
}

fn default_series() -> Result<Vec<Vec<&'static Series>>> {
    let find = |name: &&'static str| series::find(name).map_err(anyhow::Error::msg);
    series::DEFAULT
        .iter()
        .map(|choice| choice.iter().map(find).collect())
        .collect()
}

/// The first series of `choice` that can be had.
fn first_of(choice: &[&'static Series], args: &Args) -> Result<Kernel> {
    let mut failure = None;
    for series in choice {
        match kernels::obtain(series, args.update, || match &args.mirror {
            Some(uri) => Ok(Mirror::from_uri(uri)),
            None => Mirror::of_this_machine(),
        }) {
            Ok(kernel) => return Ok(kernel),
            Err(error) => {
                if choice.len() > 1 {
                    eprintln!("{:>5}  {error:#}", series.name);
                }
                failure = Some(error);
            }
        }
    }
    Err(failure.unwrap_or_else(|| anyhow::anyhow!("no kernel to choose from")))
}

/// Shows what went wrong on which kernel; an error when anything did.
fn check_outcomes(args: &Args, outcomes: &[Outcome], fleet: &Fleet<'_>) -> Result<()> {
    let mut failures = Vec::new();
    for outcome in outcomes {
        let series = outcome.kernel.series;
        let problems = outcome.problems();
        if !problems.is_empty() {
            show_tail(&fleet.log(&outcome.kernel))?;
        }
        failures.extend(
            problems
                .iter()
                .map(|problem| format!("{series:>5}  {problem}")),
        );
    }
    let omissions = if args.init.is_some() || args.stops.is_some() {
        Vec::new()
    } else {
        outcome::omissions(outcomes)
    };
    failures.extend(omissions);
    ensure!(
        failures.is_empty(),
        "not every kernel passed:\n{}",
        failures.join("\n")
    );
    Ok(())
}

/// The end of a console, where a failure usually explains itself.
pub(crate) fn show_tail(log: &Path) -> Result<()> {
    let console = fleet::console(log)?;
    let lines: Vec<_> = console.lines().collect();
    let first = lines.len().saturating_sub(TAIL);
    eprintln!("\nthe end of {}:", log.display());
    for line in lines.iter().skip(first) {
        eprintln!("  | {line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_cannot_smuggle_words_onto_the_kernel_command_line() {
        assert_eq!(filter("ignored_stop").as_deref(), Ok("ignored_stop"));
        assert!(filter("a init=/bin/sh").is_err());
        assert!(filter("").is_err());
    }

    #[test]
    fn every_default_kernel_can_be_chosen() {
        assert_eq!(default_series().unwrap().len(), series::DEFAULT.len());
    }
}
