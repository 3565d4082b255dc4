//! Makes cases from a seed. Every case ends: by the runtime's SIGKILL, if not before.

use gracewatch_tests::rig::attacker::Attack;

use crate::case::{
    Act, Behaviour, Case, Child, Eat, End, Exec, From, How, Mask, Reaction, Then, Treatment, What,
};
use crate::random::Random;

/// Grace periods in seconds.
pub(crate) const GRACES: [u64; 3] = [1, 2, 3];
/// Stop signals that may be configured.
pub(crate) const CONFIGURED: [u32; 4] = [2, 3, 10, 15];

/// Stop signals that a runtime may send.
const STOPS: [(u64, u32); 8] = [
    (80, 15),
    (4, 3),
    (4, 2),
    (3, 10),
    (3, 28),
    (2, 12),
    (2, 1),
    (2, 30),
];
/// Signals that somebody may send for any purpose, and those that a runtime may stop with.
const ANY: [u32; 12] = [1, 2, 3, 10, 12, 14, 15, 16, 18, 28, 29, 30];
/// Signals that stand for a fault.
const FAULTS: [u32; 3] = [6, 8, 11];

/// Every so many cases, another container attacks the agent.
const ATTACKED: u64 = 10;

/// What a case is about.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The runtime stops it.
    Stop,
    /// The runtime kills it.
    Kill,
    /// A person kills it, perhaps during a stop.
    PersonKills,
    /// It ends by itself.
    OwnEnd,
    /// Somebody's signal ends it.
    Signal,
    /// It takes too much memory.
    Memory,
}

/// The case with this number of this seed.
pub(crate) fn generate_case(seed: u64, number: u64) -> Case {
    let mut random = Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ number);
    random.next();
    let mut maker = Maker {
        random,
        has_shell: std::path::Path::new("/bin/sh").exists(),
    };
    let mut case = maker.random_case();
    if number.is_multiple_of(ATTACKED) {
        case.attack = Some(maker.random.choose(&Attack::LIGHT, Attack::VoidKills));
    }
    case
}

struct Maker {
    random: Random,
    /// Without one, nothing can be set to be ignored.
    has_shell: bool,
}

impl Maker {
    fn random_case(&mut self) -> Case {
        let kind = self.random.weighted(
            &[
                (66, Kind::Stop),
                (6, Kind::Kill),
                (8, Kind::PersonKills),
                (9, Kind::OwnEnd),
                (8, Kind::Signal),
                (3, Kind::Memory),
            ],
            Kind::Stop,
        );
        let grace = self.random.choose(&GRACES, 1);
        let stop = self.random.weighted(&STOPS, 15);
        let shares_pids = self.random.percent(12);
        let mut case = Case {
            grace,
            grace_is_secret: self.random.percent(1),
            configured: self.configured(stop),
            shares_pids,
            starved: self.random.percent(6),
            program: self.behaviour(stop, grace * 1000, shares_pids),
            acts: Vec::new(),
            attack: None,
        };
        self.add_acts(&mut case, kind, stop);
        if case.starved {
            let at_ms = self.random.between(0, 2500);
            let for_ms = self.random.between(200, 1800);
            case.acts.push(Act {
                at_ms,
                what: What::Starve { for_ms },
            });
        }
        case.acts.sort_by_key(|act| act.at_ms);
        case
    }

    fn configured(&mut self, stop: u32) -> Option<u32> {
        if !self.random.percent(25) {
            return None;
        }
        let is_other = self.random.percent(25);
        let configured = if is_other {
            self.random.choose(&CONFIGURED, 15)
        } else {
            stop
        };
        CONFIGURED.contains(&configured).then_some(configured)
    }

    fn behaviour(&mut self, stop: u32, grace_ms: u64, shares_pids: bool) -> Behaviour {
        let mut behaviour = Behaviour::default();
        self.reaction_to_stop(&mut behaviour, stop, grace_ms);
        for _ in 0..self.random.between(0, 3) {
            let signal = self.random.choose(&ANY, 1);
            self.reaction_to_other(&mut behaviour, signal, grace_ms);
        }
        if self.random.percent(10) {
            behaviour.masks = Some(Mask {
                every_ms: self.random.between(1, 60),
                for_ms: self.random.between(1, 40),
            });
        } else if self.random.percent(8) {
            behaviour.spawns_every_ms = Some(self.random.between(2, 50));
        }
        behaviour.threads = self.random.weighted(&[(70, 0), (20, 1), (10, 5)], 0);
        if !shares_pids && self.random.percent(20) {
            for _ in 0..self.random.between(1, 3) {
                let child = self.random_child(grace_ms);
                behaviour.children.push(child);
            }
        }
        behaviour.serves = self.random.percent(10);
        behaviour
    }

    fn random_then(&mut self, grace_ms: u64) -> Then {
        let within = self.random.between(0, grace_ms * 9 / 10);
        let code = self
            .random
            .weighted(&[(70, 0), (10, 1), (5, 143), (5, 137), (10, 3)], 0);
        self.random.weighted(
            &[
                (
                    60,
                    Then::Exit {
                        after_ms: within,
                        code,
                    },
                ),
                (8, Then::Exit { after_ms: 0, code }),
                (
                    12,
                    Then::Exit {
                        after_ms: grace_ms + 700,
                        code,
                    },
                ),
                (17, Then::Note),
                (3, Then::Abort { after_ms: within }),
            ],
            Then::Note,
        )
    }

    fn reaction_to_stop(&mut self, behaviour: &mut Behaviour, signal: u32, grace_ms: u64) {
        let reaction = Reaction {
            signal,
            then: self.random_then(grace_ms),
        };
        match self.random.between(0, 99) {
            0..=59 => behaviour.handles.push(reaction),
            60..=69 => behaviour.fetches.push(reaction),
            70..=75 if self.has_shell => behaviour.ignores.push(signal),
            76..=79 => behaviour.blocks.push(signal),
            _ => {}
        }
    }

    fn reaction_to_other(&mut self, behaviour: &mut Behaviour, signal: u32, grace_ms: u64) {
        let same = |reaction: &Reaction| reaction.signal == signal;
        let is_known = behaviour.handles.iter().any(same)
            || behaviour.fetches.iter().any(same)
            || behaviour.ignores.contains(&signal)
            || behaviour.blocks.contains(&signal);
        if is_known || signal == 18 {
            return;
        }
        let then = if self.random.percent(70) {
            Then::Note
        } else {
            self.random_then(grace_ms)
        };
        let reaction = Reaction { signal, then };
        match self.random.between(0, 9) {
            0..=6 => behaviour.handles.push(reaction),
            7 => behaviour.fetches.push(reaction),
            8 if self.has_shell => behaviour.ignores.push(signal),
            _ => behaviour.blocks.push(signal),
        }
    }

    fn random_child(&mut self, grace_ms: u64) -> Child {
        let on_term = self.random.percent(60).then(|| self.random_then(grace_ms));
        let within_ms = self.random.between(50, 600);
        let treatment = self.random.weighted(
            &[
                (40, Treatment::Left),
                (20, Treatment::Killed),
                (40, Treatment::Stopped { within_ms }),
            ],
            Treatment::Left,
        );
        Child { on_term, treatment }
    }

    fn add_acts(&mut self, case: &mut Case, kind: Kind, stop: u32) {
        let grace_ms = case.grace * 1000;
        let begin = self.random.between(150, 2200);
        let mut act = |at_ms, what| case.acts.push(Act { at_ms, what });
        let kill = |from| What::Signal { signal: 9, from };
        match kind {
            Kind::Stop => {
                act(begin, What::Stop { signal: stop });
                if self.random.percent(4) {
                    let again = begin + self.random.between(100, grace_ms * 8 / 10);
                    act(
                        again,
                        What::Signal {
                            signal: stop,
                            from: From::Runtime,
                        },
                    );
                }
            }
            Kind::Kill => act(begin, kill(From::Runtime)),
            Kind::PersonKills => {
                if self.random.percent(60) {
                    act(begin, What::Stop { signal: stop });
                }
                let at = begin + self.random.between(30, grace_ms * 8 / 10);
                let from = if case.shares_pids && self.random.percent(40) {
                    From::Inside
                } else {
                    From::Person
                };
                act(at, kill(from));
                act(at + grace_ms + 500, kill(From::Person));
            }
            Kind::OwnEnd => {
                let at = begin + self.random.between(0, 1500);
                act(at + 800, What::Stop { signal: stop });
            }
            Kind::Signal => {
                let signal = if self.random.percent(20) {
                    self.random.choose(&FAULTS, 6)
                } else {
                    self.random.choose(&ANY, 15)
                };
                let from = self
                    .random
                    .choose(&[From::Person, From::Person, From::Inside], From::Person);
                act(begin, What::Signal { signal, from });
                act(begin + grace_ms + 2500, What::Stop { signal: stop });
            }
            Kind::Memory => act(begin + 2500, What::Stop { signal: stop }),
        }
        self.own_course(case, kind, begin);
        self.add_noise(case, begin + grace_ms);
    }

    /// What the program does by itself.
    fn own_course(&mut self, case: &mut Case, kind: Kind, begin: u64) {
        match kind {
            Kind::OwnEnd => {
                let how = match self.random.between(0, 9) {
                    0..=3 => How::Code(0),
                    4..=6 => How::Code(self.random.choose(&[1, 2, 137, 143], 1)),
                    7 if case.shares_pids => How::Alarm,
                    _ => How::Abort,
                };
                case.program.ends = Some(End {
                    after_ms: begin + self.random.between(0, 1500),
                    how,
                });
            }
            Kind::Memory => {
                case.program.eats = Some(Eat {
                    after_ms: begin,
                    by_child: self.random.percent(40),
                });
            }
            Kind::Stop | Kind::Kill | Kind::PersonKills | Kind::Signal => {}
        }
        if self.random.percent(8) && case.program.masks.is_none() {
            let stop = self.random.weighted(&STOPS, 15);
            let mut then = Behaviour::default();
            self.reaction_to_stop(&mut then, stop, case.grace * 1000);
            // What is ignored is inherited; only the first program's shell can set it.
            then.ignores.clear();
            case.program.execs = Some(Exec {
                after_ms: self.random.between(50, begin + case.grace * 1000),
                then: Box::new(then),
            });
        }
    }

    /// What happens beside.
    fn add_noise(&mut self, case: &mut Case, until: u64) {
        let count = self
            .random
            .weighted(&[(60, 0), (25, 1), (10, 2), (5, 4)], 0);
        for _ in 0..count {
            let at_ms = self.random.between(30, until);
            let for_ms = self.random.between(20, 1500);
            let what = match self.random.between(0, 99) {
                0..=39 => What::Signal {
                    signal: self.random.choose(&ANY, 1),
                    from: self.random.weighted(
                        &[(70, From::Person), (15, From::Inside), (15, From::Runtime)],
                        From::Person,
                    ),
                },
                40..=64 => What::Visit { for_ms },
                65..=79 => What::Freeze { for_ms },
                80..=89 => What::Pause { for_ms },
                _ => What::Connect {
                    says: self.random.percent(50),
                },
            };
            case.acts.push(Act { at_ms, what });
        }
        if case.program.serves {
            for _ in 0..self.random.between(1, 3) {
                let says = self.random.percent(50);
                case.acts.push(Act {
                    at_ms: self.random.between(50, until),
                    what: What::Connect { says },
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_back_and_is_always_the_same() {
        for number in 0..2000 {
            let made = generate_case(1, number);
            let text = serde_json::to_string(&made).unwrap();
            assert_eq!(serde_json::from_str::<Case>(&text).unwrap(), made);
            assert_eq!(generate_case(1, number), made);
            assert!(has_sure_end(&made), "{text}");
        }
    }

    /// Whether a SIGKILL is planned that can kill it.
    fn has_sure_end(case: &Case) -> bool {
        case.acts.iter().any(|act| match act.what {
            What::Stop { .. } => true,
            What::Signal { signal, from } => signal == 9 && from != From::Inside,
            What::Visit { .. }
            | What::Freeze { .. }
            | What::Pause { .. }
            | What::Starve { .. }
            | What::Connect { .. } => false,
        })
    }
}
