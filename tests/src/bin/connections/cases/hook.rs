//! A preStop hook: the termination has begun, and the server does not know of it yet.

use std::thread::sleep;

use agent_core::config::Selector;
use agent_core::connection::Phase;
use anyhow::Result;
use gracewatch_tests::rig::toolbox::Toolbox;

use crate::case::{Case, Stage};
use crate::clients::{self, Met};
use crate::expected::{Expected, received};
use crate::pod::{FOLLOWED, Pod};
use crate::verdict::Verdict;

const NAME: &str = "during_hook";
const SECONDS: &str = "1.5";

pub(crate) const ALL: &[Case] = &[Case {
    name: NAME,
    what: "clients connect and reset while the preStop hook runs",
    run: during_hook,
}];

/// What the agent is told.
pub(super) fn selector(toolbox: &Toolbox, path: &str) -> Selector {
    Selector {
        cgroup: format!("{path}/{NAME}"),
        grace: None,
        stop_signal: None,
        pre_stop: Some(command_line(toolbox)),
    }
}

fn command_line(toolbox: &Toolbox) -> Vec<String> {
    let program = toolbox.program("sleep").to_string_lossy().into_owned();
    vec![program, SECONDS.to_owned()]
}

fn during_hook(stage: &Stage<'_>, verdict: &mut Verdict) -> Result<()> {
    let pod = Pod::new(stage)?;
    let mut server = pod.server()?;
    let early = clients::connect(&pod, 2)?;
    let mut aborted = clients::reset_all(early)?;
    let mut hook = pod.start_hook(&server.container, &command_line(&stage.rig.toolbox))?;
    sleep(FOLLOWED);
    let mut during = clients::connect_accepted(&pod, &mut server, 5)?;
    aborted += clients::reset_all(during.split_off(2))?;
    hook.wait_end(FOLLOWED * 10)?;
    server.terminate_and_exit()?;
    clients::hear_end(&during)?;
    let met = Met {
        aborted,
        ..Met::default()
    };
    let expected = Expected {
        resets: vec![received(Phase::Running, 2), received(Phase::Hook, 3)],
        at_stop_signal: 2,
        at_exit: 2,
        ..Expected::default()
    };
    let told = verdict.end_and_compare(stage, (pod, &server.container), &expected, &met)?;
    let accepted = told.connections.map(|all| all.accepted_in_hook);
    verdict.require_equal("accepted in the hook", accepted, Some(5));
    Ok(())
}
