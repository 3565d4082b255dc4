//! How the binary ends: by signals, and by files that are none. Without privileges, so that the agent's own command is here as
//! far as it gets before it loads the probes.
#![expect(
    clippy::unwrap_used,
    reason = "what these helpers cannot do fails the test"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

const JOURNAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/graceful.jsonl");
/// Within this a process that is told to ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("gracewatch-ends-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn make_fifo(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn start(program: &str, arguments: &[&str]) -> Child {
    Command::new(program)
        .args(arguments)
        .env("GRACEWATCH_CONFIG", "")
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts it with the default action for every signal that may end it: whoever runs the tests may ignore some (`nohup`).
fn gracewatch(arguments: &[&str]) -> Child {
    let program = env!("CARGO_BIN_EXE_gracewatch");
    let defaults = ["--default-signal=HUP,INT,TERM,QUIT", program];
    start("env", &[&defaults, arguments].concat())
}

/// How a process ended, if it did in time; it is killed otherwise.
fn wait_for_exit(process: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let begin = Instant::now();
    while begin.elapsed() < patience {
        if let Some(status) = process.try_wait().unwrap() {
            return Some(status);
        }
        sleep(Duration::from_millis(5));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    None
}

fn send_signal(process: &Child, signal: Signal) {
    kill_process(Pid::from_child(process), signal).unwrap();
}

fn wait_until_it_serves(process: &mut Child) {
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.contains("http://"), "{line}");
}

#[test]
fn each_signal_that_asks_for_it_ends_a_process_in_order() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut process = gracewatch(&["replay", "--serve", "127.0.0.1:0", JOURNAL]);
        wait_until_it_serves(&mut process);
        send_signal(&process, signal);
        let status = wait_for_exit(&mut process, PATIENCE);
        assert_eq!(
            status.and_then(|status| status.code()),
            Some(0),
            "{signal:?}"
        );
    }
}

#[test]
fn who_was_told_to_ignore_hangups_goes_on() {
    let serve = ["replay", "--serve", "127.0.0.1:0", JOURNAL];
    let mut process = start(
        "nohup",
        &[&[env!("CARGO_BIN_EXE_gracewatch")], &serve[..]].concat(),
    );
    wait_until_it_serves(&mut process);
    send_signal(&process, Signal::HUP);
    sleep(PATIENCE);
    assert_eq!(process.try_wait().unwrap(), None);
    send_signal(&process, Signal::TERM);
    assert!(wait_for_exit(&mut process, PATIENCE).is_some());
}

#[test]
fn a_start_that_takes_long_is_ended_too() {
    let folder = Folder::new("long");
    let text = std::fs::read_to_string(JOURNAL).unwrap();
    let (header, entries) = text.split_once('\n').unwrap();
    let journal = folder.0.join("journal");
    std::fs::write(&journal, format!("{header}\n{}", entries.repeat(20_000))).unwrap();
    for signal in [Signal::TERM, Signal::HUP] {
        let serve = [
            "replay",
            "--serve",
            "127.0.0.1:0",
            journal.to_str().unwrap(),
        ];
        let mut process = gracewatch(&serve);
        sleep(Duration::from_millis(300));
        assert_eq!(process.try_wait().unwrap(), None, "it reads still");
        send_signal(&process, signal);
        assert!(wait_for_exit(&mut process, PATIENCE).is_some());
    }
}

#[test]
fn what_is_no_regular_file_is_refused_by_name_and_nobody_waits_for_it() {
    let folder = Folder::new("kinds");
    let fifo = folder.make_fifo("fifo.toml");
    let link = folder.0.join("link.toml");
    symlink(&folder.0, &link).unwrap();
    for path in [fifo.as_path(), link.as_path(), Path::new("/dev/zero")] {
        let name = path.to_str().unwrap();
        for arguments in [
            &["run", "--config", name][..],
            &["check", "--config", name],
            &["run", "--kubernetes", "off", "--subjects", name],
            &["run", "--kubeconfig", name, "--node-name", "n"],
            &["replay", name],
            &["replay", "--serve", "127.0.0.1:0", name],
            &["explain", "--journal", name],
        ] {
            let mut process = gracewatch(arguments);
            let status = wait_for_exit(&mut process, PATIENCE * 3);
            let mut said = String::new();
            process
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut said)
                .unwrap();
            let status = status.and_then(|status| status.code());
            assert_eq!(status, Some(2), "{arguments:?}: {said}");
            assert!(
                said.contains(name) && said.contains("no regular file"),
                "{said}"
            );
        }
    }
}

#[test]
fn what_a_kubeconfig_names_is_a_regular_file_too() {
    let folder = Folder::new("kubeconfig");
    let fifo = folder.make_fifo("fifo");
    let kubeconfig = folder.0.join("kubeconfig");
    for path in [fifo.as_path(), &folder.0, Path::new("/dev/zero")] {
        let name = path.to_str().unwrap();
        for (cluster, user) in [
            (String::new(), format!("tokenFile: {name}")),
            (format!(", certificate-authority: {name}"), String::new()),
            (String::new(), format!("client-certificate: {name}")),
            (String::new(), format!("client-key: {name}")),
        ] {
            let text = format!(
                "{{current-context: a, contexts: [{{name: a, context: {{cluster: c, user: u}}}}], \
                 clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'{cluster}}}}}], \
                 users: [{{name: u, user: {{{user}}}}}]}}"
            );
            std::fs::write(&kubeconfig, text).unwrap();
            let named = kubeconfig.to_str().unwrap();
            let mut process = gracewatch(&["run", "--kubeconfig", named, "--node-name", "n"]);
            let status = wait_for_exit(&mut process, PATIENCE * 3);
            let mut said = String::new();
            let mut words = process.stderr.take().unwrap();
            words.read_to_string(&mut said).unwrap();
            assert_eq!(status.and_then(|status| status.code()), Some(2), "{said}");
            assert!(
                said.contains(name) && said.contains("no regular file"),
                "{said}"
            );
        }
    }
}
