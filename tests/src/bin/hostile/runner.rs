//! One attack after the other, each with an agent of its own.

use std::process::Command;
use std::thread::scope;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum as _;
use gracewatch_tests::rig::attacker::{self, Attack, Plan, UNDER_WAY};
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::rig::launch::Launch;
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::{self, Whole};

use crate::neighbours::{GRACE, Neighbour, WAYS};
use crate::told::{Told, run_and_print};

/// How long an attack may take to be under way.
const UNDER_WAY_LIMIT: Duration = Duration::from_mins(2);
/// How much memory the agent may take more than without an attack, in bytes.
const MEMORY_MORE: u64 = 64 << 20;
/// How often the health is asked for.
const HEALTH_CHECKS: usize = 40;
/// How many seconds the series of what is finished stay. Short, so that the memory that they take is taken soon.
const RETENTION: &str = "60";
/// How long a health check may take.
const HEALTH_LIMIT: Duration = Duration::from_millis(500);

/// The attacks with this in their name.
pub(crate) fn find_attacks(part: &str) -> Vec<Attack> {
    let part = part.to_lowercase();
    let has = |attack: &Attack| format!("{attack:?}").to_lowercase().contains(&part);
    let all = Attack::value_variants().iter().copied();
    all.filter(has).collect()
}

/// Makes each attack on an agent of its own; whether nothing was wrong.
pub(crate) fn run(toolbox: &Toolbox, attacks: &[Attack], rounds: usize) -> bool {
    let mut passed = true;
    for attack in attacks {
        passed &= run_and_print(&format!("attack {attack:?}"), || {
            Stage::set_up(toolbox)?.run_attack(*attack, rounds)
        });
    }
    passed
}

/// An agent, and where those live that it watches.
pub(crate) struct Stage<'a> {
    toolbox: &'a Toolbox,
    folder: Folder,
    agent: Whole,
    /// Neighbours that were started so far.
    neighbours: usize,
    memory_before: u64,
    lost_before: f64,
}

impl<'a> Stage<'a> {
    /// Starts an agent.
    pub(crate) fn set_up(toolbox: &'a Toolbox) -> Result<Self> {
        let folder = Folder::new("hostile")?;
        let subjects = toolbox.folder().join("subjects.json");
        let glob = format!("{}/k8s.io/*", folder.path());
        let known = format!(
            r#"[{{"cgroup": "{glob}", "grace_seconds": {GRACE}, "stop_signal": "SIGTERM"}}]"#
        );
        std::fs::write(&subjects, known)?;
        let mut command = Command::new(whole::binary()?);
        command
            .args([
                "run",
                "--no-systemd",
                "--retention",
                RETENTION,
                "--subjects",
            ])
            .arg(&subjects);
        let log = toolbox.folder().join("agent.log");
        let agent = Whole::start_command(command, whole::free_port(0)?, &log)?;
        let mut stage = Self {
            toolbox,
            folder,
            agent,
            neighbours: 0,
            memory_before: 0,
            lost_before: 0.0,
        };
        stage.memory_before = stage.memory()?;
        Ok(stage)
    }

    /// Resident memory of the agent, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        self.agent.resident()
    }

    /// Stops the neighbours during the attack, and once more after it: containers that were started while it went on.
    pub(crate) fn run_attack(&mut self, attack: Attack, rounds: usize) -> Result<Told> {
        let container = format!("k8s.io/{:064x}", 0xbad);
        let place = if attack.is_from_outside() {
            "session"
        } else {
            &container
        };
        let cgroup = self.folder.create_cgroup(place)?;
        let log = self
            .toolbox
            .log(&format!("attack-{attack:?}-{}", self.neighbours));
        let plan = Plan {
            attack,
            agent: self.agent.address(),
            rest: Duration::ZERO,
        };
        let argv = attacker::command_line(self.toolbox, plan, &cgroup.directory(), &log);
        let before = self.start(attack)?;
        let attacker = Launch::new(&cgroup, argv).start(self.toolbox)?;
        log.wait_for(UNDER_WAY, UNDER_WAY_LIMIT)?;
        let mut wrong = self.stop(before)?;
        for _ in 0..rounds {
            let meanwhile = self.start(attack)?;
            wrong.extend(self.stop(meanwhile)?);
        }
        let late = self.start(attack)?;
        wrong.extend(self.health()?);
        let memory_after = self.memory()?;
        if memory_after > self.memory_before + MEMORY_MORE {
            wrong.push("the agent's memory grew".to_owned());
        }
        drop(attacker);
        cgroup.kill_all();
        cgroup.remove()?;
        wrong.extend(self.stop(late)?);
        let facts = format!(
            "{} records of the attacker lost, {} to {} MiB",
            self.newly_lost()?,
            self.memory_before >> 20,
            memory_after >> 20
        );
        Ok(Told { wrong, facts })
    }

    /// Records that were lost since this was asked the last time.
    fn newly_lost(&mut self) -> Result<f64> {
        let lost = self.agent.metric("gracewatch_records_lost_total", "")?;
        let before = std::mem::replace(&mut self.lost_before, lost);
        Ok(lost - before)
    }

    fn start(&mut self, attack: Attack) -> Result<Vec<Neighbour>> {
        let case = format!("{attack:?}");
        let numbers = self.neighbours..;
        self.neighbours += WAYS.len();
        let numbered = WAYS.into_iter().zip(numbers);
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
