//! Verdicts over the facts: what is fine, what is not, and the way out.

use serde::Serialize;

use super::connections;
use super::facts::{
    CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_RESOURCE, HostFacts, Load,
    Lockdown,
};
use crate::probes::Survey;

/// One thing that was checked.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    /// What was checked.
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    /// What was found.
    pub(super) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

/// Whether something is fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It is.
    Ok,
    /// The agent runs, but something is left out or costs more than it should.
    Warn,
    /// The agent cannot run.
    Fail,
}

pub(super) const fn passed(name: &'static str, found: String) -> Check {
    Check {
        name,
        verdict: Verdict::Ok,
        found,
        remedy: None,
    }
}

pub(super) fn with_remedy(
    name: &'static str,
    verdict: Verdict,
    found: impl Into<String>,
    remedy: impl Into<String>,
) -> Check {
    Check {
        name,
        verdict,
        found: found.into(),
        remedy: Some(remedy.into()).filter(|text| !text.is_empty()),
    }
}

/// Every check, in the order in which the agent would stumble.
pub(super) fn check_host(facts: &HostFacts) -> Vec<Check> {
    let mut checks = vec![
        kernel(facts),
        check_fact(
            "probes",
            &facts.built,
            "built into this binary, of the version that it expects",
        ),
        check_btf(facts),
    ];
    checks.extend(facts.survey.as_ref().ok().map(check_hooks));
    checks.extend([lockdown(facts), capabilities(facts)]);
    checks.extend(memory(facts));
    checks.extend([loading(facts)]);
    if let Load::Attached { tcp_features, .. } = &facts.load {
        checks.extend(connections::check_connections(tcp_features));
    }
    checks.extend([
        cgroups(facts),
        check_fact("pid namespace", &facts.pid_namespace, "the machine's own"),
        check_proc(facts),
        tracefs(facts),
    ]);
    checks.extend(check_jit(facts));
    checks.push(run_stats(facts));
    checks
}

/// A check whose failure comes as a sentence that holds the way out already.
fn check_fact(name: &'static str, fact: &Result<(), String>, fine: &str) -> Check {
    match fact {
        Ok(()) => passed(name, fine.to_owned()),
        Err(sentence) => with_remedy(name, Verdict::Fail, sentence, ""),
    }
}

/// Major and minor version; `None` if the release does not start like one.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|character: char| !character.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn kernel(facts: &HostFacts) -> Check {
    let release = &facts.release;
    match version(release) {
        Some(version) if version < (5, 8) => with_remedy(
            "kernel",
            Verdict::Fail,
            format!("{release} has no eBPF ring buffer, which came with 5.8"),
            "use a kernel of 5.10 or later",
        ),
        Some(version) if version < (5, 10) => with_remedy(
            "kernel",
            Verdict::Warn,
            format!("{release} is older than any that Gracewatch is tested on"),
            "use a kernel of 5.10 or later",
        ),
        Some(_) => passed("kernel", release.clone()),
        None => with_remedy(
            "kernel",
            Verdict::Warn,
            format!("{release} does not tell its version"),
            "look below whether the probes could be loaded",
        ),
    }
}

fn check_btf(facts: &HostFacts) -> Check {
    match &facts.survey {
        Ok(survey) if survey.members_missing.is_empty() => passed(
            "BTF",
            format!(
                "present, with all {} members that the probes read",
                survey.members
            ),
        ),
        Ok(survey) => with_remedy("BTF", Verdict::Fail, survey.members_missing.join("; "), ""),
        Err(sentence) => with_remedy("BTF", Verdict::Fail, sentence, ""),
    }
}

fn check_hooks(survey: &Survey) -> Check {
    let of = |required| {
        let missing = survey
            .hooks_missing
            .iter()
            .filter(|program| program.required == required);
        let mut names: Vec<_> = missing
            .map(|program| format!("{} ({})", program.hook.name(), program.purpose))
            .collect();
        // Two programs, for two forms of one hook.
        names.dedup();
        names
    };
    let (required, optional) = (of(true), of(false));
    if !required.is_empty() {
        with_remedy(
            "hooks",
            Verdict::Fail,
            format!("this kernel lacks {}", required.join(", ")),
            "use a kernel that was built with these tracepoints, as the distributions' are",
        )
    } else if !optional.is_empty() {
        with_remedy(
            "hooks",
            Verdict::Warn,
            format!("this kernel lacks {}", optional.join(", ")),
            "nothing has to be done; this is not measured here",
        )
    } else {
        passed("hooks", "all tracepoints are there".to_owned())
    }
}

fn lockdown(facts: &HostFacts) -> Check {
    let found = match facts.lockdown {
        Lockdown::Confidentiality => {
            return with_remedy(
                "lockdown",
                Verdict::Fail,
                "confidentiality, which forbids eBPF to read kernel memory",
                "boot with lockdown=integrity or none, or without Secure Boot",
            );
        }
        Lockdown::Integrity => "integrity, which lets eBPF read kernel memory",
        Lockdown::Off => "none",
        Lockdown::NotShown => "the kernel shows no lockdown mode",
    };
    passed("lockdown", found.to_owned())
}

fn capabilities(facts: &HostFacts) -> Check {
    if facts.may_load() {
        let why = if facts.has_capability(CAP_BPF) && facts.has_capability(CAP_PERFMON) {
            "CAP_BPF and CAP_PERFMON"
        } else {
            "CAP_SYS_ADMIN, which stands for CAP_BPF and CAP_PERFMON"
        };
        return passed("capabilities", why.to_owned());
    }
    let missing: Vec<_> = [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(capability, _)| !facts.has_capability(*capability))
        .map(|(_, name)| name)
        .collect();
    debug_assert!(!facts.has_capability(CAP_SYS_ADMIN), "it may load");
    with_remedy(
        "capabilities",
        Verdict::Fail,
        format!("no {}", missing.join(", no ")),
        "run as root, or give them: `sudo gracewatch …`, or securityContext.capabilities.add in Kubernetes",
    )
}

/// Locked memory is charged for maps before 5.11 only.
fn memory(facts: &HostFacts) -> Option<Check> {
    if version(&facts.release).is_none_or(|version| version >= (5, 11)) {
        return None;
    }
    let limit = facts.memory_limit;
    Some(match limit {
        None => passed("locked memory", "no limit".to_owned()),
        Some(_) if facts.has_capability(CAP_SYS_RESOURCE) => passed(
            "locked memory",
            "limited, but CAP_SYS_RESOURCE may raise it".to_owned(),
        ),
        Some(bytes) => with_remedy(
            "locked memory",
            Verdict::Fail,
            format!("limited to {bytes} bytes, which this kernel charges for maps"),
            "give CAP_SYS_RESOURCE, or raise the limit: `ulimit -l unlimited`, or LimitMEMLOCK=infinity in a unit",
        ),
    })
}

fn loading(facts: &HostFacts) -> Check {
    match &facts.load {
        Load::NotWanted => passed("loading", "not tried (--no-load)".to_owned()),
        Load::NotAllowed => with_remedy(
            "loading",
            Verdict::Warn,
            "not tried: the capabilities for it are missing",
            "run the check as root to see whether the kernel takes the probes",
        ),
        Load::Refused(sentence) => {
            let said = facts.survey.as_ref().err() == Some(sentence)
                || facts.built.as_ref().err() == Some(sentence);
            let found = if said {
                "not possible, as said above"
            } else {
                sentence
            };
            with_remedy("loading", Verdict::Fail, found, "")
        }
        Load::Attached { states, .. } => {
            let refused: Vec<_> = states
                .iter()
                .filter_map(|state| {
                    Some(format!(
                        "{} ({}): {}",
                        state.program.name,
                        state.program.purpose,
                        state.refused.as_ref()?
                    ))
                })
                .collect();
            if refused.is_empty() {
                passed(
                    "loading",
                    format!(
                        "the kernel took all {} probes and attached them",
                        states.len()
                    ),
                )
            } else {
                with_remedy(
                    "loading",
                    Verdict::Warn,
                    refused.join("; "),
                    "the rest is measured",
                )
            }
        }
    }
}

fn cgroups(facts: &HostFacts) -> Check {
    match &facts.tree {
        Ok(tree) => {
            let beside = if tree.hybrid {
                ", beside v1 hierarchies (hybrid)"
            } else {
                ""
            };
            passed(
                "cgroup tree",
                format!("v2{beside}, {} cgroups", tree.cgroups),
            )
        }
        Err(sentence) => with_remedy("cgroup tree", Verdict::Fail, sentence, ""),
    }
}

fn check_proc(facts: &HostFacts) -> Check {
    if facts.proc_hides && !facts.has_capability(CAP_SYS_PTRACE) {
        with_remedy(
            "/proc",
            Verdict::Warn,
            "hides the processes of other users (hidepid): containers that run already have no known main process",
            "give CAP_SYS_PTRACE, or mount /proc without hidepid",
        )
    } else {
        passed("/proc", "shows all processes".to_owned())
    }
}

/// People look for it, since most eBPF tools need it.
fn tracefs(facts: &HostFacts) -> Check {
    let place = facts.tracefs.as_ref().map_or_else(
        || "not mounted".to_owned(),
        |path| format!("at {}", path.display()),
    );
    passed(
        "tracefs",
        format!("{place}; not needed, the probes attach by BTF"),
    )
}

fn check_jit(facts: &HostFacts) -> Option<Check> {
    Some(if facts.jit? {
        passed("JIT", "eBPF programs are compiled".to_owned())
    } else {
        with_remedy(
            "JIT",
            Verdict::Warn,
            "eBPF programs are interpreted, so that every event costs several times more",
            "sysctl net.core.bpf_jit_enable=1",
        )
    })
}

fn run_stats(facts: &HostFacts) -> Check {
    let found = match facts.run_stats {
        Some(true) => {
            "on: the kernel accounts the run time of eBPF programs, at some cost for each run"
        }
        Some(false) => "off; to see what the probes cost: sysctl kernel.bpf_stats_enabled=1",
        None => "not in this kernel",
    };
    passed("bpf_stats", found.to_owned())
}
