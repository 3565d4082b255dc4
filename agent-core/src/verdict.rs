//! How a termination ended, why, and what was left of the grace.

use std::time::Duration;

use crate::event::{Delivery, ExitStatus};
use crate::report::{Grace, Hook, KillCause, Outcome, Trigger};
use crate::signal::Signal;
use crate::termination::Termination;

/// The least that the kubelet leaves between stop signal and SIGKILL (`minimumGracePeriodInSeconds`):
/// <https://github.com/kubernetes/kubernetes/blob/v1.36.2/pkg/kubelet/kuberuntime/kuberuntime_manager.go#L84>.
const FLOOR: Duration = Duration::from_secs(2);

/// How much earlier than the grace says SIGKILL may come. The runtimes start the timer after the signal is sent, so
/// it is never early but by the clocks' own differences.
const EARLY: Duration = Duration::from_millis(50);

/// How much later it may come. Recorded with containerd and runc: 7 to 23 ms, most of it the start of runc; a loaded
/// node takes some hundred ms for that, and CRI-O polls every 100 ms.
const LATE: Duration = Duration::from_secs(1);

/// The same where the grace is not known and only a whole number of seconds speaks for its end: as narrow as systemd,
/// whose timers are up to 250 ms late, allows.
const LATE_UNKNOWN: Duration = Duration::from_millis(300);

/// What the kubelet's measure of a hook may exceed ours by: it includes the runtime's work before the exec and after the
/// exit (recorded: 80 ms before).
const HOOK_OVERHEAD: Duration = Duration::from_millis(250);

/// Why SIGKILL came from outside so long after the stop signal.
pub(crate) fn cause_after_stop(
    grace: Option<Duration>,
    hook: Option<&Hook>,
    waited: Duration,
) -> KillCause {
    let expired = grace.map_or_else(
        || is_whole_seconds(waited),
        |configured| {
            expected_waits(configured, hook)
                .into_iter()
                .any(|expected| waited + EARLY >= expected && waited <= expected + LATE)
        },
    );
    if expired {
        KillCause::GraceExpired
    } else {
        KillCause::Other
    }
}

/// Whether a timer of whole seconds, at least one, can have waited so long.
fn is_whole_seconds(waited: Duration) -> bool {
    let waited = waited + EARLY;
    let beyond = Duration::from_nanos(u64::from(waited.subsec_nanos()));
    waited >= Duration::from_secs(1) && beyond <= EARLY + LATE_UNKNOWN
}

/// The times after which the grace can have ended: by the kubelet's rule, with the hook as the kubelet may have measured
/// it; without a hook also by the rule of systemd and Docker, which know no floor.
fn expected_waits(configured: Duration, hook: Option<&Hook>) -> Vec<Duration> {
    let Some(hook) = hook else {
        return vec![configured, configured.max(FLOOR)];
    };
    let measured = hook_time(configured, hook);
    [measured, measured + HOOK_OVERHEAD]
        .into_iter()
        .map(|measured| after_hook(configured, measured))
        .collect()
}

/// How much of the grace the hook took. One that runs on at the stop signal took all of it.
fn hook_time(configured: Duration, hook: &Hook) -> Duration {
    match hook.ended_at {
        Some(ended) if !hook.running_at_stop_signal => ended.since(hook.started_at),
        Some(_) | None => configured,
    }
}

/// The kubelet's rule: whole seconds of the hook are subtracted, two seconds are left at the least.
fn after_hook(configured: Duration, hook: Duration) -> Duration {
    configured
        .saturating_sub(Duration::from_secs(hook.as_secs()))
        .max(FLOOR)
}

/// The grace and what was left of it.
pub(crate) fn grace(termination: &Termination<'_>) -> Option<Grace> {
    let configured = termination.container.grace()?;
    let hook = termination
        .hook
        .as_ref()
        .map_or(Duration::ZERO, |hook| hook_time(configured, hook));
    let left = after_hook(configured, hook);
    Some(Grace {
        configured,
        after_hook: left,
        floor_used: configured.saturating_sub(Duration::from_secs(hook.as_secs())) < left,
    })
}

/// How it ended, if its main process is known to have.
pub(crate) fn outcome(termination: &Termination<'_>) -> Option<Outcome> {
    let status = termination.exit?.status;
    Some(match status {
        ExitStatus::Code(code) => by_itself(termination, code == 0),
        ExitStatus::Signal {
            signal: Signal::KILL,
            ..
        } => by_kill(termination),
        ExitStatus::Signal { signal, .. } => by_signal(termination, signal),
    })
}

fn by_itself(termination: &Termination<'_>, success: bool) -> Outcome {
    match (termination.stop, &termination.hook, success) {
        (Some(_), _, _) => Outcome::Graceful,
        (None, Some(_), _) => Outcome::ExitedEarly,
        (None, None, true) => Outcome::Completed,
        (None, None, false) => Outcome::Crashed,
    }
}

fn by_kill(termination: &Termination<'_>) -> Outcome {
    let Some((_, cause)) = termination.kill else {
        return Outcome::Unknown;
    };
    let ignored = termination
        .stop
        .is_some_and(|stop| stop.result == Delivery::Ignored && !stop.traced);
    match cause {
        KillCause::Oom => Outcome::OomKilled,
        KillCause::NoStopSignal => Outcome::ForceKilled,
        KillCause::GraceExpired | KillCause::Other if ignored => Outcome::SignalIgnored,
        KillCause::GraceExpired => Outcome::GraceExceeded,
        KillCause::Inside | KillCause::Kernel | KillCause::Other => Outcome::KilledByOther,
    }
}

fn by_signal(termination: &Termination<'_>, signal: Signal) -> Outcome {
    if is_signal_missing(termination) {
        return Outcome::Unknown;
    }
    if is_fault(signal) && termination.stop.is_none_or(|stop| stop.signal != signal) {
        return Outcome::Crashed;
    }
    match (termination.stop, &termination.hook) {
        (Some(_), _) => Outcome::Graceful,
        (None, _) => Outcome::KilledByOther,
    }
}

/// Whether a signal that only somebody else sends ended the main process, and nobody was seen to send it.
pub(crate) fn is_signal_missing(termination: &Termination<'_>) -> bool {
    let main = termination.main;
    let Some(signal) = main.died_of() else {
        return false;
    };
    if signal == Signal::KILL {
        return termination.kill.is_none();
    }
    let (stop_signal, _) = termination.container.stop_signal();
    signal == stop_signal && termination.stop.is_none() && !main.stopped_from_inside
}

/// Signals that a program's own fault raises (SIGQUIT is a wish for a core dump and no fault).
fn is_fault(signal: Signal) -> bool {
    const FAULTS: [u32; 7] = [4, 5, 6, 7, 8, 11, 31];
    FAULTS.contains(&signal.number())
}

/// Why it was stopped.
pub(crate) fn trigger(termination: &Termination<'_>, outcome: Outcome) -> Trigger {
    let killed_from_outside = termination
        .kill
        .is_some_and(|(kill, _)| kill.sender.outside && !kill.sender.kernel);
    if termination.stop.is_some() || termination.hook.is_some() || killed_from_outside {
        return Trigger::Stopped;
    }
    match outcome {
        Outcome::Crashed => Trigger::Crashed,
        Outcome::Completed => Trigger::Completed,
        Outcome::InProgress
        | Outcome::Graceful
        | Outcome::SignalIgnored
        | Outcome::GraceExceeded
        | Outcome::ForceKilled
        | Outcome::KilledByOther
        | Outcome::OomKilled
        | Outcome::ExitedEarly
        | Outcome::Unknown => Trigger::Unknown,
    }
}
