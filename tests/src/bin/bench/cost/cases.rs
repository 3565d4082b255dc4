//! What is measured: storms, where they rage, and what each program makes of their events.

use crate::stage::Stage;
use crate::work::Work;

const URG: i32 = 23;
const TERM: i32 = 15;
const SIGNAL: &str = "signal_generate";
const STATE: &str = "inet_sock_set_state";
const SENT: &str = "tcp_send_reset";
const RECEIVED: &str = "tcp_receive_reset";

/// What is done in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storm {
    Spawn,
    Urg,
    Term,
    /// As before, but from outside of the container to its main process.
    TermFromOutside,
    Cgroups,
    Connections,
    Resets,
    Refusals,
}

/// A storm in one place, and the programs that it is to be measured for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) storm: Storm,
    pub(super) tracked: bool,
    pub(super) programs: &'static [Measured],
}

/// A program in a case: its name, what happens, and what the program makes of it.
pub(super) type Measured = (&'static str, &'static str, Treatment);

/// What a program makes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// It is of no concern, and nothing is looked up.
    PassedOver,
    /// The cgroup is tracked, and it turns out that nothing is to be told.
    LookedUp,
    /// A counter is increased.
    Counted,
    /// A record is written.
    Recorded,
}

impl Treatment {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::PassedOver => "passed over",
            Self::LookedUp => "looked up",
            Self::Counted => "counted",
            Self::Recorded => "recorded",
        }
    }
}

use Treatment::{Counted, LookedUp, PassedOver, Recorded};

const fn new_case(storm: Storm, tracked: bool, programs: &'static [Measured]) -> Case {
    Case {
        storm,
        tracked,
        programs,
    }
}

pub(super) const CASES: [Case; 15] = [
    new_case(
        Storm::Spawn,
        false,
        &[
            ("sched_process_exec", "exec", PassedOver),
            ("sched_process_exit", "exit", PassedOver),
            (SIGNAL, "SIGCHLD of an exit", PassedOver),
        ],
    ),
    new_case(
        Storm::Urg,
        false,
        &[(SIGNAL, "SIGURG, which nobody asks for", PassedOver)],
    ),
    new_case(Storm::Term, false, &[(SIGNAL, "SIGTERM", PassedOver)]),
    new_case(
        Storm::Cgroups,
        false,
        &[
            ("cgroup_mkdir", "cgroup made", Recorded),
            ("cgroup_attach_task", "cgroup entered", PassedOver),
            (
                "cgroup_notify_populated",
                "cgroup filled or emptied",
                PassedOver,
            ),
            ("cgroup_rmdir", "cgroup removed", PassedOver),
        ],
    ),
    new_case(
        Storm::Connections,
        false,
        &[(STATE, "connection's change of state", PassedOver)],
    ),
    new_case(
        Storm::Resets,
        false,
        &[
            (SENT, "reset sent", PassedOver),
            (RECEIVED, "reset received", PassedOver),
        ],
    ),
    new_case(
        Storm::Refusals,
        false,
        &[(SENT, "connection refused", LookedUp)],
    ),
    new_case(
        Storm::Spawn,
        true,
        &[
            ("sched_process_exec", "exec", LookedUp),
            ("sched_process_exit", "exit", LookedUp),
            (SIGNAL, "SIGCHLD of an exit", PassedOver),
        ],
    ),
    new_case(
        Storm::Urg,
        true,
        &[(SIGNAL, "SIGURG, which nobody asks for", PassedOver)],
    ),
    new_case(
        Storm::Term,
        true,
        &[(SIGNAL, "SIGTERM inside the container", Counted)],
    ),
    new_case(
        Storm::TermFromOutside,
        true,
        &[(SIGNAL, "SIGTERM to the main process", Recorded)],
    ),
    new_case(
        Storm::Cgroups,
        true,
        &[
            ("cgroup_mkdir", "cgroup made", Recorded),
            ("cgroup_attach_task", "cgroup entered", Recorded),
            (
                "cgroup_notify_populated",
                "cgroup filled or emptied",
                Recorded,
            ),
            ("cgroup_rmdir", "cgroup removed", Recorded),
        ],
    ),
    new_case(
        Storm::Connections,
        true,
        &[(STATE, "connection's change of state", Counted)],
    ),
    new_case(
        Storm::Resets,
        true,
        &[
            (SENT, "reset sent", Counted),
            (RECEIVED, "reset received", Counted),
        ],
    ),
    new_case(
        Storm::Refusals,
        true,
        &[(SENT, "connection refused", Counted)],
    ),
];

impl Case {
    pub(super) fn work_for(&self, stage: &Stage, quick: bool) -> Work {
        let target = if self.tracked {
            stage.held.target()
        } else {
            stage.free.target()
        };
        let signal = |number, times| Work::Signal {
            number,
            target: target.cast_signed(),
            times,
        };
        let less = if quick { 4 } else { 1 };
        match self.storm {
            Storm::Spawn => Work::Spawn(1_500 / less),
            Storm::Urg => signal(URG, 100_000 / less),
            Storm::Term => signal(TERM, 100_000 / less),
            Storm::TermFromOutside => signal(TERM, 10_000 / less),
            Storm::Cgroups => Work::Cgroups(100 / less),
            // Each leaves a socket in TIME_WAIT for a minute.
            Storm::Connections => Work::Connections(1_000 / less),
            Storm::Resets => Work::Resets(5_000 / less),
            Storm::Refusals => Work::Refusals(5_000 / less),
        }
    }
}
