//! What a program had set for a signal when it came, and so what the kernel did with it: from its behaviour and its log.

use std::time::Duration;

use agent_core::time::Timestamp;

use crate::case::{Behaviour, Case, Treatment};
use crate::program::{READY, START};
use crate::stage::{Played, Sent};

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The kernel threw it away, when it was sent or later.
    ThrownAway,
    /// The program got it, it waits for the program, or it ended it.
    Taken,
    /// It came while the program was changing what it had set.
    Unclear,
}

/// One program after the other in the same process.
#[derive(Clone, Copy, Debug)]
struct Program<'a> {
    behaviour: &'a Behaviour,
    /// It was begun between these.
    begun: (Timestamp, Timestamp),
    ready: Option<Timestamp>,
    /// It became the next one.
    over: Option<Timestamp>,
}

/// The life of the main process.
#[derive(Clone, Debug)]
pub(crate) struct Life<'a> {
    case: &'a Case,
    played: &'a Played,
    programs: Vec<Program<'a>>,
}

impl<'a> Life<'a> {
    pub(crate) fn from_played(case: &'a Case, played: &'a Played) -> Self {
        let starts: Vec<_> = played.times_of(START).collect();
        let readies: Vec<_> = played.times_of(READY).collect();
        let execs: Vec<_> = played.times_of("exec").collect();
        let mut behaviour = Some(&case.program);
        let mut programs = Vec::new();
        let mut number = 0_usize;
        while let Some(now) = behaviour {
            let Some(start) = starts.get(number).copied() else {
                break;
            };
            let before = number.checked_sub(1).and_then(|before| execs.get(before));
            programs.push(Program {
                behaviour: now,
                begun: (before.copied().unwrap_or(played.started_after), start),
                ready: readies.get(number).copied(),
                over: execs.get(number).copied(),
            });
            behaviour = now.execs.as_ref().map(|exec| exec.then.as_ref());
            number += 1;
        }
        Self {
            case,
            played,
            programs,
        }
    }

    /// The program that was there when this came; none while it changed.
    fn program(&self, sent: &Sent) -> Option<&Program<'a>> {
        self.programs.iter().find(|program| {
            program.ready.is_some_and(|ready| ready <= sent.span.before)
                && program.over.is_none_or(|over| sent.span.after < over)
        })
    }

    /// What became of it.
    pub(crate) fn signal_fate(&self, sent: &Sent) -> Fate {
        let Some(program) = self.program(sent) else {
            return Fate::Unclear;
        };
        let waits = program.behaviour.masks.is_some() && self.held_at(sent);
        match self.disposition(program, sent.signal) {
            // A program that is held while it blocks everything loses it later, or never.
            Set::Default | Set::Ignored if waits => Fate::Unclear,
            Set::Ignored => Fate::ThrownAway,
            Set::Default => {
                let is_for_nothing = matches!(sent.signal, 17 | 18 | 23 | 28);
                if is_for_nothing || !self.case.shares_pids {
                    Fate::ThrownAway
                } else {
                    Fate::Taken
                }
            }
            // One that was still waiting when the program became another one.
            Set::Handled | Set::Blocked if program.over.is_some() && !self.was_heard(sent) => {
                Fate::Unclear
            }
            Set::Handled | Set::Blocked => Fate::Taken,
        }
    }

    /// Whether the program had the default for it; none while it changed.
    pub(crate) fn has_default(&self, sent: &Sent) -> Option<bool> {
        let program = self.program(sent)?;
        match self.disposition(program, sent.signal) {
            Set::Default => Some(true),
            // It has no handler for it, and needs none.
            Set::Blocked => None,
            Set::Ignored | Set::Handled => Some(false),
        }
    }

    fn disposition(&self, program: &Program<'_>, signal: u32) -> Set {
        let behaviour = program.behaviour;
        let fetches = behaviour.fetches.iter();
        let mut blocked = fetches
            .map(|reaction| reaction.signal)
            .chain(behaviour.blocks.iter().copied());
        let mut handled = behaviour.handles.iter().map(|reaction| reaction.signal);
        if blocked.any(|one| one == signal) {
            Set::Blocked
        } else if handled.any(|one| one == signal) {
            Set::Handled
        } else if signal == 13 || self.case.program.ignores.contains(&signal) {
            // What is ignored stays so over an exec. SIGPIPE every program in this language ignores.
            Set::Ignored
        } else {
            Set::Default
        }
    }

    fn was_heard(&self, sent: &Sent) -> bool {
        let line = format!("signal {}", sent.signal);
        self.played.times_of(&line).any(|at| at >= sent.span.before)
    }

    /// Whether it was frozen or stopped when this came, or soon after.
    fn held_at(&self, sent: &Sent) -> bool {
        let moment = Duration::from_millis(100);
        let frozen = self.played.frozen.iter();
        let mut frozen = frozen.filter(|span| {
            span.before <= sent.span.after.after(moment)
                && span.after.after(moment) >= sent.span.before
        });
        let mut stopped = self.played.sent.iter().filter(|other| other.signal == 19);
        frozen.next().is_some()
            || stopped.any(|stop| stop.span.before <= sent.span.after.after(moment))
    }

    /// Whether the program may have blocked everything when this came.
    pub(crate) fn may_be_masked(&self, sent: &Sent) -> bool {
        let program = self.program(sent);
        let Some(program) = program else {
            return true;
        };
        if program.behaviour.spawns_every_ms.is_some() {
            return true;
        }
        let begins = self.played.times_of("masking");
        let mut ends = self.played.times_of("unmasked");
        for begin in begins {
            let end = ends
                .find(|end| *end >= begin)
                .unwrap_or(self.played.told_at);
            if begin <= sent.span.after && end >= sent.span.before {
                return true;
            }
        }
        false
    }

    /// How old the program was when this came: at least and at most.
    pub(crate) fn program_age(&self, sent: &Sent) -> (Duration, Duration) {
        let mut begun = self.programs.iter().rev();
        let program = begun.find(|program| program.begun.0 <= sent.span.before);
        // One that it became and that did not get to its first word was begun at a time that nobody knows.
        let is_over = |program: &&Program<'_>| {
            let over = program.over;
            over.is_some_and(|over| over <= sent.span.after)
        };
        program.filter(|program| !is_over(program)).map_or(
            (Duration::ZERO, Duration::MAX),
            |program| {
                (
                    sent.span.before.since(program.begun.1),
                    sent.span.after.since(program.begun.0),
                )
            },
        )
    }

    /// When it began to end by itself.
    pub(crate) fn began_to_end(&self) -> Option<Timestamp> {
        self.ending().map(|(at, _)| *at)
    }

    fn ending(&self) -> Option<&(Timestamp, String)> {
        let mut log = self.played.log.iter();
        log.find(|(_, line)| line.starts_with("because "))
    }

    /// The signal because of which it ended; none: by itself.
    pub(crate) fn because(&self) -> Option<u32> {
        let (_, line) = self.ending()?;
        line.strip_prefix("because ")?.parse().ok()
    }

    /// Whether it called abort(3), by which an init dies of another signal than SIGABRT.
    pub(crate) fn aborts(&self) -> bool {
        self.played.first_time("aborts").is_some()
    }

    /// Whether the main process is the one that takes too much memory.
    pub(crate) fn eats_itself(&self) -> bool {
        self.consumes_memory(false)
    }

    /// Whether a child does.
    pub(crate) fn eats_by_child(&self) -> bool {
        self.consumes_memory(true)
    }

    fn consumes_memory(&self, by_child: bool) -> bool {
        let mut eats = self.programs.iter().filter_map(|one| one.behaviour.eats);
        eats.any(|eat| eat.by_child == by_child)
    }

    /// Whether it was the same program all the time.
    pub(crate) fn is_one_program(&self) -> bool {
        self.programs.len() == 1 && self.played.first_time("exec").is_none()
    }

    /// Whether children of short life may be there at any time.
    pub(crate) fn spawns(&self) -> bool {
        let mut programs = self.programs.iter();
        programs.any(|program| program.behaviour.spawns_every_ms.is_some()) || self.eats_by_child()
    }

    /// Whether it has seen to its children before it ended; none if it was in the midst of that, be it at its own exec.
    pub(crate) fn has_treated_children(&self) -> Option<bool> {
        let Some(began) = self.began_to_end() else {
            return Some(false);
        };
        let is_later = |line: &str| self.played.times_of(line).any(|at| at >= began);
        (is_later("exit") && !is_later("exec")).then_some(true)
    }

    /// Whether children were there at its end: those that the program forgot, and all of the programs before. None if that is
    /// not known.
    pub(crate) fn left_children(&self) -> Option<bool> {
        let treated = self.has_treated_children();
        let programs = self.programs.iter().rev().enumerate();
        let mut children = programs.flat_map(|(before, program)| {
            let children = program.behaviour.children.iter();
            children.map(move |child| (before, child.treatment))
        });
        let Some(treated) = treated else {
            return children.next().map_or(Some(false), |_child| None);
        };
        let is_left = |(before, treatment)| before > 0 || treatment == Treatment::Left || !treated;
        Some(children.any(is_left))
    }
}

/// What is set for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Default,
    Ignored,
    Handled,
    Blocked,
}
