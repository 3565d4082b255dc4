//! One attack after the other, each with an agent of its own.

use std::process::Command;
use std::thread::scope;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum as _;
use gracewatch_tests::process_status;
use gracewatch_tests::rig::attacker::{self, Attack, Plan, UNDER_WAY};
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::rig::launch::Launch;
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::{self, Whole};

use crate::neighbours::{GRACE, Neighbour, WAYS};
use crate::told::{Told, tell};

/// How long an attack may take to be under way.
const UNDER_WAY_LIMIT: Duration = Duration::from_mins(2);
/// How much memory the agent may take more than without an attack, in bytes.
const MEMORY_MORE: u64 = 64 << 20;
/// How often the health is asked for.
const HEALTH_CHECKS: usize = 40;
/// How long a health check may take.
const HEALTH_LIMIT: Duration = Duration::from_millis(500);

/// Makes the attacks with this in their name; whether nothing was wrong.
pub(crate) fn run(toolbox: &Toolbox, only: &str, rounds: usize) -> bool {
    let mut passed = true;
    for attack in Attack::value_variants() {
        let name = format!("{attack:?}");
        if name.to_lowercase().contains(&only.to_lowercase()) {
            passed &= tell(&format!("attack {name}"), || {
                Case::set_up(toolbox, *attack)?.play(rounds)
            });
        }
    }
    passed
}

struct Case<'a> {
    toolbox: &'a Toolbox,
    folder: Folder,
    agent: Whole,
    attack: Attack,
    memory_before: u64,
}

impl<'a> Case<'a> {
    fn set_up(toolbox: &'a Toolbox, attack: Attack) -> Result<Self> {
        let folder = Folder::new("hostile")?;
        let subjects = toolbox.folder().join("subjects.json");
        let glob = format!("{}/k8s.io/*", folder.path());
        let known = format!(
            r#"[{{"cgroup": "{glob}", "grace_seconds": {GRACE}, "stop_signal": "SIGTERM"}}]"#
        );
        std::fs::write(&subjects, known)?;
        let mut command = Command::new(whole::binary()?);
        command
            .args(["run", "--no-systemd", "--subjects"])
            .arg(&subjects);
        let log = toolbox.folder().join(format!("{attack:?}.agent"));
        let agent = Whole::start_command(command, whole::free_port(0)?, &log)?;
        let memory_before = memory(agent.pid())?;
        Ok(Self {
            toolbox,
            folder,
            agent,
            attack,
            memory_before,
        })
    }

    /// Stops the neighbours during the attack, and once more after it: containers that were started while it went on.
    fn play(&self, rounds: usize) -> Result<Told> {
        let container = format!("k8s.io/{:064x}", 0xbad);
        let is_outside = self.attack == Attack::OutsideChurn;
        let place = if is_outside { "session" } else { &container };
        let cgroup = self.folder.make(place)?;
        let log = self.toolbox.log(&format!("attack-{:?}", self.attack));
        let plan = Plan {
            attack: self.attack,
            agent: self.agent.address(),
            rest: Duration::ZERO,
        };
        let argv = attacker::argv(self.toolbox, plan, &cgroup.directory(), &log);
        let before = self.start(0)?;
        let attacker = Launch::new(&cgroup, argv).start(self.toolbox)?;
        log.wait_for(UNDER_WAY, UNDER_WAY_LIMIT)?;
        let mut wrong = self.stop(before)?;
        for round in 0..rounds {
            wrong.extend(self.stop(self.start(10 + round * 10)?)?);
        }
        let late = self.start(5)?;
        wrong.extend(self.health()?);
        let memory_after = memory(self.agent.pid())?;
        if memory_after > self.memory_before + MEMORY_MORE {
            wrong.push("the agent's memory grew".to_owned());
        }
        drop(attacker);
        cgroup.kill_all();
        cgroup.remove()?;
        wrong.extend(self.stop(late)?);
        let lost = self.agent.metric("gracewatch_records_lost_total", "")?;
        let facts = format!(
            "{lost} records of the attacker lost, {} to {} MiB",
            self.memory_before >> 20,
            memory_after >> 20
        );
        Ok(Told { wrong, facts })
    }

    fn start(&self, number: usize) -> Result<Vec<Neighbour>> {
        let case = format!("{:?}", self.attack);
        let numbered = WAYS.into_iter().zip(number..);
        numbered
            .map(|(way, number)| Neighbour::start(self.toolbox, (&case, &self.folder), way, number))
            .collect()
    }

    fn stop(&self, neighbours: Vec<Neighbour>) -> Result<Vec<String>> {
        let judged: Vec<_> = scope(|scope| {
            let stops: Vec<_> = neighbours
                .into_iter()
                .map(|one| scope.spawn(|| one.stop_and_judge(self.toolbox, &self.agent)))
                .collect();
            stops
                .into_iter()
                .map(std::thread::ScopedJoinHandle::join)
                .collect()
        });
        let mut wrong = Vec::new();
        for one in judged {
            match one {
                Ok(Ok(found)) => wrong.extend(found),
                Ok(Err(error)) => wrong.push(format!("{error:#}")),
                Err(_panicked) => bail!("a thread panicked"),
            }
        }
        Ok(wrong)
    }

    /// Whether the agent is alive and ready, and says so in time, again and again.
    fn health(&self) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for path in ["/livez", "/readyz"]
            .into_iter()
            .cycle()
            .take(HEALTH_CHECKS)
        {
            let asked = Instant::now();
            let (status, body) = self.agent.get(path)?;
            let took = asked.elapsed();
            if status != 200 || took > HEALTH_LIMIT {
                wrong.push(format!("{path}: {status} after {took:?}: {}", body.trim()));
            }
        }
        Ok(wrong)
    }
}

/// Resident memory of a process, in bytes.
fn memory(pid: u32) -> Result<u64> {
    process_status::bytes(&pid.to_string(), "VmRSS")
}
