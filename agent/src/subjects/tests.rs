//! The subjects file and the options around it: what is accepted, and what the refusals say.

use super::*;

fn subject_args(subjects: Option<PathBuf>) -> SubjectArgs {
    SubjectArgs {
        cgroup: vec!["/demo/*".to_owned()],
        no_systemd: true,
        systemd: false,
        no_containers: false,
        subjects,
        cgroup_root: None,
        ring_bytes: 4096,
    }
}

/// A file in a directory of its own, which is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str, name: &str, text: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("gracewatch-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        Self(file)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(self.0.parent().unwrap()).unwrap();
    }
}

fn refusal(test: &str, name: &str, text: &str) -> String {
    let file = Scratch::new(test, name, text);
    let sentence = subject_args(Some(file.0.clone()))
        .config(false)
        .unwrap_err()
        .to_string();
    assert!(!sentence.contains('\n'), "one sentence: {sentence}");
    assert!(sentence.contains(name), "names the file: {sentence}");
    sentence
}

#[test]
fn toml_and_json_say_the_same() {
    let toml = Scratch::new(
        "toml",
        "s.toml",
        "[[subject]]\ncgroup = \"/a\"\ngrace_seconds = 2.5\nstop_signal = \"SIGQUIT\"\npre_stop = [\"sh\", \"-c\", \"x\"]\n",
    );
    let json = Scratch::new(
        "json",
        "s.json",
        r#"[{"cgroup": "/a", "grace_seconds": 2.5, "stop_signal": "QUIT", "pre_stop": ["sh", "-c", "x"]}]"#,
    );
    let config = subject_args(Some(toml.0.clone())).config(false).unwrap();
    assert_eq!(
        config,
        subject_args(Some(json.0.clone())).config(false).unwrap()
    );
    assert_eq!(config.selectors.len(), 2);
    assert_eq!(config.selectors[0].grace, Some(Duration::from_millis(2500)));
    assert_eq!(config.selectors[0].stop_signal.unwrap().number(), 3);
    assert_eq!(config.selectors[1].cgroup, "/demo/*");
    assert!(!config.systemd && config.containers);
}

#[test]
fn a_refusal_names_file_entry_and_field() {
    let sentence = refusal(
        "signal",
        "s.json",
        r#"[{"cgroup": "/a"}, {"cgroup": "/b", "stop_signal": "SIGSTOPP"}]"#,
    );
    assert!(
        sentence.contains("subject 2")
            && sentence.contains("`stop_signal`")
            && sentence.contains("SIGSTOPP"),
        "{sentence}"
    );
    let sentence = refusal("type", "s.toml", "[[subject]]\ncgroup = 7\n");
    assert!(
        sentence.contains("subject 1") && sentence.contains("`cgroup`"),
        "{sentence}"
    );
    let sentence = refusal("missing", "s.json", "[{}]");
    assert!(sentence.contains("`cgroup`"), "{sentence}");
    let sentence = refusal("unknown", "s.json", r#"[{"cgroup": "/a", "grace": 3}]"#);
    assert!(
        sentence.contains("`grace`") && sentence.contains("grace_seconds"),
        "{sentence}"
    );
    let sentence = refusal(
        "negative",
        "s.json",
        r#"[{"cgroup": "/a", "grace_seconds": -1}]"#,
    );
    assert!(sentence.contains("`grace_seconds`"), "{sentence}");
}

#[test]
fn a_file_that_is_something_else_is_refused() {
    assert!(refusal("broken", "s.toml", "[[subject\n").contains("TOML"));
    assert!(refusal("list", "s.json", "{\"subjects\": []}").contains("[[subject]]"));
    assert!(refusal("name", "s.yaml", "").contains("*.toml"));
    let sentence = subject_args(Some(PathBuf::from("/nowhere/s.toml")))
        .config(false)
        .unwrap_err()
        .to_string();
    assert!(sentence.contains("/nowhere/s.toml"), "{sentence}");
}

#[test]
fn with_kubernetes_services_are_watched_when_asked_for() {
    let default = SubjectArgs {
        no_systemd: false,
        ..subject_args(None)
    };
    assert!(default.config(false).unwrap().systemd);
    let config = default.config(true).unwrap();
    assert!(config.pods && config.containers && !config.systemd);
    let asked = SubjectArgs {
        systemd: true,
        ..default
    };
    assert!(asked.config(true).unwrap().systemd);
}

#[test]
fn nothing_to_watch_is_refused() {
    let none = SubjectArgs {
        cgroup: Vec::new(),
        no_containers: true,
        ..subject_args(None)
    };
    assert!(
        none.config(false)
            .unwrap_err()
            .to_string()
            .contains("--cgroup")
    );
}

#[test]
fn a_grace_period_is_a_number_that_can_be() {
    for (text, why) in [
        ("nan", "grace_seconds"),
        ("inf", "grace_seconds"),
        ("-inf", "grace_seconds"),
        ("+nan", "grace_seconds"),
        ("-1", "negative"),
        ("-0.5", "negative"),
        ("1e18", "at most 3155760000"),
        ("1e308", "at most 3155760000"),
        ("'5'", "grace_seconds"),
        ("1979-05-27", "grace_seconds"),
        ("true", "grace_seconds"),
    ] {
        let text = format!("[[subject]]\ncgroup = \"/a\"\ngrace_seconds = {text}\n");
        let sentence = refusal("grace", "s.toml", &text);
        assert!(sentence.contains(why), "{text}: {sentence}");
        assert!(sentence.contains("subject 1"), "{sentence}");
    }
    for text in ["1e999", "-1", "\"nan\"", "[]"] {
        let text = format!("[{{\"cgroup\": \"/a\", \"grace_seconds\": {text}}}]");
        refusal("grace-json", "s.json", &text);
    }
    for seconds in ["0", "0.0", "3155760000", "30.5"] {
        let text = format!("[[subject]]\ncgroup = \"/a\"\ngrace_seconds = {seconds}\n");
        let file = Scratch::new("grace-well", "s.toml", &text);
        let config = subject_args(Some(file.0.clone())).config(false).unwrap();
        assert!(config.selectors[0].grace.is_some());
    }
}

#[test]
fn a_file_that_is_large_or_deep_is_refused() {
    let entry = |cgroup: &str| format!("[[subject]]\ncgroup = \"{cgroup}\"\n");
    let large = format!("# {}\n{}", "x".repeat(1 << 20), entry("/a"));
    assert!(refusal("large", "s.toml", &large).contains("more than 1 MiB"));
    let deep = "[".repeat(100_000);
    refusal("deep", "s.json", &deep);
    refusal("deep-toml", "s.toml", &format!("subject = {deep}"));
}
