//! What a timeline says in words: the outcome, the verdict with its durations, who did what, the doubts.

mod doubt;
mod fact;
mod hook;
mod reason;
mod reset;
mod traffic;
mod trigger;
mod verdict;

use agent_core::event::ExitStatus;
use agent_core::report::{Doubt, Outcome, Report, SubjectKind};

use crate::terminal::Style;

pub(crate) use self::doubt::sentence as doubt;
pub(crate) use self::fact::{Fact, FactKind, report_facts};
pub(super) use self::fact::{command, handled};
pub(crate) use self::fact::{identity, main_process, network, sender};
pub(crate) use self::hook::command as hook_command;
pub(super) use self::hook::{described, has_run, hook_event};
pub(crate) use self::reason::describe_reason as reset_reason;
pub(super) use self::reset::describe_reset as reset_what;
pub(crate) use self::reset::{group_resets as reset_kinds, phase_name};
pub(super) use self::traffic::counted_to_the_end;
pub(super) use self::trigger::stop_request_event;
pub(crate) use self::trigger::trigger;
pub(crate) use self::verdict::{next_step, verdict};

/// An outcome as a badge: `✔ GRACEFUL`.
pub(super) fn outcome_badge(outcome: Outcome, style: &Style) -> String {
    let (sign, word) = sign_and_word(outcome);
    if style.unicode {
        format!("{sign} {word}")
    } else {
        word.to_owned()
    }
}

/// An outcome as a sign and a word.
pub(crate) const fn sign_and_word(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::InProgress => ("…", "IN PROGRESS"),
        Outcome::Graceful => ("✔", "GRACEFUL"),
        Outcome::SignalIgnored => ("✘", "SIGNAL IGNORED"),
        Outcome::GraceExceeded => ("✘", "GRACE EXCEEDED"),
        Outcome::ForceKilled => ("✘", "FORCE KILLED"),
        Outcome::KilledByOther => ("✘", "KILLED BY OTHER"),
        Outcome::OomKilled => ("✘", "OOM KILLED"),
        Outcome::ExitedEarly => ("!", "EXITED EARLY"),
        Outcome::Crashed => ("✘", "CRASHED"),
        Outcome::Completed => ("✔", "COMPLETED"),
        Outcome::Unknown => ("?", "UNKNOWN"),
    }
}

/// How sure the outcome is, where it is not: `incomplete`, `not certain`.
pub(crate) fn certainty(report: &Report) -> Option<&'static str> {
    if report.doubts.iter().copied().any(Doubt::is_incomplete) {
        Some("incomplete")
    } else if !report.doubts.is_empty() && report.outcome != Outcome::InProgress {
        Some("not certain")
    } else {
        None
    }
}

/// A kind of subject, as people call it.
pub(super) const fn subject_kind(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::SystemdService => "systemd service",
        SubjectKind::SystemdScope => "systemd scope",
        SubjectKind::Docker => "Docker container",
        SubjectKind::Podman => "podman container",
        SubjectKind::Containerd => "containerd container",
        SubjectKind::Crio => "CRI-O container",
        SubjectKind::Cgroup => "cgroup",
    }
}

/// An exit in few words: `exit 0`, `ended by SIGKILL`.
pub(crate) fn exit_short(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit {code}"),
        ExitStatus::Signal {
            signal,
            core_dumped: false,
        } => format!("ended by {signal}"),
        ExitStatus::Signal {
            signal,
            core_dumped: true,
        } => format!("ended by {signal}, core"),
    }
}
