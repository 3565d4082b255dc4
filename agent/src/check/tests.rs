//! Verdicts over made-up machines, and over the one that the tests run on.
#![expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes them so"
)]

use agent_common::global::PROGRAMS;
use expect_test::expect;

use super::facts::{
    CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_RESOURCE, CgroupTree, Load,
    Lockdown,
};
use super::verdict::{Check, check_host};
use super::*;
use crate::probes::{ProgramState, Survey, TcpFeature};
use crate::terminal::Style;

/// A machine on which everything is fine.
fn healthy_facts() -> HostFacts {
    HostFacts {
        release: "6.12.0-1-cloud-amd64".to_owned(),
        built: Ok(()),
        survey: Ok(Survey {
            members: 35,
            ..Survey::default()
        }),
        lockdown: Lockdown::Off,
        capabilities: 1 << CAP_BPF | 1 << CAP_PERFMON,
        memory_limit: Some(65_536),
        tree: Ok(CgroupTree {
            cgroups: 42,
            hybrid: false,
        }),
        pid_namespace: Ok(()),
        proc_hides: false,
        tracefs: None,
        jit: Some(true),
        run_stats: Some(false),
        load: attached(|_| None, |_| true),
    }
}

fn attached(refused: impl Fn(&str) -> Option<String>, sees: impl Fn(TcpFeature) -> bool) -> Load {
    let facts = TcpFeature::ALL.into_iter();
    Load::Attached {
        states: states(refused),
        tcp_features: facts.map(|fact| (fact, sees(fact))).collect(),
    }
}

fn states(refused: impl Fn(&str) -> Option<String>) -> Vec<ProgramState> {
    let state = |program: &agent_common::global::Program| ProgramState {
        program: *program,
        refused: refused(program.name),
    };
    PROGRAMS.iter().map(state).collect()
}

/// Everything that is not fine, as people see it.
fn complaints(facts: &HostFacts) -> String {
    let checks: Vec<Check> = check_host(facts)
        .into_iter()
        .filter(|check| check.verdict != Verdict::Ok)
        .collect();
    show::render_text(
        &checks,
        &Style {
            width: 100,
            ..Style::PLAIN
        },
    )
}

#[test]
fn a_machine_on_which_everything_is_fine() {
    expect![[r#"
        ok    kernel         6.12.0-1-cloud-amd64
        ok    probes         built into this binary, of the version that it expects
        ok    BTF            present, with all 35 members that the probes read
        ok    hooks          all tracepoints are there
        ok    lockdown       none
        ok    capabilities   CAP_BPF and CAP_PERFMON
        ok    loading        the kernel took all 15 probes and attached them
        ok    connections    seen as they are accepted, made and ended
        ok    resets         seen as they are sent and received
        ok    reset reasons  told by the kernel for each reset that is sent
        ok    refusals       seen: attempts refused where nobody listens any more, and
                             packets for connections in TIME_WAIT
        ok    cgroup tree    v2, 42 cgroups
        ok    pid namespace  the machine's own
        ok    /proc          shows all processes
        ok    tracefs        not mounted; not needed, the probes attach by BTF
        ok    JIT            eBPF programs are compiled
        ok    bpf_stats      off; to see what the probes cost: sysctl
                             kernel.bpf_stats_enabled=1

        The agent can run here: `gracewatch watch` shows terminations as they happen.
    "#]]
    .assert_eq(&show::render_text(
        &check_host(&healthy_facts()),
        &Style::PLAIN,
    ));
}

#[test]
fn not_root() {
    let facts = HostFacts {
        capabilities: 0,
        load: Load::NotAllowed,
        ..healthy_facts()
    };
    expect![[r#"
        FAIL  capabilities   no CAP_BPF, no CAP_PERFMON
                           → run as root, or give them: `sudo gracewatch …`, or
                             securityContext.capabilities.add in Kubernetes
        warn  loading        not tried: the capabilities for it are missing
                           → run the check as root to see whether the kernel takes the probes
    "#]]
    .assert_eq(&complaints(&facts));
}

#[test]
fn one_capability_is_not_enough_and_sys_admin_is() {
    let facts = HostFacts {
        capabilities: 1 << CAP_BPF,
        load: Load::NotAllowed,
        ..healthy_facts()
    };
    assert!(complaints(&facts).contains("no CAP_PERFMON"));
    let facts = HostFacts {
        capabilities: 1 << CAP_SYS_ADMIN,
        ..healthy_facts()
    };
    assert!(!complaints(&facts).contains("FAIL"));
}

#[test]
fn no_btf() {
    let survey = Err("cannot read /sys/kernel/btf/vmlinux: no such file".to_owned());
    let load = Load::Refused("cannot read /sys/kernel/btf/vmlinux: no such file".to_owned());
    expect![[r#"
        FAIL  BTF            cannot read /sys/kernel/btf/vmlinux: no such file
        FAIL  loading        not possible, as said above
    "#]]
    .assert_eq(&complaints(&HostFacts {
        survey,
        load,
        ..healthy_facts()
    }));
}

#[test]
fn members_and_hooks_that_a_kernel_lacks() {
    let lacking = |required: bool| {
        let missing = PROGRAMS
            .iter()
            .filter(|program| program.required == required)
            .take(1);
        HostFacts {
            survey: Ok(Survey {
                members: 35,
                members_missing: vec![
                    "struct task_struct of this kernel has no member comm".to_owned(),
                ],
                hooks_missing: missing.copied().collect(),
            }),
            ..healthy_facts()
        }
    };
    expect![[r#"
        FAIL  BTF            struct task_struct of this kernel has no member comm
        FAIL  hooks          this kernel lacks signal_generate (stop signals, SIGKILL, who sent them)
                           → use a kernel that was built with these tracepoints, as the distributions' are
    "#]].assert_eq(&complaints(&lacking(true)));
    expect![[r#"
        FAIL  BTF            struct task_struct of this kernel has no member comm
        warn  hooks          this kernel lacks inet_sock_set_state (connections, and the start of httpGet
                             hooks)
                           → nothing has to be done; this is not measured here
    "#]]
    .assert_eq(&complaints(&lacking(false)));
}

#[test]
fn lockdown() {
    let refused = Load::Refused("kernel lockdown is at `confidentiality`".to_owned());
    let facts = HostFacts {
        lockdown: Lockdown::Confidentiality,
        load: refused,
        ..healthy_facts()
    };
    expect![[r#"
        FAIL  lockdown       confidentiality, which forbids eBPF to read kernel memory
                           → boot with lockdown=integrity or none, or without Secure Boot
        FAIL  loading        kernel lockdown is at `confidentiality`
    "#]]
    .assert_eq(&complaints(&facts));
    assert!(
        !complaints(&HostFacts {
            lockdown: Lockdown::Integrity,
            ..healthy_facts()
        })
        .contains("FAIL")
    );
}

#[test]
fn pure_cgroup_v1() {
    let tree = Err(
        "this machine has cgroup v1 only: boot with systemd.unified_cgroup_hierarchy=1".to_owned(),
    );
    expect![[r#"
        FAIL  cgroup tree    this machine has cgroup v1 only: boot with systemd.unified_cgroup_hierarchy=1
    "#]].assert_eq(&complaints(&HostFacts { tree, ..healthy_facts() }));
}

#[test]
fn old_kernels() {
    let with = |release: &str, capability: u32| HostFacts {
        release: release.to_owned(),
        capabilities: healthy_facts().capabilities | 1 << capability,
        ..healthy_facts()
    };
    assert!(
        complaints(&with("5.4.0-150-generic", CAP_SYS_RESOURCE)).contains("no eBPF ring buffer")
    );
    assert!(complaints(&with("5.8.0", CAP_SYS_RESOURCE)).contains("warn  kernel"));
    assert!(complaints(&with("5.10.0-32-cloud", 0)).contains("FAIL  locked memory"));
    assert!(!complaints(&with("5.10.0-32-cloud", CAP_SYS_RESOURCE)).contains("FAIL"));
    assert!(!complaints(&with("5.11.0", 0)).contains("FAIL"));
    assert!(complaints(&with("mainline", 0)).contains("warn  kernel"));
}

#[test]
fn hidden_processes_matter_without_ptrace() {
    let facts = HostFacts {
        proc_hides: true,
        ..healthy_facts()
    };
    assert!(complaints(&facts).contains("warn  /proc"));
    let facts = HostFacts {
        capabilities: facts.capabilities | 1 << CAP_SYS_PTRACE,
        ..facts
    };
    assert!(!complaints(&facts).contains("/proc"));
}

#[test]
fn an_optional_probe_that_is_refused_is_no_failure() {
    let refused = |name: &str| (name == "mark_victim_pid").then(|| "no such hook".to_owned());
    let load = attached(refused, |_| true);
    expect![[r#"
        warn  loading        mark_victim_pid (OOM kills): no such hook
                           → the rest is measured

        The agent can run here: `gracewatch watch` shows terminations as they happen.
    "#]]
    .assert_eq(&complaints(&HostFacts {
        load,
        ..healthy_facts()
    }));
}

#[test]
fn what_an_old_kernel_tells_of_resets() {
    let load = attached(
        |_| None,
        |fact| !matches!(fact, TcpFeature::ResetReasons | TcpFeature::Refusals),
    );
    expect![[r#"
        warn  reset reasons  not told by this kernel, as by none before 6.10
                           → nothing has to be done; resets are counted without a reason
        warn  refusals       not seen: attempts refused where nobody listens any more, and packets for
                             connections in TIME_WAIT
                           → reports do not say what came after the listener was closed; kernels from 6.10
                             on tell it

        The agent can run here: `gracewatch watch` shows terminations as they happen.
    "#]].assert_eq(&complaints(&HostFacts { load, ..healthy_facts() }));
}

#[test]
fn a_probe_of_connections_that_is_refused_leaves_them_out() {
    let refused = |name: &str| (name == "tcp_receive_reset").then(|| "no such hook".to_owned());
    let load = attached(refused, |fact| fact != TcpFeature::ResetsReceived);
    expect![[r#"
        warn  loading        tcp_receive_reset (TCP resets received): no such hook
                           → the rest is measured
        warn  connections    not counted, since resets are seen only as they are sent
                           → reports say nothing of connections and resets here; see the probes refused
                             above

        The agent can run here: `gracewatch watch` shows terminations as they happen.
    "#]].assert_eq(&complaints(&HostFacts { load, ..healthy_facts() }));
}

#[test]
fn things_of_the_surroundings() {
    let facts = HostFacts {
        built: Err(
            "this binary was built without the probes: run `cargo xtask build-ebpf`".to_owned(),
        ),
        pid_namespace: Err(
            "the agent runs in a pid namespace of its own: hostPID: true".to_owned(),
        ),
        jit: Some(false),
        ..healthy_facts()
    };
    expect![[r#"
        FAIL  probes         this binary was built without the probes: run `cargo xtask build-ebpf`
        FAIL  pid namespace  the agent runs in a pid namespace of its own: hostPID: true
        warn  JIT            eBPF programs are interpreted, so that every event costs several times more
                           → sysctl net.core.bpf_jit_enable=1
    "#]].assert_eq(&complaints(&facts));
}

#[test]
fn json_says_the_same() {
    let checks = check_host(&HostFacts {
        capabilities: 0,
        ..healthy_facts()
    });
    let value: serde_json::Value =
        serde_json::from_str(&show::render_json(&checks, false).unwrap()).unwrap();
    assert_eq!(value["can_run"], false);
    let failed = value["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["verdict"] == "fail");
    assert_eq!(failed.unwrap()["name"], "capabilities");
}

#[test]
fn this_machine_can_be_looked_at_by_everybody() {
    let facts = HostFacts::gather(None, false);
    assert!(!facts.release.is_empty());
    assert!(matches!(facts.load, Load::NotWanted));
    assert_eq!(
        check_host(&facts).first().map(|check| check.name),
        Some("kernel")
    );
}
