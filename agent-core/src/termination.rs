//! From the facts of a container to one termination: which signal was the stop signal, which SIGKILL counts, which
//! process was the hook. A pure function of the facts, so that the order in which they came does not matter.

use std::time::Duration;

use crate::container::Container;
use crate::event::{Delivery, ExitStatus};
use crate::process::{Origin, Process, SignalFact};
use crate::report::{Doubt, Hook, Kill, KillCause, MainExit};
use crate::signal::Signal;
use crate::stop_signals;
use crate::time::Timestamp;
use crate::verdict;

/// How long after the hook's end the stop signal may come. The kubelet sends it at once (recorded: tens of
/// milliseconds); a hook without a stop signal by then was a probe that is written like it.
pub(crate) const HOOK_TO_STOP_SIGNAL_MAX: Duration = Duration::from_secs(5);

/// How far apart the kernel's SIGKILL and the OOM killer's word may be; they are microseconds apart in the kernel.
const OOM_WINDOW: Duration = Duration::from_secs(1);

/// How long before the first fact that was seen a stop may have begun, where no grace is known: systemd's
/// `DefaultTimeoutStopSec`, the longest of the usual ones (Kubernetes 30 s, Docker 10 s).
const STOP_MAX_DEFAULT: Duration = Duration::from_secs(90);

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
    hook_uncertain: bool,
}

impl<'a> Termination<'a> {
    /// None if nothing says that the container is being terminated.
    pub(crate) fn of(container: &'a Container) -> Option<Self> {
        let main = container.main()?;
        let exit = main.exit.as_ref();
        let kill = effective_kill(main);
        let stop = stop_signal(container, main, kill);
        let last = [
            stop.map(|fact| fact.at),
            kill.map(|fact| fact.at),
            exit.map(|exit| exit.at),
        ]
        .into_iter()
        .flatten()
        .min();
        let (hook, hook_uncertain) = find_hook(container, main, last);
        let hook = hook.map(|process| as_hook(process, stop, main));
        let begun = last.is_some()
            || hook.is_some()
            || container.released_at.is_some()
            || main.vanished_at.is_some();
        begun.then(|| {
            let cause = kill.map(|fact| (fact, kill_cause(container, hook.as_ref(), stop, fact)));
            Self {
                container,
                main,
                stop,
                stops_repeated: stop.map_or(0, |stop| {
                    main.stops.after(stop, |other| other.signal == stop.signal)
                }),
                kill: cause,
                kills_repeated: kill.map_or(0, |kill| {
                    main.kills
                        .after(kill, |other| other.sender.outside && !other.sender.kernel)
                }),
                exit,
                released_at: container.released_at,
                hook,
                hook_uncertain,
            }
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
        [
            self.hook.as_ref().map(|hook| hook.started_at),
            self.stop.map(|stop| stop.at),
            self.kill.map(|(kill, _)| kill.at),
            self.exit.map(|exit| exit.at),
            self.released_at,
            self.main.vanished_at,
        ]
        .into_iter()
        .flatten()
        .next()
        .unwrap_or_default()
    }

    /// Whether only a process that looks like the hook says that the container is being terminated.
    pub(crate) const fn rests_on_hook(&self) -> bool {
        self.stop.is_none()
            && self.kill.is_none()
            && self.exit.is_none()
            && self.released_at.is_none()
            && self.main.vanished_at.is_none()
    }

    /// Whether the main process went without being told to, in a way in which a daemon leaves its first process:
    /// status 0, and it was not a namespace's init. Then it depends on what is left in the container.
    pub(crate) fn may_go_on(&self) -> bool {
        self.stop.is_none()
            && self.kill.is_none()
            && self.released_at.is_none()
            && self
                .exit
                .is_some_and(|exit| exit.status == ExitStatus::Code(0))
            && !self.main.is_init()
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
            (Doubt::SeenLate, late),
            (Doubt::MainUncertain, self.container.main_is_ambiguous()),
            (
                Doubt::GraceUnknown,
                cause == Some(KillCause::GraceExpired) && self.container.grace().is_none(),
            ),
            (Doubt::Traced, traced),
            (
                Doubt::KernelKillUnexplained,
                cause == Some(KillCause::Kernel),
            ),
            (Doubt::SignalMissing, verdict::is_signal_missing(self)),
            (Doubt::HookUncertain, self.hook_uncertain),
        ];
        all.into_iter()
            .filter_map(|(doubt, holds)| holds.then_some(doubt))
            .collect()
    }

    /// Whether a part of the termination may lie before `then`: it began there, or its beginning was not seen and may.
    fn may_have_begun_before(&self, then: Timestamp) -> bool {
        let spec = self.container.spec.as_ref();
        let hook_missing = self.hook.is_none() && spec.is_some_and(|spec| spec.pre_stop.is_some());
        let reach = if self.stop.is_none() || hook_missing {
            self.container.grace().unwrap_or(STOP_MAX_DEFAULT)
        } else {
            Duration::ZERO
        };
        self.started_at() <= then.after(reach)
    }
}

/// The first SIGKILL that can have killed the main process: not thrown away, and not sent to one that was ending by
/// itself. SIGKILLs that a dying namespace's init makes the kernel send are for others than the main process.
fn effective_kill(main: &Process) -> Option<&SignalFact> {
    let ended_otherwise = main.exit.is_some() && main.died_of() != Some(Signal::KILL);
    main.kills.iter().find(|fact| {
        !ended_otherwise
            && fact.result != Delivery::Ignored
            && !fact.too_late
            && main.exit.as_ref().is_none_or(|exit| fact.at <= exit.at)
    })
}

/// The first stop signal that counts.
fn stop_signal<'a>(
    container: &Container,
    main: &'a Process,
    kill: Option<&SignalFact>,
) -> Option<&'a SignalFact> {
    let end = [
        main.exit.as_ref().map(|exit| exit.at),
        kill.map(|kill| kill.at),
    ]
    .into_iter()
    .flatten()
    .min();
    let counts = |fact: &&SignalFact| {
        // Fatal by its default action, and yet the process ended with a status: it was ending before.
        let came_while_ending = fact.exiting && main.exit.is_some() && main.died_of().is_none();
        !fact.too_late && !came_while_ending && end.is_none_or(|end| fact.at <= end)
    };
    let (stop_signal, configured) = container.stop_signal();
    let first = main
        .stops
        .iter()
        .filter(|fact| fact.signal == stop_signal)
        .find(counts);
    if first.is_some() || configured {
        return first;
    }
    let end = end?;
    main.stops
        .iter()
        .filter(|fact| stop_signals::of_images().any(|other| other == fact.signal))
        .filter(|fact| fact.result != Delivery::Ignored)
        .filter(|fact| end.since(fact.at) <= STOP_MAX_DEFAULT)
        .find(counts)
}

/// The process that was the hook, and whether another could as well have been. `last` is when the termination at the
/// latest began.
fn find_hook<'a>(
    container: &'a Container,
    main: &Process,
    last: Option<Timestamp>,
) -> (Option<&'a Process>, bool) {
    let in_time = |process: &&Process| {
        process
            .hook_at
            .is_some_and(|at| last.is_none_or(|last| at <= last))
    };
    let mut likely: Vec<&Process> = container
        .processes
        .values()
        .filter(|process| process.tgid != main.tgid && !process.spent)
        .filter(in_time)
        .collect();
    likely.sort_by_key(|process| (process.hook_at, process.tgid));
    let uncertain = likely.len() > 1;
    // A hook is not started twice: what starts while it runs is a probe, and one that ended before was.
    let hook = likely.into_iter().reduce(|earlier, later| {
        let ended = earlier.exit.as_ref().map(|exit| exit.at);
        if ended.is_some_and(|ended| Some(ended) <= later.hook_at) {
            later
        } else {
            earlier
        }
    });
    (hook, uncertain)
}

fn as_hook(process: &Process, stop: Option<&SignalFact>, main: &Process) -> Hook {
    let started_at = process.hook_at.unwrap_or(process.start);
    let ended_at = process.exit.as_ref().map(|exit| exit.at);
    let main_exit = main.exit.as_ref().map(|exit| exit.at);
    let ended_after_main = main_exit.is_some_and(|exit| ended_at.is_none_or(|ended| ended >= exit));
    Hook {
        tgid: process.tgid,
        argv: process.argv.clone(),
        started_at,
        ended_at,
        status: process.exit.as_ref().map(|exit| exit.status),
        running_at_stop_signal: stop
            .is_some_and(|stop| ended_at.is_none_or(|ended| ended > stop.at)),
        ended_by_container: ended_after_main && process.died_of() == Some(Signal::KILL),
    }
}

fn kill_cause(
    container: &Container,
    hook: Option<&Hook>,
    stop: Option<&SignalFact>,
    kill: &SignalFact,
) -> KillCause {
    if kill.sender.kernel {
        let near =
            |at: Timestamp| at.since(kill.at) <= OOM_WINDOW && kill.at.since(at) <= OOM_WINDOW;
        // The pid may be that of any thread, and the SIGKILL goes to all that share the memory: near in time is enough.
        if container.oom.iter().any(|(_pid, at)| near(*at)) {
            return KillCause::Oom;
        }
        return KillCause::Kernel;
    }
    if !kill.sender.outside {
        return KillCause::Inside;
    }
    match stop {
        None => KillCause::NoStopSignal,
        Some(stop) => verdict::cause_after_stop(container.grace(), hook, kill.at.since(stop.at)),
    }
}
