//! All VMs of one run: which boots when, where its console goes, what it said.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::vm::kernels::Kernel;
use crate::vm::outcome::Outcome;
use crate::vm::protocol::Report;
use crate::vm::qemu;

/// How often a kernel that never came to init is booted again.
const BOOTS_AGAIN: u32 = 2;

/// What every VM of a run has in common.
#[derive(Debug)]
pub(crate) struct Fleet<'a> {
    pub(crate) initramfs: &'a Path,
    /// Words added to the kernel command line.
    pub(crate) append: String,
    /// For each VM by itself.
    pub(crate) time_limit: Duration,
    /// The folder of the console logs.
    pub(crate) logs: &'a Path,
    pub(crate) machine: qemu::Machine<'a>,
    /// Whether a kernel whose guest was not heard to its end is tried once more. That is told, and is no failure. What was
    /// judged wrong is never tried again.
    pub(crate) once_more: bool,
}

impl Fleet<'_> {
    /// Boots every kernel, `jobs` of them at any time; the outcomes are in the order of `kernels`.
    pub(crate) fn boot(&self, kernels: &[Kernel], jobs: u8) -> Result<Vec<Outcome>> {
        let queue = Mutex::new(kernels.iter().enumerate());
        let next = || queue.lock().ok()?.next();
        let worker = || {
            let mut outcomes = Vec::new();
            while let Some((place, kernel)) = next() {
                outcomes.push((place, self.boot_one(kernel)?));
            }
            Ok(outcomes)
        };
        let mut outcomes = thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
            let mut outcomes = Vec::new();
            for worker in workers {
                outcomes.extend(
                    worker
                        .join()
                        .unwrap_or_else(|_| bail!("a thread that boots VMs panicked"))?,
                );
            }
            anyhow::Ok(outcomes)
        })?;
        outcomes.sort_by_key(|(place, _)| *place);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    fn boot_one(&self, kernel: &Kernel) -> Result<Outcome> {
        eprintln!(
            "{:>5}  booting {} ({})",
            kernel.series, kernel.release, kernel.package.suite
        );
        let mut outcome = self.try_one(kernel)?;
        // Emulation loses against a kernel that patches its own code: now and then one dies or hangs while it boots. What
        // happens once our init runs is never tried again.
        for _again in 0..BOOTS_AGAIN {
            if !outcome.died_in_boot() {
                break;
            }
            eprintln!("{:>5}  never came to init; booting again", kernel.series);
            outcome = self.try_one(kernel)?;
        }
        let problems = outcome.problems();
        if self.once_more && outcome.may_be_tried_again() {
            for problem in &problems {
                eprintln!("{:>5}  {problem}", kernel.series);
            }
            eprintln!("{:>5}  trying it once more", kernel.series);
            let (log, first) = (self.log(kernel), self.first_log(kernel));
            std::fs::rename(&log, &first)
                .with_context(|| format!("cannot rename {}", log.display()))?;
            outcome = self.try_one(kernel)?;
            outcome.failed_once = problems;
        }
        let verdict = if outcome.problems().is_empty() {
            "ok"
        } else {
            "FAILED"
        };
        eprintln!(
            "{:>5}  {verdict} after {:.1} s",
            kernel.series,
            outcome.ended.took.as_secs_f64()
        );
        Ok(outcome)
    }

    fn try_one(&self, kernel: &Kernel) -> Result<Outcome> {
        let log = self.log(kernel);
        let ended = qemu::boot(&qemu::Boot {
            kernel: &kernel.image,
            initramfs: self.initramfs,
            append: &self.append,
            time_limit: self.time_limit,
            log: &log,
            machine: self.machine,
        })?;
        Ok(Outcome {
            kernel: kernel.clone(),
            ended,
            report: Report::parse(&console(&log)?),
            failed_once: Vec::new(),
        })
    }

    /// Where that of a first try is kept, if there is a second.
    fn first_log(&self, kernel: &Kernel) -> PathBuf {
        self.logs.join(format!("{}.first.log", kernel.series))
    }

    /// Where the console of this kernel's VM is written.
    pub(crate) fn log(&self, kernel: &Kernel) -> PathBuf {
        self.logs.join(format!("{}.log", kernel.series))
    }
}

/// A console log as text.
pub(crate) fn console(log: &Path) -> Result<String> {
    let bytes = std::fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
