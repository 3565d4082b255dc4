//! From the facts of a container to one termination: when it began, which signal was the stop signal, which SIGKILL
//! counts, what the hook did. A pure function of the facts, so that the order in which they came does not matter.

use std::time::Duration;

use crate::connection::Phase;
use crate::container::Container;
use crate::event::ExitStatus;
use crate::grace::{self, Graces, Killed, Spent};
use crate::pod::PreStop;
use crate::process::{Origin, Process, SignalFact};
use crate::report::{
    Doubt, Endpoint, Grace, Hook, Kill, KillCause, MainExit, Outcome, Start, Trigger,
};
use crate::time::Timestamp;
use crate::{trigger, verdict};

mod asked;
mod course;
mod exec_hook;
mod inferred_hook;

pub(crate) use asked::{Asked, SKEW, said};
pub(crate) use course::{Course, STOP_MAX_DEFAULT};

/// How long after the hook's end the stop signal may come. The kubelet sends it at once (recorded: tens of
/// milliseconds); a hook without a stop signal by then was a probe that is written like it.
pub(crate) const HOOK_TO_STOP_SIGNAL_MAX: Duration = Duration::from_secs(5);

/// How far apart the kernel's SIGKILL and the OOM killer's word may be; they are microseconds apart in the kernel.
const OOM_WINDOW: Duration = Duration::from_secs(1);

/// One termination as far as it has gone.
#[derive(Debug)]
pub(crate) struct Termination<'a> {
    pub(crate) container: &'a Container,
    pub(crate) main: &'a Process,
    pub(crate) hook: Option<Hook>,
    pub(crate) stop: Option<&'a SignalFact>,
    pub(crate) stops_repeated: u32,
    pub(crate) kill: Option<(&'a SignalFact, KillCause)>,
    pub(crate) kills_repeated: u32,
    pub(crate) exit: Option<&'a MainExit>,
    pub(crate) released_at: Option<Timestamp>,
    /// T0 as Kubernetes tells it.
    pub(crate) asked: Option<Asked>,
    /// Why it was stopped, as far as Kubernetes tells.
    pub(crate) reason: Option<Trigger>,
    graces: Graces,
    /// The grace that was in force, if it is known.
    grace: Option<Duration>,
    hook_uncertain: bool,
}

impl<'a> Termination<'a> {
    /// None if nothing says that the container is being terminated.
    pub(crate) fn of(container: &'a Container) -> Option<Self> {
        let course = Course::of(container)?;
        let Course {
            main, stop, kill, ..
        } = course;
        let asked = asked::asked(&course);
        let reason = trigger::reason(&course, asked.as_ref());
        let graces = Graces::of(&course, asked.as_ref(), reason);
        let (hook, hook_uncertain) = find_hook(&course, asked.as_ref(), reason, &graces);
        let begun = course.last().is_some()
            || asked.is_some()
            || hook.is_some()
            || container.released_at.is_some()
            || main.vanished_at.is_some();
        if !begun {
            return None;
        }
        let (kill, grace) = match kill {
            Some(kill) => {
                let spent = spent(&course, asked, hook.as_ref());
                let (cause, grace) = kill_cause(&course, &graces, &spent, kill);
                (Some((kill, cause)), grace)
            }
            None => (None, graces.known),
        };
        Some(Self {
            container,
            main,
            stop,
            stops_repeated: stop.map_or(0, |stop| {
                main.stops.after(stop, |other| other.signal == stop.signal)
            }),
            kill,
            kills_repeated: kill.map_or(0, |(kill, _)| {
                main.kills
                    .after(kill, |other| other.sender.outside && !other.sender.kernel)
            }),
            exit: course.exit,
            released_at: container.released_at,
            hook,
            asked,
            reason,
            graces,
            grace,
            hook_uncertain,
        })
    }

    /// The SIGKILL, as a report holds it.
    pub(crate) fn as_kill(&self) -> Option<Kill> {
        self.kill.map(|(fact, cause)| Kill {
            at: fact.at,
            sender: fact.sender.clone(),
            cause,
        })
    }

    /// T0.
    pub(crate) fn started_at(&self) -> Timestamp {
        self.start().map_or_else(Timestamp::default, |(at, _)| at)
    }

    /// What T0 was taken from.
    pub(crate) fn started_by(&self) -> Start {
        self.start().map_or(Start::Release, |(_, by)| by)
    }

    fn start(&self) -> Option<(Timestamp, Start)> {
        let asked = self.asked.map(|asked| (asked.at, asked.by));
        match (asked, self.seen_start()) {
            (Some(asked), Some(seen)) if seen.0 <= asked.0 => Some(seen),
            (asked, seen) => asked.or(seen),
        }
    }

    /// T0 as the kernel shows it.
    fn seen_start(&self) -> Option<(Timestamp, Start)> {
        let hook = self.hook.as_ref().and_then(|hook| hook.started_at);
        [
            (hook, Start::Hook),
            (self.stop.map(|stop| stop.at), Start::StopSignal),
            (self.kill.map(|(kill, _)| kill.at), Start::Kill),
            (self.exit.map(|exit| exit.at), Start::Exit),
            (self.released_at, Start::Release),
            (self.main.vanished_at, Start::Release),
        ]
        .into_iter()
        .find_map(|(at, by)| Some((at?, by)))
    }

    /// How far it has come.
    pub(crate) const fn phase(&self) -> Phase {
        if self.exit.is_some() || self.released_at.is_some() || self.main.vanished_at.is_some() {
            Phase::Closing
        } else if self.stop.is_some() || self.kill.is_some() {
            Phase::Stopping
        } else {
            Phase::Hook
        }
    }

    /// When its pod was taken out of the EndpointSlices; none if it is in none.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        let pod = self.container.pod.as_ref()?;
        // The slices may be seen to change before the pod is seen to be deleted.
        let started_at = self.started_at();
        let earliest = self.asked.map_or(started_at, |asked| asked.earliest);
        pod.endpoint(started_at.min(earliest))
    }

    /// Whether only a process that looks like the hook says that the container is being terminated.
    pub(crate) const fn rests_on_hook(&self) -> bool {
        self.stop.is_none()
            && self.kill.is_none()
            && self.exit.is_none()
            && self.released_at.is_none()
            && self.main.vanished_at.is_none()
            && self.asked.is_none()
    }

    /// Whether somebody outside ended it, or tried to.
    fn was_stopped(&self) -> bool {
        let killed = |kill: &SignalFact| kill.sender.outside && !kill.sender.kernel;
        self.stop.is_some() || self.kill.is_some_and(|(kill, _)| killed(kill))
    }

    /// Whether it was stopped, as opposed to having ended by itself.
    pub(crate) fn is_stop(&self, outcome: Outcome) -> bool {
        self.was_stopped()
            || self.hook.as_ref().is_some_and(|hook| hook.tgid.is_some())
            || outcome == Outcome::ExitedEarly
            || (matches!(outcome, Outcome::InProgress | Outcome::Unknown) && self.asked.is_some())
    }

    /// Whether it is a pod's container that was stopped for a reason which may still be told.
    pub(crate) fn lacks_reason(&self) -> bool {
        self.container.is_pods && self.reason.is_none() && self.was_stopped()
    }

    /// The grace in force and what was left of it, if it is known.
    pub(crate) fn grace(&self) -> Option<Grace> {
        let spent = Spent {
            hook: self.hook.as_ref(),
            asked: self.asked,
            stop: self.stop.map(|stop| stop.at),
            role: self.container.spec.role,
        };
        Some(grace::grace(self.grace?, &spent))
    }

    /// Whether the main process went without being told to, in a way in which a daemon leaves its first process:
    /// status 0, and it was not a namespace's init. Then it depends on what is left in the container. A runtime's
    /// container ends with its first process; only a helper that ran no program may go before that.
    pub(crate) fn may_go_on(&self) -> bool {
        let ends = self.container.is_of_runtime() && self.main.has_run();
        !ends
            && self.stop.is_none()
            && self.kill.is_none()
            && self.released_at.is_none()
            && self
                .exit
                .is_some_and(|exit| exit.status == ExitStatus::Code(0))
            && !self.main.is_init()
    }

    /// Whether only a stage of the runtime has come and gone: the container's program was not begun.
    pub(crate) fn is_stage(&self) -> bool {
        self.container.is_of_runtime() && !self.main.has_run() && self.may_go_on()
    }

    /// What keeps the verdict from being certain, as far as the facts of the container tell. `lost` says when facts were
    /// lost the last time.
    pub(crate) fn doubts(&self, lost: Option<Timestamp>) -> Vec<Doubt> {
        let cause = self.kill.map(|(_, cause)| cause);
        let traced = self.stop.is_some_and(|stop| stop.traced)
            || self.kill.is_some_and(|(kill, _)| kill.traced);
        let late = match self.main.origin {
            Origin::Entered => false,
            Origin::Found => {
                self.container.from_scan && self.may_have_begun_before(self.main.known_at)
            }
            Origin::Mentioned => true,
        };
        let all = [
            (
                Doubt::RecordsLost,
                lost.is_some_and(|lost| self.may_have_begun_before(lost)),
            ),
            (Doubt::SeenLate, late || self.hook_began_unseen()),
            (Doubt::MainUncertain, self.container.main_is_ambiguous()),
            (
                Doubt::GraceUnknown,
                cause == Some(KillCause::GraceExpired) && self.grace.is_none(),
            ),
            (Doubt::Traced, traced),
            (
                Doubt::KernelKillUnexplained,
                cause == Some(KillCause::Kernel),
            ),
            (Doubt::SignalMissing, verdict::is_signal_missing(self)),
            (Doubt::HookUncertain, self.hook_uncertain),
            (Doubt::RuntimeOpaque, self.container.is_opaque()),
        ];
        all.into_iter()
            .filter_map(|(doubt, holds)| holds.then_some(doubt))
            .collect()
    }

    /// Whether it was asked to stop before anybody watched it, so that a stop signal may have come that was not seen.
    pub(crate) fn began_out_of_sight(&self) -> bool {
        let known_at = self.main.known_at;
        self.stop.is_none()
            && self.container.from_scan
            && self.main.origin == Origin::Found
            && self.asked.is_some_and(|asked| asked.at <= known_at)
    }

    /// Whether the times of the hook rest on a T0 that is only known to a second.
    fn hook_began_unseen(&self) -> bool {
        let started_at = self.hook.as_ref().and_then(|hook| hook.started_at);
        self.asked.is_some_and(|asked| {
            asked.by == Start::Deletion && !asked.exact && started_at == Some(asked.at)
        })
    }

    /// Whether a part of the termination may lie before `then`: it began there, or its beginning was not seen and may.
    fn may_have_begun_before(&self, then: Timestamp) -> bool {
        let hook_missing = self.hook.is_none() && self.container.spec.hook.is_some();
        let begun_in_sight = self.asked.is_some_and(|asked| asked.exact);
        let reach = if !begun_in_sight && (self.stop.is_none() || hook_missing) {
            self.graces.likely().unwrap_or(STOP_MAX_DEFAULT)
        } else {
            Duration::ZERO
        };
        self.started_at() <= then.after(reach)
    }
}

fn find_hook(
    course: &Course<'_>,
    asked: Option<&Asked>,
    reason: Option<Trigger>,
    graces: &Graces,
) -> (Option<Hook>, bool) {
    match course.container.spec.hook.as_ref() {
        None => (None, false),
        Some(PreStop::Exec { command }) => exec_hook::find(course, asked, command),
        Some(other) => {
            let hook = asked.and_then(|asked| {
                inferred_hook::find(course, asked, reason, graces.likely(), other)
            });
            (hook, false)
        }
    }
}

/// What of the grace was used up when the stop signal came.
fn spent<'a>(course: &Course<'_>, asked: Option<Asked>, hook: Option<&'a Hook>) -> Spent<'a> {
    Spent {
        hook,
        asked,
        stop: course.stop.map(|stop| stop.at),
        role: course.container.spec.role,
    }
}

fn kill_cause(
    course: &Course<'_>,
    graces: &Graces,
    spent: &Spent<'_>,
    kill: &SignalFact,
) -> (KillCause, Option<Duration>) {
    let cause = if kill.sender.kernel {
        let near =
            |at: Timestamp| at.since(kill.at) <= OOM_WINDOW && kill.at.since(at) <= OOM_WINDOW;
        // The pid may be that of any thread, and the SIGKILL goes to all that share the memory: near in time is enough.
        if course.container.oom.iter().any(|(_pid, at)| near(*at)) {
            KillCause::Oom
        } else {
            KillCause::Kernel
        }
    } else if !kill.sender.outside {
        KillCause::Inside
    } else {
        return match course.stop {
            None => (KillCause::NoStopSignal, graces.known),
            Some(stop) => {
                let same = stop.sender.comm == kill.sender.comm
                    && stop.sender.parent_comm == kill.sender.parent_comm;
                let killed = Killed {
                    waited: kill.at.since(stop.at),
                    by_the_runtime: same && course.container.is_of_runtime(),
                };
                grace::cause_after_stop(graces, spent, killed)
            }
        };
    };
    (cause, graces.known)
}
