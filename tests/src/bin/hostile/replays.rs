//! Journals that somebody made: each is answered in time, with little memory, and never by a panic.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gracewatch_tests::rig::toolbox::Toolbox;

use crate::asked::{gracewatch, run_limited};
use crate::cases::Case;
use crate::told::Told;

pub(crate) const ALL: [Case; 6] = [
    Case {
        name: "ReplayOfManyContainers",
        play: many_containers,
    },
    Case {
        name: "ReplayOfManyTerminations",
        play: many_terminations,
    },
    Case {
        name: "ReplayOfManyGlobs",
        play: many_globs,
    },
    Case {
        name: "ReplayCutOff",
        play: cut_off,
    },
    Case {
        name: "ReplayOfLongLines",
        play: long_lines,
    },
    Case {
        name: "ReplayOfGarbage",
        play: garbage,
    },
];

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(20);
/// A service that is stopped: the header, and all that was told.
const JOURNAL: &str = include_str!("../../../../agent/tests/graceful.jsonl");
/// Limits that no agent has.
const LIMITS: &str = r#""limits":{"containers_max":18446744073709551615,"processes_max":18446744073709551615,"tail":{"secs":18446744073709551615,"nanos":999999999},"stuck_after":{"secs":18446744073709551615,"nanos":999999999},"pods_max":18446744073709551615,"pod_wait":{"secs":18446744073709551615,"nanos":999999999},"reason_wait":{"secs":18446744073709551615,"nanos":999999999}}"#;

/// What is asked of a journal, whose name comes after each.
const COMMANDS: [&[&str]; 3] = [
    &["replay", "--metrics"],
    &["replay", "--json"],
    &["explain", "last", "--journal"],
];

fn header(selectors: &str, limits: &str) -> String {
    format!(
        r#"{{"format":1,"config":{{"systemd":true,"containers":true,"selectors":[{selectors}],{limits}}}}}"#
    )
}

/// What was told of the service, of another one; but for the end of the scan, which concerns all.
fn entries(service: usize) -> Vec<String> {
    let path = format!("/system.slice/other-{service}.service");
    let is_of_service = |entry: &&str| !entry.contains("scan_finished");
    let entries = JOURNAL.lines().skip(1).filter(is_of_service);
    entries
        .map(|entry| {
            entry
                .replace("/system.slice/nginx.service", &path)
                .replace(":500,", &format!(":{},", 1000 + service))
                .replace("\"tgid\":900", &format!("\"tgid\":{}", 100_000 + service))
        })
        .collect()
}

/// Asks all that can be asked of this journal. `codes`: what they may end with.
fn answers(
    toolbox: &Toolbox,
    (what, journal): (&str, &[u8]),
    codes: &[i32],
    told: &mut Told,
) -> Result<()> {
    let path = toolbox.folder().join("made.journal");
    fs::write(&path, journal)?;
    let name = path.to_str().context("a path that is no text")?;
    let (mut longest, mut peak) = (Duration::ZERO, 0);
    for command in COMMANDS {
        let said = run_limited(
            toolbox,
            gracewatch(&[command, &[name][..]].concat())?,
            LIMIT,
        )?;
        let what = format!("{what}: {}", command.join(" "));
        said.judge_end(&what, told);
        told.expect(
            said.exit_code().is_none_or(|code| codes.contains(&code)),
            || format!("{what}: exit code {:?}: {}", said.exit_code(), said.words),
        );
        told.expect(said.words.lines().count() <= 1, || {
            format!("{what}: it says more than a sentence: {}", said.words)
        });
        (longest, peak) = (longest.max(said.took), peak.max(said.peak));
    }
    fs::remove_file(&path)?;
    let comma = if told.facts.is_empty() { "" } else { ", " };
    write!(
        told.facts,
        "{comma}{what} {:.1} s and {} MiB",
        longest.as_secs_f64(),
        peak >> 20
    )?;
    Ok(())
}

/// 80 000 at once, and a header that lets them all be there for ever.
fn many_containers(toolbox: &Toolbox) -> Result<Told> {
    let mut told = Told::default();
    let mut journal = header("", LIMITS);
    let all: Vec<_> = (0..80_000).map(entries).collect();
    let lines = all.first().map_or(0, Vec::len);
    // They are all found before the first of them is stopped.
    for line in (0..lines).filter(|line| *line < 3) {
        for entries in &all {
            write!(
                journal,
                "\n{}",
                entries.get(line).context("a line is missing")?
            )?;
        }
    }
    journal.push('\n');
    answers(
        toolbox,
        ("80000 containers", journal.as_bytes()),
        &[0, 1, 2],
        &mut told,
    )?;
    Ok(told)
}

/// A journal with these globs and entries.
fn journal(globs: &str, entries: &[String]) -> String {
    format!("{}\n{}\n", header(globs, LIMITS), entries.join("\n"))
}

/// One after the other, so that each is reported.
fn many_terminations(toolbox: &Toolbox) -> Result<Told> {
    let mut told = Told::default();
    let all: Vec<_> = (0..2000).flat_map(entries).collect();
    let journal = journal("", &all);
    answers(
        toolbox,
        ("2000 terminations", journal.as_bytes()),
        &[0],
        &mut told,
    )?;
    Ok(told)
}

/// Every cgroup is compared with every glob.
fn many_globs(toolbox: &Toolbox) -> Result<Told> {
    let mut told = Told::default();
    let glob = |number: usize| format!(r#"{{"cgroup":"/**/*a{number}*/**/b*"}}"#);
    let globs: Vec<_> = (0..50_000).map(glob).collect();
    let all: Vec<_> = (0..2000).flat_map(entries).collect();
    answers(
        toolbox,
        ("50000 globs", journal(&globs.join(","), &all).as_bytes()),
        &[0, 1, 2],
        &mut told,
    )?;
    let long = format!(r#"{{"cgroup":"/{}"}}"#, "*a".repeat(1_000_000));
    answers(
        toolbox,
        ("a long glob", journal(&long, &all).as_bytes()),
        &[0, 1, 2],
        &mut told,
    )?;
    Ok(told)
}

/// Cut off in the middle, at many places.
fn cut_off(toolbox: &Toolbox) -> Result<Told> {
    let mut told = Told::default();
    for part in 1..6 {
        let end = JOURNAL.len() * part / 6;
        let journal = JOURNAL.as_bytes().get(..end).context("no such part")?;
        answers(toolbox, (&format!("{part}/6"), journal), &[1, 2], &mut told)?;
    }
    Ok(told)
}

/// 100 MB without an end, with one, and as one string in an entry.
fn long_lines(toolbox: &Toolbox) -> Result<Told> {
    const BYTES: usize = 100_000_000;
    let mut told = Told::default();
    let endless = vec![b' '; BYTES];
    answers(toolbox, ("spaces", &endless), &[1, 2], &mut told)?;
    let (first, rest) = JOURNAL.split_once('\n').context("no header")?;
    let long = format!("{first}\n{}\n{rest}", "x".repeat(BYTES));
    answers(
        toolbox,
        ("a long line", long.as_bytes()),
        &[1, 2],
        &mut told,
    )?;
    // One that is beyond any line, and one that is not.
    for (what, bytes) in [("a long path", BYTES / 2), ("a shorter one", 8_000_000)] {
        let path = "x".repeat(bytes);
        let entry = format!(
            r#"{{"at":1,"input":{{"cgroup_found":{{"cgroup":1,"parent":1,"path":"/system.slice/{path}.service"}}}}}}"#
        );
        let journal = format!("{first}\n{entry}\n{rest}");
        answers(toolbox, (what, journal.as_bytes()), &[0, 1, 2], &mut told)?;
    }
    let nested = format!("{first}\n{}\n", "[".repeat(10_000_000));
    answers(toolbox, ("brackets", nested.as_bytes()), &[1, 2], &mut told)?;
    Ok(told)
}

/// Bytes that are no text, alone and after a good beginning; and times that go back and to the end of all time.
fn garbage(toolbox: &Toolbox) -> Result<Told> {
    let mut told = Told::default();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    })
    .take(1 << 20)
    .flatten()
    .collect();
    answers(toolbox, ("noise", &noise), &[1, 2], &mut told)?;
    answers(
        toolbox,
        ("noise at the end", &[JOURNAL.as_bytes(), &noise].concat()),
        &[1, 2],
        &mut told,
    )?;
    answers(toolbox, ("nothing", b""), &[1, 2], &mut told)?;
    answers(toolbox, ("zeros", &vec![0; 1 << 20]), &[1, 2], &mut told)?;
    let times = JOURNAL.replace("\"at\":100000000000", "\"at\":18446744073709551615");
    answers(
        toolbox,
        ("the end of time", times.as_bytes()),
        &[0, 1, 2],
        &mut told,
    )?;
    Ok(told)
}
