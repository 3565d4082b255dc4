//! `cargo xtask vm`: boots real kernels and runs the real-kernel scenarios on each. The parts: `series` (which kernels
//! there are), `mirror`, `archive` and `kernels` (how to get them), `guest` and `initramfs` (what runs in them), `qemu`
//! (boots one), `protocol` (what the guest says), `outcome` and `matrix` (what that means).
#![expect(
    clippy::print_stdout,
    reason = "the matrix is what this command is for"
)]

mod archive;
mod guest;
mod initramfs;
mod kernels;
mod matrix;
mod mirror;
mod outcome;
mod protocol;
mod qemu;
mod series;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::cache;
use kernels::Kernel;
use mirror::Mirror;
use outcome::Outcome;
use series::Series;

/// Lines of console shown for a failed kernel.
const TAIL: usize = 40;

const ABOUT: &str = "\
Boot Debian kernels in QEMU and run the real-kernel scenarios on each.

Each kernel gets a small VM (software emulation, no KVM needed) whose only program is our test binary: it loads and
attaches every probe, terminates real processes in real cgroups and compares the reports with what it did itself.
The result is a matrix of kernel, program and scenario; anything that fails makes the exit code 1.

Kernels come from the Debian archive this machine's apt already uses, checked by apt, through a private configuration
that leaves the machine's apt alone. They are kept in the cache and used from there without network.";

const EXAMPLES: &str = "\
Examples:
  cargo xtask vm                      all five kernels of the support matrix
  cargo xtask vm 5.10 7.3             the oldest and the newest only
  cargo xtask vm 6.12 -- ignored      only scenarios with `ignored` in their name, on 6.12
  cargo xtask vm --update             look for newer builds of each series first
  cargo xtask vm --write-docs         and write docs/kernels.md when everything passed
  cargo xtask vm 6.1 --init ./a.out   boot a static program of your own and see its console in target/vm/6.1.log

The whole console of each kernel is in target/vm/KERNEL.log.";

/// Options of `vm`.
#[derive(Debug, clap::Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
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
    /// VMs at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
    /// Seconds a VM may take before it is ended
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    time_limit: u64,
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
    qemu::ensure()?;
    let kernels = obtain(args)?;
    let folder = cache::workspace().join("target/vm");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let init = match &args.init {
        Some(path) => path.clone(),
        None => guest::build()?,
    };
    let initramfs = folder.join("initramfs");
    guest::pack(&init, &initramfs)?;
    let mut outcomes = Vec::new();
    for batch in kernels.chunks(usize::from(args.jobs)) {
        outcomes.extend(boot_together(args, batch, &initramfs, &folder)?);
    }
    println!("\n{}", matrix::text(&outcomes));
    judge(args, &outcomes, &folder)?;
    if args.write_docs {
        let path = cache::workspace().join("docs/kernels.md");
        std::fs::write(&path, matrix::document(&outcomes))
            .with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
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
            Some(uri) => Ok(Mirror::at(uri)),
            None => Mirror::of_this_machine(),
        }) {
            Ok(kernel) => return Ok(kernel),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| anyhow::anyhow!("no kernel to choose from")))
}

/// Boots `kernels` at the same time and waits for all of them.
fn boot_together(
    args: &Args,
    kernels: &[Kernel],
    initramfs: &Path,
    folder: &Path,
) -> Result<Vec<Outcome>> {
    std::thread::scope(|scope| {
        let boots: Vec<_> = kernels
            .iter()
            .map(|kernel| scope.spawn(move || boot(args, kernel, initramfs, folder)))
            .collect();
        boots
            .into_iter()
            .map(|boot| {
                boot.join()
                    .unwrap_or_else(|_| bail!("a boot thread panicked"))
            })
            .collect()
    })
}

fn boot(args: &Args, kernel: &Kernel, initramfs: &Path, folder: &Path) -> Result<Outcome> {
    eprintln!(
        "{:>5}  booting {} ({})",
        kernel.series, kernel.release, kernel.package.suite
    );
    let log = log(folder, kernel);
    let ended = qemu::boot(&qemu::Boot {
        kernel: &kernel.image,
        initramfs,
        append: &args.filter.as_ref().map_or(String::new(), |filter| {
            format!("gracewatch.filter={filter}")
        }),
        time_limit: Duration::from_secs(args.time_limit),
        log: &log,
    })?;
    let report = protocol::Report::parse(&console(&log)?);
    let outcome = Outcome {
        kernel: kernel.clone(),
        ended,
        report,
    };
    let verdict = if outcome.problems().is_empty() {
        "ok"
    } else {
        "FAILED"
    };
    eprintln!(
        "{:>5}  {verdict} after {:.1} s",
        kernel.series,
        ended.took.as_secs_f64()
    );
    Ok(outcome)
}

fn log(folder: &Path, kernel: &Kernel) -> PathBuf {
    folder.join(format!("{}.log", kernel.series))
}

fn console(log: &Path) -> Result<String> {
    let bytes = std::fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An error that shows what went wrong on which kernel, when anything did.
fn judge(args: &Args, outcomes: &[Outcome], folder: &Path) -> Result<()> {
    let mut story = String::new();
    let mut failed = Vec::new();
    for outcome in outcomes {
        let problems = outcome.problems();
        if problems.is_empty() {
            continue;
        }
        failed.push(outcome.kernel.series);
        let log = log(folder, &outcome.kernel);
        let console = console(&log)?;
        let lines: Vec<_> = console.lines().collect();
        let tail = lines
            .get(lines.len().saturating_sub(TAIL)..)
            .unwrap_or_default();
        writeln!(
            story,
            "\n{}: last lines of {}\n  | {}",
            outcome.kernel.series,
            log.display(),
            tail.join("\n  | ")
        )?;
        for problem in problems {
            writeln!(story, "{}: {problem}", outcome.kernel.series)?;
        }
    }
    let omissions = if args.init.is_some() {
        Vec::new()
    } else {
        outcome::omissions(outcomes)
    };
    for omission in &omissions {
        writeln!(story, "{omission}")?;
    }
    ensure!(
        failed.is_empty(),
        "{story}\nfailed on {}",
        failed.join(", ")
    );
    ensure!(omissions.is_empty(), "{story}\nsomething was not tried");
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
