//! Why the probes could not be loaded, each in one sentence with the way out.

use std::error::Error;
use std::io;

use agent_common::record::ABI_VERSION;
use aya::programs::ProgramError;
use rustix::io::Errno;

use super::btf::BtfError;

/// Why the probes could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The binary has no probes in it.
    #[error(
        "this binary was built without the probes: run `cargo xtask build-ebpf` and build again"
    )]
    NotBuilt,
    /// The probes in the binary are older or newer than the rest of it.
    #[error(
        "the probes in this binary are of ABI {}, the rest is of {ABI_VERSION}: run `cargo xtask build-ebpf` and build again",
        found.map_or_else(|| "unknown".to_owned(), |found| found.to_string())
    )]
    Stale {
        /// What the object says, if it says anything.
        found: Option<u32>,
    },
    /// The kernel's BTF lacks something.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The kernel forbids it to everybody.
    #[error(
        "kernel lockdown is at `confidentiality`, which forbids eBPF to read kernel memory: boot with lockdown=integrity or none"
    )]
    Lockdown,
    /// The kernel forbids it to us.
    #[error(
        "the kernel refuses to load eBPF ({step}): run as root, or with CAP_BPF and CAP_PERFMON (before 5.11 also CAP_SYS_RESOURCE)"
    )]
    NotPermitted {
        /// What was refused.
        step: String,
    },
    /// The object could not be loaded.
    #[error("cannot load the probes")]
    Object(#[source] Box<dyn Error + Send + Sync>),
    /// A required program was refused.
    #[error("the kernel refuses the probe {name} ({purpose}): {reason}")]
    Program {
        /// The program.
        name: &'static str,
        /// What would not be measured.
        purpose: &'static str,
        /// The kernel's words, shortened.
        reason: String,
    },
    /// The object lacks a map or a program, or has one of another type.
    #[error(
        "the probes in this binary have no fitting {0}: run `cargo xtask build-ebpf` and build again"
    )]
    Missing(&'static str),
    /// The ring buffer cannot be polled.
    #[error("cannot poll the ring buffer")]
    Poll(#[source] io::Error),
    /// The size asked for the ring buffer is none.
    #[error(
        "a ring buffer of {0} bytes is not possible: give a power of two, at least the size of a page"
    )]
    RingSize(u32),
}

impl LoadError {
    /// What an error of loading the object means on this machine.
    pub(super) fn from_object(error: aya::EbpfError) -> Self {
        Self::refused("maps", &error).unwrap_or_else(|| Self::Object(Box::new(error)))
    }

    /// The reason in the kernel's refusal, if it is one that has nothing to do with what was refused.
    pub(super) fn refused(step: &str, error: &(dyn Error + 'static)) -> Option<Self> {
        if !is_permission(error) {
            return None;
        }
        Some(if is_locked_down() {
            Self::Lockdown
        } else {
            Self::NotPermitted {
                step: step.to_owned(),
            }
        })
    }
}

/// The error, and of the verifier's log, which may be megabytes, only the end.
pub(super) fn in_short(error: &ProgramError) -> String {
    const LINES: usize = 4;
    let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = error
    else {
        return error_chain(error);
    };
    let log = verifier_log.to_string();
    let mut lines: Vec<&str> = log.lines().rev().take(LINES).collect();
    lines.reverse();
    format!("{io_error}; the verifier: {}", lines.join(" / "))
}

/// An error and its causes in one line.
fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Whether `EPERM` is at the bottom of it.
fn is_permission(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let code = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error);
        if code == Some(Errno::PERM.raw_os_error()) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// <https://docs.kernel.org/admin-guide/LSM/index.html>: the mode in force stands in brackets.
fn is_locked_down() -> bool {
    std::fs::read_to_string("/sys/kernel/security/lockdown")
        .is_ok_and(|modes| modes.contains("[confidentiality]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_found_below_other_errors() {
        let refused = aya::EbpfError::FileError {
            path: "x".into(),
            error: io::Error::from_raw_os_error(1),
        };
        let text = LoadError::from_object(refused).to_string();
        assert!(
            text.contains("run as root") || text.contains("lockdown"),
            "{text}"
        );
        let other = aya::EbpfError::FileError {
            path: "x".into(),
            error: io::Error::from_raw_os_error(2),
        };
        assert!(matches!(
            LoadError::from_object(other),
            LoadError::Object(_)
        ));
    }
}
