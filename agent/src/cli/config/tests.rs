//! Values from a file: which option gets them, what goes before them, and what is said of wrong ones.

use clap::{Arg, ArgAction, value_parser};

use super::*;

/// A command line in small: a command with options of each kind, and another one with one of them.
fn command() -> Command {
    let listen = || {
        Arg::new("listen")
            .long("listen")
            .env("GRACEWATCH_TEST_UNSET_LISTEN")
            .value_parser(value_parser!(std::net::SocketAddr))
            .default_value("127.0.0.1:1")
    };
    let switch = |name: &'static str, id: &'static str| {
        Arg::new(id)
            .long(name)
            .env("GRACEWATCH_TEST_UNSET_SWITCH")
            .action(ArgAction::SetTrue)
    };
    let kind = Arg::new("kind")
        .long("log-kind")
        .env("GRACEWATCH_TEST_UNSET_KIND")
        .value_parser(["text", "json"])
        .default_value("text")
        .global(true);
    let globs = Arg::new("cgroup")
        .long("cgroup")
        .env("GRACEWATCH_TEST_UNSET_GLOBS")
        .action(ArgAction::Append);
    let size = Arg::new("size")
        .long("size")
        .env("GRACEWATCH_TEST_UNSET_SIZE")
        .value_parser(value_parser!(u32));
    let run = Command::new("run")
        .args([listen(), globs, size])
        .arg(switch("no-systemd", "no_systemd"))
        .arg(switch("systemd", "systemd").conflicts_with("no_systemd"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue));
    Command::new("test")
        .arg(kind)
        .subcommand(run)
        .subcommand(Command::new("serve").arg(listen()))
}

fn parse_file(text: &str) -> File {
    let path = std::env::temp_dir().join(format!(
        "gracewatch-config-{}-{:?}.toml",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::write(&path, text).unwrap();
    let file = File::read(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

/// What a command line comes to with this file.
fn matches_with(text: &str, line: &str) -> ArgMatches {
    let words = || line.split(' ');
    let given = command().get_matches_from(words());
    let settings = parse_file(text).settings(&command()).unwrap();
    let (_name, matches) = set_defaults(command(), &settings, &contradicted(&command(), &given))
        .try_get_matches_from(words())
        .unwrap()
        .remove_subcommand()
        .unwrap();
    matches
}

fn listen(matches: &ArgMatches) -> String {
    matches
        .get_one::<std::net::SocketAddr>("listen")
        .unwrap()
        .to_string()
}

fn cgroup_globs(matches: &ArgMatches) -> Vec<String> {
    let given = matches.get_many::<String>("cgroup");
    given.into_iter().flatten().cloned().collect()
}

/// The sentence about a file that is wrong, without the file's name.
fn refusal(text: &str) -> String {
    let sentence = parse_file(text)
        .settings(&command())
        .unwrap_err()
        .to_string();
    assert!(!sentence.contains('\n'), "one sentence: {sentence}");
    let (name, rest) = sentence
        .split_once(".toml, ")
        .unwrap_or_else(|| panic!("{sentence}"));
    assert!(name.contains("gracewatch-config-"), "{sentence}");
    rest.to_owned()
}

#[test]
fn the_file_goes_before_the_default_and_a_flag_before_the_file() {
    let text = "listen = '127.0.0.1:2'\ncgroup = ['/a', '/b']\nno-systemd = true\nsize = 4_096\nlog-kind = 'json'\n";
    let matches = matches_with(text, "test run");
    assert_eq!(listen(&matches), "127.0.0.1:2");
    assert_eq!(cgroup_globs(&matches), ["/a", "/b"]);
    assert!(matches.get_flag("no_systemd"));
    assert_eq!(matches.get_one("size"), Some(&4096_u32));
    assert_eq!(matches.get_one::<String>("kind").unwrap(), "json");
    let matches = matches_with(
        text,
        "test --log-kind text run --listen 127.0.0.1:3 --cgroup /c",
    );
    assert_eq!(listen(&matches), "127.0.0.1:3");
    assert_eq!(cgroup_globs(&matches), ["/c"]);
    assert_eq!(matches.get_one::<String>("kind").unwrap(), "text");
    assert_eq!(listen(&matches_with("", "test run")), "127.0.0.1:1");
}

#[test]
fn a_command_takes_what_it_has() {
    let matches = matches_with("listen = '127.0.0.1:2'\nno-systemd = true\n", "test serve");
    assert_eq!(listen(&matches), "127.0.0.1:2");
}

#[test]
fn a_flag_goes_before_what_it_contradicts() {
    let matches = matches_with("no-systemd = true\n", "test run --systemd");
    assert!(matches.get_flag("systemd") && !matches.get_flag("no_systemd"));
    assert!(
        refusal("systemd = true\nsize = 1\nno-systemd = true\n")
            .starts_with("line 3: `no-systemd` contradicts `systemd` in line 1")
    );
    parse_file("systemd = true\nno-systemd = false\n")
        .settings(&command())
        .unwrap();
}

#[test]
fn an_unknown_key_gets_the_nearest_name() {
    assert_eq!(
        refusal("# words\n\nlisten = '127.0.0.1:1'\nno-sytemd = true\n"),
        "line 4: there is no option `no-sytemd`; did you mean `no-systemd`?"
    );
    assert!(refusal("no_systemd = true\n").contains("did you mean `no-systemd`?"));
    assert!(refusal("zzz = 1\n").contains("there is no option `zzz`; `gracewatch run --help`"));
    assert!(refusal("json = true\n").contains("there is no option `json`"));
    assert!(
        refusal("[run]\nlisten = '127.0.0.1:1'\n").contains("there are no tables such as `run`")
    );
}

#[test]
fn a_value_that_does_not_fit_is_named() {
    let cases = [
        (
            "listen = 'abc'",
            "line 1: `listen = 'abc'` cannot be used: invalid socket address",
        ),
        (
            "\nlisten = ['127.0.0.1:1']",
            "line 2: `listen = ['127.0.0.1:1']` cannot be used: it takes one value",
        ),
        ("listen = true", "it is no switch"),
        (
            "no-systemd = 'yes'",
            "it is a switch; write true or false, without quotes",
        ),
        ("size = -1", "`size = -1` cannot be used"),
        ("size = 0x10", "decimal digits"),
        ("log-kind = 'jsn'", "it is one of text, json"),
        ("cgroup = [['/a']]", "write a number, or a word in quotes"),
        ("cgroup = ['/a'", "line 1: "),
        ("size = 1\nsize = 2", "line 2: duplicate key"),
        ("listen 1", "line 1: "),
    ];
    for (text, said) in cases {
        let sentence = refusal(text);
        assert!(sentence.contains(said), "{text}: {sentence}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_a_remedy() {
    let sentence = File::read(Path::new("/nowhere/config.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        sentence.contains("/nowhere/config.toml") && sentence.contains("--config"),
        "{sentence}"
    );
    let sentence = File::read(Path::new("/proc/self")).unwrap_err().to_string();
    assert!(sentence.contains("/proc/self"), "{sentence}");
}
