//! One random stop as it is written down: what the program in the container does, and what is done to it from outside. As JSON
//! it is what `--case` takes.

use gracewatch_tests::rig::attacker::Attack;
use serde::{Deserialize, Serialize};

/// One stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The grace period in seconds: what the runtime waits.
    pub(crate) grace: u64,
    /// Whether the agent is not told the grace period.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) grace_is_secret: bool,
    /// The stop signal that the agent is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) configured: Option<u32>,
    /// Whether the container has no pid namespace of its own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) shares_pids: bool,
    /// Whether it belongs to the agent that is starved now and then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) starved: bool,
    /// What runs in it.
    pub(crate) program: Behaviour,
    /// What is done from outside.
    #[serde(default)]
    pub(crate) acts: Vec<Act>,
    /// How another container attacks the agent meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attack: Option<Attack>,
}

impl Case {
    /// What the agent is told of its container, as a part of the name of its cgroup.
    pub(crate) fn known_spec(&self) -> Known {
        Known {
            grace: (!self.grace_is_secret).then_some(self.grace),
            signal: self.configured,
        }
    }
}

/// What the agent is told of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) grace: Option<u64>,
    pub(crate) signal: Option<u32>,
}

impl Known {
    /// The end of the name of a cgroup of which this is known.
    pub(crate) fn suffix(self) -> String {
        let number = |number: u64| number.to_string();
        let grace = self.grace.map_or_else(|| "x".to_owned(), number);
        let signal = self
            .signal
            .map_or_else(|| "x".to_owned(), |signal| number(signal.into()));
        format!("g{grace}-s{signal}")
    }
}

/// What a program does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Behaviour {
    /// Signals for which it has a handler.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) handles: Vec<Reaction>,
    /// Signals that it fetches by sigwait.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) fetches: Vec<Reaction>,
    /// Signals that it ignores.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ignores: Vec<u32>,
    /// Signals that it blocks and never fetches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) blocks: Vec<u32>,
    /// It blocks all signals for a moment, again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) masks: Option<Mask>,
    /// It starts a process of short life, again and again, with this pause between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spawns_every_ms: Option<u64>,
    /// Threads that do nothing.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) threads: u32,
    /// Its children.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) children: Vec<Child>,
    /// It becomes another program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) execs: Option<Exec>,
    /// It ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ends: Option<End>,
    /// It takes more memory than it may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) eats: Option<Eat>,
    /// It listens, and takes connections.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) serves: bool,
}

/// What it does on a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reaction {
    pub(crate) signal: u32,
    pub(crate) then: Then,
}

/// How it reacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    /// It takes note.
    Note,
    /// It exits after a while.
    Exit { after_ms: u64, code: u8 },
    /// It calls abort(3) after a while.
    Abort { after_ms: u64 },
}

/// All signals are blocked for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mask {
    pub(crate) every_ms: u64,
    pub(crate) for_ms: u64,
}

/// A child, which is there from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Child {
    /// What it does on SIGTERM; nothing: its default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on_term: Option<Then>,
    /// What its parent does with it before it exits.
    pub(crate) treatment: Treatment,
}

/// What a program that is about to exit does with a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Treatment {
    /// It forgets it.
    Left,
    /// It sends SIGKILL and waits.
    Killed,
    /// It sends SIGTERM, waits so long, and then sends SIGKILL.
    Stopped { within_ms: u64 },
}

/// It becomes another program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exec {
    pub(crate) after_ms: u64,
    pub(crate) then: Box<Behaviour>,
}

/// It ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) after_ms: u64,
    pub(crate) how: How,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    Code(u8),
    Abort,
    /// Its own timer: SIGALRM.
    Alarm,
}

/// It takes too much memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Eat {
    pub(crate) after_ms: u64,
    /// Whether a child does.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) by_child: bool,
}

/// Something that is done from outside, after the program was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Act {
    pub(crate) at_ms: u64,
    pub(crate) what: What,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// The runtime stops it: this signal, and SIGKILL when the grace period is over.
    Stop { signal: u32 },
    /// Somebody sends a signal.
    Signal { signal: u32, from: From },
    /// The runtime enters it with a command that lives so long.
    Visit { for_ms: u64 },
    /// It is frozen for a while.
    Freeze { for_ms: u64 },
    /// SIGSTOP, and after a while SIGCONT.
    Pause { for_ms: u64 },
    /// The agent gets no time for a while.
    Starve { for_ms: u64 },
    /// A client connects, says something or not, and stays.
    Connect { says: bool },
}

/// Who sends a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum From {
    /// The runtime.
    Runtime,
    /// Somebody on the machine.
    Person,
    /// A command that was put into the container.
    Inside,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}
