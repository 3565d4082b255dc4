//! Every scenario, in the order of the output.

mod ends;
mod facts;
mod hindsight;
mod hooks;
mod kills;
mod losses;
mod places;
mod records;
mod short;
mod signals;
mod sockets;
mod stuck;
mod unseen;
mod whole;

use crate::scenario::Scenario;

/// Every scenario that shares one agent with others and runs beside them.
pub(crate) fn all_scenarios() -> Vec<Scenario> {
    [
        signals::ALL,
        hooks::ALL,
        kills::ALL,
        ends::ALL,
        places::ALL,
        records::SHARED,
        sockets::SHARED,
        stuck::ALL,
    ]
    .concat()
}

/// Scenarios that start agents of their own.
pub(crate) fn own_agents() -> Vec<Scenario> {
    [
        records::ALONE,
        facts::ALL,
        sockets::ALONE,
        hindsight::ALONE,
        losses::ALL,
        short::ALL,
        unseen::ALL,
        whole::ALL,
    ]
    .concat()
}
