//! Which signal was the stop signal: the one that began the stop, of whatever number.
//!
//! A container's image names its stop signal, and on a cluster with default feature gates, as with Docker, podman and
//! systemd, nobody tells which it is. So the number alone decides only where it is configured, or SIGTERM. What else decides
//! is who sent it (a runtime's signal counts before a person's, and whoever sends SIGKILL later sent the stop signal), what
//! became of it (one that had an effect counts before one that was thrown away), when it came (SIGKILL comes when the grace
//! period is over), and how the process ended. Where these do not suffice the choice is doubtful, and so is the report.

use crate::container::Container;
use crate::event::ExitStatus;
use crate::process::{Process, SignalFact};
use crate::report::Sender;
use crate::signal::Signal;
use crate::stop_signals;

mod candidates;

use candidates::Candidates;

/// How many signals that were not the stop signal a report names.
const OTHERS_MAX: usize = 8;

/// The choice of the stop signal.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice<'a> {
    /// The stop signal, the first time it was sent for this stop.
    pub(super) stop: Option<&'a SignalFact>,
    /// The same signal from the same sender again, for the same stop.
    pub(super) again: Vec<&'a SignalFact>,
    /// Whether another signal may have been it, or this one may have been none.
    pub(super) is_uncertain: bool,
    /// Signals from outside before the end that were not it.
    pub(super) others: Vec<&'a SignalFact>,
}

/// Chooses the stop signal among those of the main process. `kill` is the SIGKILL that ended it, if one did.
pub(super) fn choose<'a>(
    container: &Container,
    main: &'a Process,
    kill: Option<&SignalFact>,
) -> Choice<'a> {
    let candidates = Candidates::from_container(container, main, kill);
    let killed_from_outside = kill.filter(|kill| kill.is_from_outside() && !kill.sender.kernel);
    let (stop, is_uncertain) = match (killed_from_outside, main.exit.as_ref()) {
        (Some(kill), _) => candidates.before_kill(kill),
        (None, Some(exit)) => match exit.status {
            ExitStatus::Signal { signal, .. } if signal != Signal::KILL => {
                candidates.before_death_by(signal)
            }
            // An init that powers its namespace off has shut down in order.
            ExitStatus::Signal { .. } if exit.rebooted.is_some() && kill.is_none() => {
                candidates.before_exit_with(0)
            }
            ExitStatus::Signal { .. } => candidates.before_kill_from_inside(),
            ExitStatus::Code(code) => candidates.before_exit_with(code),
        },
        (None, None) => (
            candidates
                .usual_signal()
                .or_else(|| candidates.after_deletion()),
            false,
        ),
    };
    candidates.conclude(stop, is_uncertain)
}

impl<'a> Candidates<'a, '_> {
    /// The first of an unbroken row of the same signal from the same sender began the stop: a runtime that is restarted sends
    /// it again.
    fn conclude(self, stop: Option<&'a SignalFact>, is_uncertain: bool) -> Choice<'a> {
        let is_uncertain = is_uncertain
            || self.may_have_raised_again()
            || stop.is_some_and(|stop| self.is_too_early(stop));
        let Some(newest) = stop else {
            return Choice {
                is_uncertain: is_uncertain || self.has_given_up(),
                others: self.others(None, &[]),
                ..Choice::default()
            };
        };
        let pool = if self.outside.contains(&newest) {
            &self.outside
        } else {
            &self.inside
        };
        // What systemd has a process of its own do (`ExecStop=`) begins the stop that it goes on with by itself.
        let same = |fact: &&&SignalFact| {
            let by_systemd =
                fact.by_control && (newest.by_control || is_of_runtime(&newest.sender));
            fact.signal == newest.signal && (by_systemd || is_same(&fact.sender, &newest.sender))
        };
        let mut row: Vec<&SignalFact> = Vec::new();
        for fact in pool
            .iter()
            .filter(same)
            .filter(|fact| fact.at <= newest.at)
            .rev()
        {
            if row
                .last()
                .is_some_and(|later| later.at.since(fact.at) > self.reach)
            {
                break;
            }
            row.push(fact);
        }
        row.reverse();
        // Where the time until SIGKILL made the choice, the same one may have come again after it.
        row.extend(pool.iter().filter(same).filter(|fact| fact.at > newest.at));
        let stop = row.first().copied();
        let again: Vec<_> = row.into_iter().skip(1).collect();
        Choice {
            stop,
            is_uncertain,
            others: self.others(stop, &again),
            again,
        }
    }

    fn others(&self, stop: Option<&SignalFact>, again: &[&SignalFact]) -> Vec<&'a SignalFact> {
        let is_of_stop = |fact: &SignalFact| Some(fact) == stop || again.contains(&fact);
        let before_end = self.main.stops.iter();
        let mut others: Vec<_> = before_end
            .filter(|fact| self.end.is_none_or(|end| fact.at <= end) && !is_of_stop(fact))
            .filter(|fact| stop_signals::may_stop(fact.signal))
            .collect();
        let skipped = others.len().saturating_sub(OTHERS_MAX);
        others.drain(..skipped);
        others
    }
}

/// Whether two signals came from the same program: a runtime starts a new process for each.
pub(super) fn is_same(one: &Sender, other: &Sender) -> bool {
    one.comm == other.comm && one.parent_comm == other.parent_comm
}

/// Whether a program that stops containers and services sent it. A name proves nothing against malice, but a person's `kill`
/// has another one.
pub(crate) fn is_of_runtime(sender: &Sender) -> bool {
    const RUNTIMES: [&str; 11] = [
        "runc", "crun", "youki", "runsc", "systemd", "conmon", "conmonrs", "dockerd", "podman",
        "crio", "kubelet",
    ];
    let comm = sender.comm.as_str();
    sender.outside
        && (sender.tgid.0 == 1
            || RUNTIMES.contains(&comm)
            || comm.starts_with("containerd")
            || comm.starts_with("runc:"))
}
