//! Makes a failing case smaller: everything that can be left out is, and numbers become round.

use crate::case::{Behaviour, Case, Mask, Then, What};

/// All cases that are one step smaller, the largest steps first.
pub(crate) fn smaller(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Case)| {
        let mut other = case.clone();
        change(&mut other);
        if other != *case && has_sure_end(&other) && !all.contains(&other) {
            all.push(other);
        }
    };
    for index in 0..case.acts.len() {
        add(&|other| {
            other.acts.remove(index);
        });
    }
    of_behaviour(&case.program, &mut |program| {
        add(&|other| other.program.clone_from(&program));
    });
    add(&|other| other.attack = None);
    add(&|other| other.configured = None);
    add(&|other| other.grace_is_secret = false);
    add(&|other| other.shares_pids = false);
    add(&|other| {
        let is_starving = |what: What| matches!(what, What::Starve { .. });
        other.starved = other.acts.iter().any(|act| is_starving(act.what));
    });
    add(&|other| other.grace = 1);
    for index in 0..case.acts.len() {
        add(&|other| {
            if let Some(act) = other.acts.get_mut(index) {
                act.at_ms = round_ms(act.at_ms);
            }
        });
    }
    all
}

/// Whether a SIGKILL from outside ends it at last.
fn has_sure_end(case: &Case) -> bool {
    case.acts.iter().any(|act| match act.what {
        What::Stop { .. } => true,
        What::Signal { signal, from } => signal == 9 && from != crate::case::From::Inside,
        What::Visit { .. }
        | What::Freeze { .. }
        | What::Pause { .. }
        | What::Starve { .. }
        | What::Connect { .. } => false,
    })
}

fn of_behaviour(behaviour: &Behaviour, add: &mut dyn FnMut(Behaviour)) {
    let mut with = |change: &dyn Fn(&mut Behaviour)| {
        let mut other = behaviour.clone();
        change(&mut other);
        if other != *behaviour {
            add(other);
        }
    };
    with(&|other| other.execs = None);
    with(&|other| other.children.clear());
    with(&|other| other.masks = None);
    with(&|other| other.spawns_every_ms = None);
    with(&|other| other.threads = 0);
    with(&|other| other.serves = false);
    with(&|other| other.ends = None);
    with(&|other| other.eats = None);
    with(&|other| {
        if let Some(mask) = &mut other.masks {
            *mask = Mask {
                every_ms: 10,
                for_ms: 10,
            };
        }
    });
    with(&|other| {
        if let Some(end) = &mut other.ends {
            end.after_ms = round_ms(end.after_ms);
        }
    });
    shorten_lists(behaviour, add);
    if let Some(exec) = &behaviour.execs {
        of_behaviour(&exec.then, &mut |then| {
            let mut other = behaviour.clone();
            if let Some(exec) = &mut other.execs {
                *exec.then = then;
            }
            add(other);
        });
    }
}

/// Shorter lists, and simpler things in them.
fn shorten_lists(behaviour: &Behaviour, add: &mut dyn FnMut(Behaviour)) {
    let mut with = |change: &dyn Fn(&mut Behaviour)| {
        let mut other = behaviour.clone();
        change(&mut other);
        if other != *behaviour {
            add(other);
        }
    };
    for index in 0..behaviour.children.len() {
        with(&|other| {
            other.children.remove(index);
        });
        with(&|other| {
            if let Some(child) = other.children.get_mut(index) {
                child.on_term = None;
            }
        });
    }
    for index in 0..behaviour.handles.len() {
        with(&|other| {
            other.handles.remove(index);
        });
        with(&|other| {
            if let Some(reaction) = other.handles.get_mut(index) {
                reaction.then = simpler(reaction.then);
            }
        });
    }
    for index in 0..behaviour.fetches.len() {
        with(&|other| {
            other.fetches.remove(index);
        });
        with(&|other| {
            let fetched = other.fetches.remove(index);
            other.handles.push(fetched);
        });
    }
    for index in 0..behaviour.ignores.len() {
        with(&|other| {
            other.ignores.remove(index);
        });
    }
    for index in 0..behaviour.blocks.len() {
        with(&|other| {
            other.blocks.remove(index);
        });
    }
}

const fn simpler(then: Then) -> Then {
    match then {
        Then::Note => Then::Note,
        Then::Abort { after_ms } => Then::Abort {
            after_ms: round_ms(after_ms),
        },
        Then::Exit { after_ms, code } => Then::Exit {
            after_ms: round_ms(after_ms),
            code,
        },
    }
}

/// To half a second.
const fn round_ms(ms: u64) -> u64 {
    (ms + 250) / 500 * 500
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_comes_to_an_end() {
        let mut case = crate::generate::generate_case(1, 3);
        for _ in 0..200 {
            let Some(next) = smaller(&case).into_iter().next() else {
                return;
            };
            case = next;
        }
        panic!("it goes on: {case:?}");
    }
}
