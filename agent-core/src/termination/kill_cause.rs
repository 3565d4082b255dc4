//! Why SIGKILL was sent, as far as the facts tell.

use std::time::Duration;

use super::grace::{self, GraceCandidates, GraceUsed, SigkillTiming};
use super::observed::Observed;
use crate::process::SignalFact;
use crate::report::KillCause;
use crate::time::Timestamp;

/// How far apart the kernel's SIGKILL and the OOM killer's word may be; they are microseconds apart in the kernel.
pub(super) const OOM_WINDOW: Duration = Duration::from_secs(1);

/// Returns the cause, and the grace that was over then, if it is known.
pub(super) fn find_kill_cause(
    observed: &Observed<'_>,
    grace_candidates: &GraceCandidates,
    grace_used: &GraceUsed<'_>,
    begun_again_at: Option<Timestamp>,
    kill: &SignalFact,
) -> (KillCause, Option<Duration>) {
    // A command that entered powered the namespace off with reboot(2); an init's own is no SIGKILL that counts.
    let rebooted = observed.exit.is_some_and(|exit| exit.rebooted.is_some());
    if rebooted && kill.sender.kernel {
        (KillCause::Inside, grace_candidates.known)
    } else if kill.sender.kernel {
        (by_kernel(observed, kill), grace_candidates.known)
    } else if !kill.is_from_outside() {
        (KillCause::Inside, grace_candidates.known)
    } else {
        match observed.stop {
            None => (KillCause::NoStopSignal, grace_candidates.known),
            Some(stop) => {
                let sigkill_timing = SigkillTiming::derive(observed, stop, begun_again_at, kill);
                grace::cause_after_stop(grace_candidates, grace_used, &sigkill_timing)
            }
        }
    }
}

fn by_kernel(observed: &Observed<'_>, kill: &SignalFact) -> KillCause {
    let near = |at: Timestamp| at.since(kill.at) <= OOM_WINDOW && kill.at.since(at) <= OOM_WINDOW;
    // The pid may be that of any thread, and the SIGKILL goes to all that share the memory: near in time is enough.
    if observed.container.oom.iter().any(|victim| near(victim.at)) {
        KillCause::Oom
    } else {
        KillCause::Kernel
    }
}
