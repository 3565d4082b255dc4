//! Who is stopped: five containers, each with another way to end.

use std::time::Duration;

use agent_core::config::Selector;
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::rig::toolbox::Toolbox;

/// One container and how it is stopped.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) says: &'static str,
    pub(crate) main: Vec<String>,
    /// Whether its main process has a handler to wait for.
    pub(crate) has_log: bool,
    pub(crate) grace: Duration,
    pub(crate) hook: Option<Vec<String>>,
    /// The outcome that its ways lead to.
    pub(crate) outcome: agent_core::report::Outcome,
}

/// Everybody, in the order of the output.
pub(crate) fn all_roles(toolbox: &Toolbox) -> Vec<Role> {
    use agent_core::report::Outcome;
    let app = |name: &str, options: &str| {
        let mut argv = vec![path(toolbox, "app"), "--log".to_owned()];
        argv.push(toolbox.log(name).path().to_string_lossy().into_owned());
        argv.extend(options.split(' ').map(str::to_owned));
        argv
    };
    let stop_log = toolbox.folder().join("stop.log");
    let seed_hook = format!(
        "echo this pod is stopping. > {} && sleep 10s",
        stop_log.display()
    );
    vec![
        Role {
            name: "web",
            says: "a server with a SIGTERM handler that needs 1.2 s",
            main: app("web", "--on-stop exit --takes 1200"),
            has_log: true,
            grace: Duration::from_secs(10),
            hook: None,
            outcome: Outcome::Graceful,
        },
        Role {
            name: "batch",
            says: "`sleep` as PID 1: no handler, so the kernel throws SIGTERM away",
            main: split_words("sleep 10m"),
            has_log: false,
            grace: Duration::from_secs(5),
            hook: None,
            outcome: Outcome::SignalIgnored,
        },
        Role {
            name: "queue",
            says: "a handler that needs a minute, with a grace of 4 s",
            main: app("queue", "--on-stop exit --takes 60000"),
            has_log: true,
            grace: Duration::from_secs(4),
            hook: None,
            outcome: Outcome::GraceExceeded,
        },
        Role {
            name: "proxy",
            says: "a preStop hook (`sleep 60`) that eats the whole grace of 6 s",
            main: app("proxy", "--on-stop exit --takes 700"),
            has_log: true,
            grace: Duration::from_secs(6),
            hook: Some(split_words("sleep 60")),
            outcome: Outcome::Graceful,
        },
        Role {
            name: "busybox",
            says: "`sleep 10m` with the preStop hook `echo this pod is stopping. > …/stop.log && sleep 10s`",
            main: split_words("sleep 10m"),
            has_log: false,
            grace: Duration::from_secs(30),
            hook: Some(vec!["sh".to_owned(), "-c".to_owned(), seed_hook]),
            outcome: Outcome::SignalIgnored,
        },
    ]
}

impl Role {
    /// What its pod's specification would tell the agent.
    pub(crate) fn selector(&self, folder: &Folder) -> Selector {
        Selector {
            cgroup: format!("{}/{}", folder.path(), self.name),
            grace: Some(self.grace),
            stop_signal: None,
            pre_stop: self.hook.clone(),
        }
    }
}

fn path(toolbox: &Toolbox, program: &str) -> String {
    toolbox.program(program).to_string_lossy().into_owned()
}

fn split_words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}
