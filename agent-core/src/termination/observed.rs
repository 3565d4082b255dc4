//! A termination as the kernel shows it: which signal was the stop signal, which SIGKILL counts.

use std::time::Duration;

use super::stop_signal::{Choice, choose};
use crate::container::Container;
use crate::event::Delivery;
use crate::process::{Process, SignalFact};
use crate::report::MainExit;
use crate::signal::Signal;
use crate::time::Timestamp;

/// How long before the first fact that was seen a stop may have begun, where no grace is known: systemd's
/// `DefaultTimeoutStopSec`, the longest of the usual ones (Kubernetes 30 s, Docker 10 s).
pub(crate) const STOP_MAX_DEFAULT: Duration = Duration::from_secs(90);

/// What the kernel told of a stop.
#[derive(Clone, Debug)]
pub(crate) struct Observed<'a> {
    pub(crate) container: &'a Container,
    pub(crate) main: &'a Process,
    pub(crate) stop: Option<&'a SignalFact>,
    /// How the stop signal was chosen.
    pub(super) choice: Choice<'a>,
    pub(crate) kill: Option<&'a SignalFact>,
    pub(crate) exit: Option<&'a MainExit>,
}

impl<'a> Observed<'a> {
    /// None if the container has no main process yet.
    pub(super) fn from_container(container: &'a Container) -> Option<Self> {
        let main = container.main()?;
        let kill = effective_kill(container, main);
        let choice = choose(container, main, kill);
        Some(Self {
            container,
            main,
            stop: choice.stop,
            choice,
            kill,
            exit: main.exit.as_ref(),
        })
    }

    /// When the termination at the latest began.
    pub(crate) fn latest_start(&self) -> Option<Timestamp> {
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
            let again = |other: &SignalFact| stop.sender.outside == other.sender.outside;
            self.main.stops.count_after(stop, again)
        })
    }

    /// How often SIGKILL came again from outside.
    pub(super) fn kills_repeated(&self) -> u32 {
        self.kill.map_or(0, |kill| {
            self.main.kills.count_after(kill, is_from_somebody_outside)
        })
    }
}

/// Whether a stop signal, or a SIGKILL that somebody outside sent, shows that it was stopped.
pub(super) fn was_stopped(stop: Option<&SignalFact>, kill: Option<&SignalFact>) -> bool {
    stop.is_some() || kill.is_some_and(is_from_somebody_outside)
}

const fn is_from_somebody_outside(fact: &SignalFact) -> bool {
    fact.is_from_outside() && !fact.sender.kernel
}

/// The first SIGKILL that can have killed the main process: not thrown away, and not sent to one that was ending by
/// itself. SIGKILLs that a dying namespace's init makes the kernel send are for others than the main process.
fn effective_kill<'a>(container: &Container, main: &'a Process) -> Option<&'a SignalFact> {
    let ended_otherwise = main.exit.is_some() && main.died_of() != Some(Signal::KILL);
    // reboot(2) in its namespace makes the kernel send it; that is how an init powers off.
    let rebooted = main
        .exit
        .as_ref()
        .is_some_and(|exit| exit.rebooted.is_some());
    main.kills.iter().find(|fact| {
        let is_of_reboot = rebooted && fact.sender.kernel && !container.is_from_visitor(main, fact);
        !ended_otherwise
            && !is_of_reboot
            && fact.result != Delivery::Ignored
            && !fact.too_late
            && main.exit.as_ref().is_none_or(|exit| fact.at <= exit.at)
    })
}
