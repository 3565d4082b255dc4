//! Every case, in the order of the output.

mod askers;
mod ends;
mod flood;
mod hook;
mod idle;
mod late;
mod loads;
mod peers;
mod places;
mod signals;

use agent_core::config::Selector;
use anyhow::Result;
use gracewatch_tests::rig::toolbox::Toolbox;

use crate::case::Case;

/// Cases that run beside each other.
pub(crate) fn small_cases() -> Vec<Case> {
    [
        ends::ALL,
        peers::ALL,
        hook::ALL,
        late::ALL,
        places::ALL,
        signals::ALL,
        idle::ALL,
        askers::ALL,
    ]
    .concat()
}

/// Cases with a load, which have the machine for themselves.
pub(crate) fn load_cases() -> Vec<Case> {
    [loads::ALL, flood::ALL].concat()
}

/// What the agent is told of containers whose cgroups are made below this path.
pub(crate) fn selectors(toolbox: &Toolbox, path: &str) -> Result<Vec<Selector>> {
    Ok(vec![loads::selector(path)?, hook::selector(toolbox, path)])
}
