//! The binary as people call it: configuration, help, manual, colours, exit codes. Without privileges.
#![expect(
    clippy::unwrap_used,
    reason = "what these helpers cannot do fails the test"
)]

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const JOURNAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/graceful.jsonl");
const COMMANDS: [&str; 7] = [
    "run",
    "watch",
    "check",
    "explain",
    "replay",
    "completions",
    "man",
];

/// The binary, with nothing of this test's own environment that it would read.
fn gracewatch(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gracewatch"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _value) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("GRACEWATCH_") || name.contains("COLOR") || name == "KUBECONFIG" {
            command.env_remove(name);
        }
    }
    // No file of the machine that the tests run on.
    command.env("GRACEWATCH_CONFIG", "").env("TERM", "xterm");
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("gracewatch-cli-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write_file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// An address that somebody has.
fn taken_address() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_file() {
    let folder = Folder::new("precedence");
    let ((_one, in_file), (_two, in_environment), (_three, in_flag)) =
        (taken_address(), taken_address(), taken_address());
    let config = folder.write_file("config.toml", &format!("listen = \"{in_file}\"\n"));
    // Nobody can listen there, and the refusal says where.
    let refused = |command: &mut Command, address: SocketAddr| {
        let output = command.output().unwrap();
        let sentence = stderr(&output);
        assert!(
            sentence.contains(&format!("{address} is in use")),
            "{sentence}"
        );
        assert_eq!(output.status.code(), Some(1), "{sentence}");
    };
    let run = || gracewatch(&["run", "--config", &config]);
    refused(&mut run(), in_file);
    refused(
        gracewatch(&["run"]).env("GRACEWATCH_CONFIG", &config),
        in_file,
    );
    let in_environment_text = in_environment.to_string();
    refused(
        run().env("GRACEWATCH_LISTEN", &in_environment_text),
        in_environment,
    );
    let flag = in_flag.to_string();
    refused(
        run()
            .args(["--listen", &flag])
            .env("GRACEWATCH_LISTEN", &in_environment_text),
        in_flag,
    );
}

#[test]
fn a_wrong_file_is_named_with_line_and_key() {
    let folder = Folder::new("wrong");
    let config = folder.write_file("config.toml", "# mine\nlisen = \"127.0.0.1:1\"\n");
    for command in ["run", "watch", "check", "explain"] {
        let output = gracewatch(&[command, "--config", &config])
            .output()
            .unwrap();
        assert_eq!(
            stderr(&output),
            format!(
                "gracewatch: configuration file {config}, line 2: there is no option `lisen`; did you mean `listen`?\n"
            )
        );
        assert_eq!(output.status.code(), Some(2));
    }
    let output = gracewatch(&["check", "--config", "/nowhere.toml"])
        .output()
        .unwrap();
    assert!(stderr(&output).contains("/nowhere.toml"), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
    let manual = gracewatch(&["man", "--config", &config]).output().unwrap();
    assert!(manual.status.success(), "{manual:?}");
}

#[test]
fn a_flag_for_this_machine_goes_before_an_agent_in_the_file() {
    let folder = Folder::new("agent");
    let (listener, address) = taken_address();
    drop(listener);
    let config = folder.write_file("config.toml", &format!("agent = \"{address}\"\n"));
    let watch = |arguments: &[&str]| {
        let output = gracewatch(&["watch", "--config", &config])
            .args(arguments)
            .output()
            .unwrap();
        stderr(&output)
    };
    let sentence = watch(&[]);
    assert!(
        sentence.contains(&format!("nobody listens at http://{address}")),
        "{sentence}"
    );
    // Measuring here fails by a sentence of its own.
    let sentence = watch(&["--subjects", "/nowhere.toml"]);
    assert!(
        sentence.contains("/nowhere.toml") && !sentence.contains(&address.to_string()),
        "{sentence}"
    );
    let sentence = watch(&["--subjects", "/nowhere.toml", "--agent", "node:1"]);
    assert!(
        sentence.contains("--subjects is for what is measured here"),
        "{sentence}"
    );
}

#[test]
fn check_says_which_file_it_read() {
    let folder = Folder::new("check");
    let config = folder.write_file(
        "config.toml",
        "no-systemd = true\nretention = 60\nkubernetes = \"off\"\n",
    );
    let output = gracewatch(&["check", "--no-load", "--json", "--config", &config])
        .output()
        .unwrap();
    let answer: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let checks = answer["checks"].as_array().unwrap();
    let found = checks
        .iter()
        .find(|check| check["name"] == "configuration")
        .unwrap();
    assert_eq!(
        found["found"],
        format!("{config} sets no-systemd, retention, kubernetes")
    );
    assert_eq!(output.status.success(), answer["can_run"] == true);
}

#[test]
fn the_help_of_every_command_teaches() {
    for command in COMMANDS {
        let long = stdout(&gracewatch(&[command, "--help"]).output().unwrap());
        for part in [
            "Usage: ",
            "Examples:",
            "Rights: ",
            "Output: ",
            "Exit status:",
        ] {
            assert!(
                long.contains(part),
                "{command} --help has no `{part}`:\n{long}"
            );
        }
        let short = stdout(&gracewatch(&[command, "-h"]).output().unwrap());
        assert!(
            short.contains("Examples:") && !short.contains("Exit status:"),
            "{short}"
        );
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let folder = Folder::new("man");
    let out = folder.0.join("man1");
    let output = gracewatch(&["man", "--out", out.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let page = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    for command in COMMANDS {
        let page = page(&format!("gracewatch-{command}.1"));
        for section in [
            "NAME",
            "SYNOPSIS",
            "EXAMPLES",
            "RIGHTS",
            "EXIT STATUS",
            "ENVIRONMENT",
            "SEE ALSO",
        ] {
            let heading = page
                .lines()
                .any(|line| line.starts_with(".SH") && line.contains(section));
            assert!(heading, "the page of {command} has no {section}");
        }
    }
    let run = page("gracewatch-run.1");
    assert!(
        run.contains("GRACEWATCH_LISTEN") && run.contains("FILES"),
        "{run}"
    );
    assert!(page("gracewatch.1").contains("gracewatch\\-explain(1)"));
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), COMMANDS.len() + 1);
    let unknown = gracewatch(&["man", "walk"]).output().unwrap();
    assert!(
        stderr(&unknown).contains("no command `walk`"),
        "{unknown:?}"
    );
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn a_shell_takes_its_completions() {
    let folder = Folder::new("completions");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = gracewatch(&["completions", shell]).output().unwrap();
        let script = stdout(&output);
        assert!(
            script.contains("explain") && script.contains("journal-max-bytes"),
            "{shell}"
        );
        if shell == "bash" {
            let path = folder.write_file("gracewatch.bash", &script);
            let read = Command::new("bash").args(["-n", &path]).output().unwrap();
            assert!(read.status.success(), "{}", stderr(&read));
        }
    }
    let output = gracewatch(&["completions", "tcsh"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn colours_are_where_they_are_wanted() {
    let has_colours = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = gracewatch(arguments)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        stdout(&output).contains('\u{1b}')
    };
    let explain: &[&str] = &["explain", "last", "--journal", JOURNAL];
    for arguments in [explain, &["replay", JOURNAL], &["run", "--help"]] {
        assert!(!has_colours(arguments, &[]), "{arguments:?}");
        assert!(
            has_colours(arguments, &[("CLICOLOR_FORCE", "1")]),
            "{arguments:?}"
        );
        assert!(
            !has_colours(arguments, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]),
            "{arguments:?}"
        );
    }
    assert!(!has_colours(explain, &[("CLICOLOR_FORCE", "0")]));
    assert!(has_colours(
        explain,
        &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")]
    ));
}

#[test]
fn a_journal_is_explained() {
    let output = gracewatch(&["explain", "nginx", "--journal", JOURNAL])
        .output()
        .unwrap();
    let text = stdout(&output);
    assert!(
        text.contains("nginx.service") && text.contains("graceful, because SIGTERM came first"),
        "{text}"
    );
    let list = stdout(
        &gracewatch(&["explain", "--journal", JOURNAL])
            .output()
            .unwrap(),
    );
    assert!(list.contains("remembers 1 termination"), "{list}");
    let output = gracewatch(&["explain", "apache", "--journal", JOURNAL])
        .output()
        .unwrap();
    assert!(
        stderr(&output).contains("remembers no termination of `apache`"),
        "{output:?}"
    );
    assert_eq!(output.status.code(), Some(2));
    let output = gracewatch(&["explain", "last", "--journal", "/nowhere.jsonl"])
        .output()
        .unwrap();
    assert!(stderr(&output).contains("/nowhere.jsonl"), "{output:?}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = gracewatch(&["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn an_address_that_is_none_is_refused_at_once() {
    for (address, said) in [
        ("https://node:8637", "write http://"),
        ("node:0", "port 0"),
        ("a b", "write HOST:PORT"),
    ] {
        for command in ["watch", "explain"] {
            let output = gracewatch(&[command, "--agent", address]).output().unwrap();
            assert!(stderr(&output).contains(said), "{output:?}");
            assert_eq!(output.status.code(), Some(2));
        }
    }
    let (listener, address) = taken_address();
    drop(listener);
    for command in ["watch", "explain"] {
        let output = gracewatch(&[command, "--agent", &address.to_string()])
            .output()
            .unwrap();
        let sentence = format!("gracewatch: nobody listens at http://{address}; ");
        assert!(stderr(&output).starts_with(&sentence), "{output:?}");
        assert_eq!(output.status.code(), Some(1));
    }
}
