//! What a file of subjects may say: numbers, names and sizes that are none are refused, and every signal has all of its names.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::{self, Whole};

use crate::asked::{gracewatch, run_limited};
use crate::cases::Case;
use crate::told::Told;

pub(crate) const ALL: [Case; 3] = [
    Case {
        name: "HugeSubjects",
        play: huge_subjects,
    },
    Case {
        name: "WrongSubjects",
        play: wrong_subjects,
    },
    Case {
        name: "SignalNames",
        play: signal_names,
    },
];

/// More than any refusal takes.
const LIMIT: Duration = Duration::from_secs(4);
/// What a refusal may take of the memory, in bytes: the file is not read to its end.
const MEMORY_MAX: u64 = 64 << 20;

/// Has the agent start with this file of subjects, which it is to refuse.
fn refuses(
    toolbox: &Toolbox,
    (file, text): (&str, &str),
    names: &[&str],
    told: &mut Told,
) -> Result<u64> {
    let path = toolbox.folder().join(file);
    fs::write(&path, text)?;
    let path = path.to_str().context("a path that is no text")?;
    let args = [
        "run",
        "--no-systemd",
        "--listen",
        "127.0.0.1:0",
        "--subjects",
        path,
    ];
    let said = run_limited(toolbox, gracewatch(&args)?, LIMIT)?;
    let what: String = text.chars().take(100).collect();
    said.judge_refusal(&what, names, told);
    Ok(said.peak)
}

/// 68 MB, as TOML and as JSON; many globs, and a long one.
fn huge_subjects(toolbox: &Toolbox) -> Result<Told> {
    const BYTES: usize = 68_000_000;
    let mut told = Told::default();
    let toml = "[[subject]]\ncgroup = \"/a/*\"\n";
    let json = "{\"cgroup\": \"/a/*\"},";
    let many = format!("[{}]", vec![json.trim_end_matches(','); 1001].join(","));
    let long = format!("[{{\"cgroup\": \"/{}\"}}]", "a".repeat(5000));
    let nested = "[".repeat(500_000);
    let mut peak = 0;
    for (file, text, name) in [
        ("huge.toml", toml.repeat(BYTES / toml.len()), "huge.toml"),
        (
            "huge.json",
            format!("[{}", json.repeat(BYTES / json.len())),
            "huge.json",
        ),
        ("many.json", many, "1001 globs"),
        ("long.json", long, "longer than any path"),
        ("nested.json", nested.clone(), "nested.json"),
        ("nested.toml", format!("a = {nested}"), "nested.toml"),
    ] {
        peak = refuses(toolbox, (file, &text), &[name], &mut told)?.max(peak);
    }
    told.expect(peak < MEMORY_MAX, || {
        format!("a refusal took {} MiB", peak >> 20)
    });
    told.facts = format!("refused with {} MiB at the most", peak >> 20);
    Ok(told)
}

fn wrong_subjects(toolbox: &Toolbox) -> Result<Told> {
    const GRACES: [&str; 9] = [
        "nan",
        "inf",
        "-inf",
        "-nan",
        "-1",
        "-0.001",
        "1e300",
        "1e309",
        "3155760001",
    ];
    const SIGNALS: [&str; 12] = [
        "SIGNONE",
        "",
        "SIG",
        "0",
        "65",
        "-1",
        "4294967311",
        "RTMIN+31",
        "RTMAX-31",
        "RTMIN-1",
        "SIGSIGTERM",
        "TERM KILL",
    ];
    let mut told = Told::default();
    for grace in GRACES {
        let text = format!("[[subject]]\ncgroup = \"/a/*\"\ngrace_seconds = {grace}\n");
        refuses(
            toolbox,
            ("wrong.toml", &text),
            &["grace_seconds"],
            &mut told,
        )?;
    }
    for grace in ["-1", "1e300", "1e309", "\"nan\"", "null1", "[]"] {
        let text = format!("[{{\"cgroup\": \"/a/*\", \"grace_seconds\": {grace}}}]");
        refuses(toolbox, ("wrong.json", &text), &["wrong.json"], &mut told)?;
    }
    for signal in SIGNALS {
        let text = format!("[{{\"cgroup\": \"/a/*\", \"stop_signal\": \"{signal}\"}}]");
        refuses(
            toolbox,
            ("wrong.json", &text),
            &["stop_signal", "is not a signal"],
            &mut told,
        )?;
    }
    told.facts = format!("{} refused", GRACES.len() + 6 + SIGNALS.len());
    Ok(told)
}

/// Those that the shells and programs of this machine know, and the others that any does.
fn signal_names(toolbox: &Toolbox) -> Result<Told> {
    let mut names: Vec<String> = [
        "IOT", "CLD", "POLL", "UNUSED", "SIGIOT", "SIGCLD", "SIGPOLL", "rtmin", "SIGRTMAX",
        "RTMAX-14", "sigterm",
    ]
    .map(str::to_owned)
    .to_vec();
    for (program, args) in [
        ("bash", ["-c", "kill -l"]),
        ("sh", ["-c", "kill -l"]),
        ("/bin/kill", ["-L", "-L"]),
    ] {
        // A program that is not there knows none.
        let Ok(said) = Command::new(program).args(args).output() else {
            continue;
        };
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let words = text
            .split_whitespace()
            .filter(|word| word.starts_with(|first: char| first.is_ascii_uppercase()));
        names.extend(words.map(str::to_owned));
    }
    let known = names.len();
    names.extend((1..=64).map(|number| number.to_string()));
    for number in 0..=30 {
        names.extend([
            format!("SIGRTMIN+{number}"),
            format!("RTMAX-{number}"),
            format!("RTMIN+{number}"),
        ]);
    }
    let mut text = String::new();
    for (name, number) in names.iter().zip(1..) {
        writeln!(
            text,
            "[[subject]]\ncgroup = \"/signal-{number}/*\"\nstop_signal = \"{name}\""
        )?;
    }
    let path = toolbox.folder().join("signals.toml");
    fs::write(&path, text)?;
    let mut command = gracewatch(&["run", "--no-systemd", "--no-containers", "--subjects"])?;
    command.arg(&path);
    let log = toolbox.folder().join("numbers.agent");
    Whole::start_command(command, whole::free_port(0)?, &log)?.stop()?;
    Ok(Told {
        wrong: Vec::new(),
        facts: format!(
            "{} names accepted, {known} of them known to `kill -l`",
            names.len()
        ),
    })
}
