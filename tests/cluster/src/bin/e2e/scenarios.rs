//! The scenarios, by what they are about.

mod begun_anew;
mod chart;
mod deletions;
mod disruptions;
mod endpoint_race;
mod ends;
mod gates;
mod hook_doubles;
mod hook_failures;
mod hooks;
mod node;
mod owners;
mod programs;
mod restarts;
mod rolling;
mod servers;
mod shapes;
mod sidecars;
mod signals;
mod triggers;
mod workloads;

use crate::rbac;
use crate::scenario::Scenario;

/// Every scenario, in the order in which they begin.
pub(crate) fn all_scenarios() -> Vec<Scenario> {
    [
        signals::ALL.as_slice(),
        ends::ALL.as_slice(),
        hooks::ALL.as_slice(),
        hook_failures::ALL.as_slice(),
        hook_doubles::ALL.as_slice(),
        shapes::ALL.as_slice(),
        sidecars::ALL.as_slice(),
        triggers::ALL.as_slice(),
        deletions::ALL.as_slice(),
        restarts::ALL.as_slice(),
        owners::ALL.as_slice(),
        workloads::ALL.as_slice(),
        rolling::ALL.as_slice(),
        endpoint_race::ALL.as_slice(),
        node::ALL.as_slice(),
        disruptions::ALL.as_slice(),
        begun_anew::ALL.as_slice(),
        rbac::ALL.as_slice(),
        chart::ALL.as_slice(),
        gates::ALL.as_slice(),
    ]
    .concat()
}
