//! What all cases of a set-up share: the jail, containerd, its client, the kernel's trace.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use agent_core::config::Selector;
use anyhow::{Context as _, Result, ensure};
use gracewatch_cluster::containerd::{self, Containerd, Driver};
use gracewatch_cluster::cri::Cri;
use gracewatch_cluster::jail::{Interrupted, Jail, catch_signals};
use gracewatch_tests::rig::trace::Trace;
use gracewatch_tests::whole::{Whole, free_port, subjects_file};

use crate::Args;
use crate::case::Case;
use crate::setup::Setup;

/// Lines of a daemon's log that are told of a case that failed.
const LOG_LINES_MAX: usize = 20;
/// Where the OCI runtime puts containers whose pod names no cgroup, as critest's do.
const NO_PARENT: &str = "/k8s.io";
/// The images of the tests' containers.
const IMAGES: [&str; 3] = ["pause.tar", "test.tar", "test-quit.tar"];

/// The rig of one set-up.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) cri: Cri,
    pub(crate) trace: Trace,
    pub(crate) interrupted: Interrupted,
    /// The name of the OCI runtime: the `comm` of who sends its signals.
    pub(crate) runtime: String,
    pub(crate) logs: PathBuf,
    /// The factor for everything that has a bound in time.
    pub(crate) patience: u32,
    driver: Driver,
    agent: PathBuf,
    /// The folders of the runtimes' programs.
    pub(crate) places: Vec<PathBuf>,
    /// The OCI runtime.
    program: PathBuf,
    containerd: Mutex<Containerd>,
    // Dropped last: it ends what the others left.
    jail: Jail,
}

impl Rig {
    /// Enters a jail and starts a containerd with the images in it.
    pub(crate) fn new(args: &Args, setup: Setup) -> Result<Self> {
        let mut jail = Jail::enter("cri", &args.tools, setup.cgroup_view())?;
        if args.critest.is_some() {
            ensure!(
                jail.cgroups().remove_empty(NO_PARENT)?,
                "the cgroup {NO_PARENT} has processes: those of another containerd"
            );
            jail.adopt_cgroup(NO_PARENT);
        }
        let interrupted = catch_signals(&jail)?;
        let logs = match &args.logs {
            Some(folder) => folder.join(setup.name()),
            None => jail.state_folder("logs")?,
        };
        std::fs::create_dir_all(&logs)
            .with_context(|| format!("cannot make {}", logs.display()))?;
        let runtime = setup.runtime(args, &jail)?;
        let containerd = Containerd::start(
            &jail,
            containerd::Setup {
                tools: args.tools.clone(),
                logs: logs.clone(),
                driver: args.driver.into(),
                runtimes: vec![runtime.clone()],
            },
        )?;
        for image in IMAGES {
            containerd.import(&args.images.join(image))?;
        }
        Ok(Self {
            cri: Cri::new(&containerd.socket(), args.patience.max(1))?,
            trace: Trace::start()?,
            interrupted,
            runtime: runtime.name,
            program: runtime.binary,
            logs,
            patience: args.patience.max(1),
            driver: args.driver.into(),
            agent: args.agent.clone(),
            places: places(args),
            containerd: Mutex::new(containerd),
            jail,
        })
    }

    /// What clients of the CRI are told: `unix://` and the socket.
    pub(crate) fn endpoint(&self) -> String {
        self.containerd().endpoint()
    }

    /// Lets containerd pull all images from this registry.
    pub(crate) fn pull_from(&self, address: SocketAddr) -> Result<()> {
        self.containerd().pull_from(address)
    }

    /// containerd's log.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.containerd().log_path()
    }

    fn containerd(&self) -> MutexGuard<'_, Containerd> {
        self.containerd
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Names and versions of containerd and the OCI runtime, by their own words.
    pub(crate) fn versions(&self) -> Result<String> {
        let cri = self.cri.version()?;
        let output = Command::new(&self.program).arg("--version").output()?;
        let own = String::from_utf8_lossy(&output.stdout);
        Ok(format!(
            "{} {}, {}",
            cri.runtime_name,
            cri.runtime_version,
            own.lines().next().unwrap_or_default()
        ))
    }

    /// The cgroup of a pod, as a kubelet names it to the runtime: a path, or a slice.
    pub(crate) fn cgroup_parent(&self, uid: &str) -> String {
        match self.driver {
            Driver::Cgroupfs => {
                format!("{}/kubepods/burstable/pod{uid}", self.jail.cgroups().path())
            }
            Driver::Systemd => format!("kubepods-burstable-pod{}.slice", uid.replace('-', "_")),
        }
    }

    /// A glob for the cgroups of a pod's containers, known before there are any.
    fn cgroup_glob(&self, uid: &str) -> String {
        match self.driver {
            Driver::Cgroupfs => format!("{}/*", self.cgroup_parent(uid)),
            Driver::Systemd => format!("/**/{}/*", self.cgroup_parent(uid)),
        }
    }

    /// The part of all paths that is this run's own.
    pub(crate) fn prefix(&self) -> &str {
        self.jail.cgroups().path()
    }

    /// Starts an agent that is told of these cases' pods. `name`: of its files; `journal`: where it records.
    pub(crate) fn start_agent(
        &self,
        name: &str,
        cases: &[Case],
        journal: Option<&Path>,
    ) -> Result<Whole> {
        let known: Vec<Selector> = cases
            .iter()
            .map(|case| case.known.selector(self.cgroup_glob(&pod_uid(case))))
            .collect();
        let subjects = self
            .jail
            .state_folder("agent")?
            .join(format!("{name}.json"));
        std::fs::write(&subjects, subjects_file(&known)?)?;
        ensure!(
            self.agent.exists(),
            "{} is missing; build the agent",
            self.agent.display()
        );
        let mut command = Command::new(&self.agent);
        command.args(["run", "--no-systemd", "--subjects"]);
        command.arg(&subjects);
        if let Some(journal) = journal {
            command.arg("--journal").arg(journal);
        }
        let log = self.logs.join(format!("{name}.log"));
        Whole::start_command(command, free_port(0)?, &log)
    }

    /// A folder for the logs of a pod's containers.
    pub(crate) fn pod_logs(&self, name: &str) -> Result<PathBuf> {
        self.jail.state_folder(&format!("pods/{name}"))
    }

    /// What the case's containers wrote, what containerd says of its pod, and the agent's last words.
    pub(crate) fn logs_of(&self, case: &Case) -> String {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let mut text = String::new();
        let folder = self.pod_logs(case.name);
        let logs = folder
            .into_iter()
            .flat_map(|folder| std::fs::read_dir(folder).into_iter());
        for entry in logs.flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            writeln!(text, "{}:\n{}", name.display(), read(&path)).ok();
        }
        let uid = pod_uid(case);
        for (name, mark) in [("containerd.log", uid.as_str()), ("agent.log", "")] {
            let said = read(&self.logs.join(name));
            let lines: Vec<_> = said.lines().filter(|line| line.contains(mark)).collect();
            let from = lines.len().saturating_sub(LOG_LINES_MAX);
            let lines = lines.get(from..).unwrap_or_default().join("\n");
            writeln!(text, "{name}:\n{lines}").ok();
        }
        text
    }

    /// Restarts containerd, with all containers running on.
    pub(crate) fn restart_containerd(&self) -> Result<()> {
        self.containerd().restart(&self.jail)
    }
}

fn places(args: &Args) -> Vec<PathBuf> {
    let crun = args.crun.as_deref().and_then(Path::parent);
    let all = [args.tools.as_path()].into_iter().chain(crun);
    all.map(Path::to_owned).collect()
}

/// The UID of a case's pod, the same in every run.
pub(crate) fn pod_uid(case: &Case) -> String {
    let digits: String = case.name.chars().cycle().take(16).collect();
    let digits = digits
        .bytes()
        .fold(0_u128, |number, byte| (number << 8) | u128::from(byte));
    let digits = format!("{digits:032x}");
    let part = |range| digits.get(range).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32)
    )
}
