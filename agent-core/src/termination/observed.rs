//! A termination as the kernel shows it: which signal was the stop signal, which SIGKILL counts.

use std::time::Duration;

use crate::container::Container;
use crate::event::Delivery;
use crate::process::{Process, SignalFact};
use crate::report::MainExit;
use crate::signal::Signal;
use crate::stop_signals;
use crate::time::Timestamp;

/// How long before the first fact that was seen a stop may have begun, where no grace is known: systemd's
/// `DefaultTimeoutStopSec`, the longest of the usual ones (Kubernetes 30 s, Docker 10 s).
pub(crate) const STOP_MAX_DEFAULT: Duration = Duration::from_secs(90);

/// What the kernel told of a stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed<'a> {
    pub(crate) container: &'a Container,
    pub(crate) main: &'a Process,
    pub(crate) stop: Option<&'a SignalFact>,
    pub(crate) kill: Option<&'a SignalFact>,
    pub(crate) exit: Option<&'a MainExit>,
}

impl<'a> Observed<'a> {
    /// None if the container has no main process yet.
    pub(super) fn of(container: &'a Container) -> Option<Self> {
        let main = container.main()?;
        let kill = effective_kill(main);
        Some(Self {
            container,
            main,
            stop: stop_signal(container, main, kill),
            kill,
            exit: main.exit.as_ref(),
        })
    }

    /// When the termination at the latest began.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        [
            self.stop.map(|fact| fact.at),
            self.kill.map(|fact| fact.at),
            self.exit.map(|exit| exit.at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether somebody outside ended it, or tried to.
    pub(crate) fn was_stopped(&self) -> bool {
        was_stopped(self.stop, self.kill)
    }

    /// How often the stop signal came again.
    pub(super) fn stops_repeated(&self) -> u32 {
        self.stop.map_or(0, |stop| {
            let again = |other: &SignalFact| other.signal == stop.signal;
            self.main.stops.after(stop, again)
        })
    }

    /// How often SIGKILL came again from outside.
    pub(super) fn kills_repeated(&self) -> u32 {
        self.kill.map_or(0, |kill| {
            self.main.kills.after(kill, is_from_somebody_outside)
        })
    }
}

/// Whether a stop signal, or a SIGKILL that somebody outside sent, shows that it was stopped.
pub(super) fn was_stopped(stop: Option<&SignalFact>, kill: Option<&SignalFact>) -> bool {
    stop.is_some() || kill.is_some_and(is_from_somebody_outside)
}

const fn is_from_somebody_outside(fact: &SignalFact) -> bool {
    fact.sender.outside && !fact.sender.kernel
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
