//! What ARCHITECTURE.md says is absent and no compiler looks for, looked for here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::files;
use crate::cache;

/// Libraries, and a part of the agent that knows each; what is not listed for it must not.
const CONFINED: [(&str, &str); 11] = [
    ("aya", "agent/src/probes"),
    ("aya_log", "agent/src/probes"),
    ("axum", "agent/src/http"),
    ("hyper", "agent/src/client"),
    ("hyper", "agent/src/http"),
    ("hyper_util", "agent/src/client"),
    ("hyper_util", "agent/src/http"),
    ("k8s_openapi", "agent/src/kubernetes"),
    ("kube", "agent/src/kubernetes"),
    ("maud", "agent/src/http"),
    ("prometheus_client", "agent/src/metrics"),
];

/// Names that were given up for terms that engineers know, and those terms.
const RETIRED: [(&str, &str); 14] = [
    ("COURSES", "PHASE_RULES"),
    ("ConnectionFact", "TcpFeature"),
    ("Course", "PhaseRules"),
    ("Graces", "GraceCandidates"),
    ("Lesson", "CommandHelp"),
    ("News", "Severity"),
    ("Passage", "PhaseProgress"),
    ("Poster", "EventRecorder"),
    ("Sight", "Discovery, TcpVisibility"),
    ("Trouble", "ClientError"),
    ("Vital", "AgentEvent"),
    ("Wish", "Effect"),
    ("Wishes", "ContainerEffects"),
    ("carry_out", "execute_effects"),
];

/// The sources below a folder of the workspace, by their paths from its root.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = cache::workspace();
    let found: Vec<_> = files::find_files(root, Path::new(folder), "rs")
        .unwrap()
        .into_iter()
        .map(|path| {
            (
                path.clone(),
                std::fs::read_to_string(root.join(path)).unwrap(),
            )
        })
        .collect();
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// Whether a source names something of a library: `aya::`, and not `gaya::`.
fn mentions_library(source: &str, library: &str) -> bool {
    let path = format!("{library}::");
    source.match_indices(&path).any(|(at, _)| {
        let before = source
            .get(..at)
            .and_then(|before| before.chars().next_back());
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })
}

/// Whether a source belongs to a part: the folder, or the module's own file beside it.
fn belongs_to(path: &Path, home: &str) -> bool {
    path.starts_with(home) || path == Path::new(home).with_extension("rs")
}

#[test]
fn each_library_is_known_to_one_part_of_the_agent() {
    for (path, source) in sources("agent/src") {
        for (library, _home) in CONFINED {
            let homes: Vec<_> = CONFINED
                .iter()
                .filter(|(known, _home)| *known == library)
                .map(|(_known, home)| *home)
                .collect();
            assert!(
                homes.iter().any(|home| belongs_to(&path, home))
                    || !mentions_library(&source, library),
                "{} names {library}, which only {homes:?} knows",
                path.display()
            );
        }
    }
}

#[test]
fn the_parts_that_know_a_library_are_looked_at() {
    let sources = sources("agent/src");
    for (library, home) in CONFINED {
        assert!(
            sources
                .iter()
                .any(|(path, source)| belongs_to(path, home) && mentions_library(source, library)),
            "nothing in {home} names {library}: is the name still right?"
        );
    }
}

#[test]
fn unsafe_code_is_forbidden_but_on_the_kernel_side() {
    for krate in ["agent", "agent-core", "tests", "tests/cluster", "xtask"] {
        let roots = sources(&format!("{krate}/src"))
            .into_iter()
            .filter(|(path, _)| {
                let path = path.strip_prefix(krate).unwrap();
                let in_bin = path.starts_with("src/bin") && path.components().count() == 3;
                in_bin || path.ends_with("main.rs") || path == Path::new("src/lib.rs")
            });
        for (path, source) in roots {
            assert!(
                source.contains("#![forbid(unsafe_code)]"),
                "{} does not forbid unsafe code",
                path.display()
            );
        }
    }
}

#[test]
fn retired_names_stay_away() {
    for folder in ["agent-common", "agent-core", "agent-ebpf", "agent"] {
        for (path, source) in sources(&format!("{folder}/src")) {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            let words: BTreeSet<&str> = source.split(|c| !is_part(c)).collect();
            for (retired, now) in RETIRED {
                assert!(
                    !words.contains(retired),
                    "{} names {retired}, which is called {now} now",
                    path.display()
                );
            }
        }
    }
}
