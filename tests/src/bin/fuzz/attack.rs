//! Another container, which attacks the agent while a case is played.

use std::time::Duration;

use anyhow::Result;
use gracewatch_tests::rig::attacker::{self, Attack, Plan};
use gracewatch_tests::rig::cgroup::Cgroup;
use gracewatch_tests::rig::launch::{Launch, Launched};

use crate::stage::Rig;

/// How long it rests after each 100 steps: several at a time leave the others some of the processor.
const REST: Duration = Duration::from_millis(30);

/// An attacker that runs. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Attacker {
    cgroup: Cgroup,
    _main: Launched,
}

impl Attacker {
    /// Starts one in a container of this name.
    pub(crate) fn start(rig: &Rig, attack: Attack, name: &str) -> Result<Self> {
        let cgroup = rig.folder.create_cgroup(name)?;
        let plan = Plan {
            attack,
            // None of those that are made here talks to it.
            agent: "",
            rest: REST,
        };
        let log = rig.toolbox.log(name);
        let argv = attacker::command_line(&rig.toolbox, plan, &cgroup.directory(), &log);
        let main = Launch::new(&cgroup, argv).start(&rig.toolbox)?;
        Ok(Self {
            cgroup,
            _main: main,
        })
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.cgroup.kill_all();
        // What cannot be removed goes with the folder.
        self.cgroup.remove().ok();
    }
}
