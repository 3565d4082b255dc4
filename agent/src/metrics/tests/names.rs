//! Names that a program chose, and what becomes of them.

use agent_core::report::{MainProcess, SubjectKind};

use super::{Format, Metrics, Report, Retention, at_second, finish, killed, render_page};

const ID: &str = "3f9c2a1b7d043f9c2a1b7d043f9c2a1b7d043f9c2a1b7d043f9c2a1b7d043f9c";

fn of_container(comm: &str) -> Report {
    let mut report = killed(1, "3f9c2a1b7d04");
    report.subject.kind = SubjectKind::Docker;
    report.subject.path = format!("/system.slice/docker-{ID}.scope");
    report.subject.container_id = Some(ID.to_owned());
    report.main = Some(main_process(comm));
    report
}

fn main_process(comm: &str) -> MainProcess {
    serde_json::from_value(serde_json::json!({
        "tgid": 7, "ns_tgid": 1, "ns_level": 1, "comm": comm, "argv": [comm], "start": 1
    }))
    .unwrap()
}

fn all_formats(metrics: &Metrics) -> String {
    [Format::Text, Format::OpenMetrics]
        .map(|format| render_page(metrics, format))
        .concat()
}

#[test]
fn a_program_cannot_count_for_another_by_its_name() {
    let metrics = Metrics::new(Retention::default());
    finish(&metrics, of_container("nginx"), at_second(131));
    finish(&metrics, of_container("postgres"), at_second(132));
    let page = all_formats(&metrics);
    assert!(!page.contains("nginx") && !page.contains("postgres"));
    let two = r#"workload_termination_outcomes_total{workload_kind="docker",workload="3f9c2a1b7d04",outcome="grace_exceeded",trigger="stopped"} 2"#;
    assert!(page.contains(two), "{page}");
}

#[test]
fn a_scope_is_named_as_systemd_names_it() {
    let metrics = Metrics::new(Retention::default());
    let mut report = killed(1, "session-3.scope");
    report.subject.kind = SubjectKind::SystemdScope;
    report.main = Some(main_process("nginx"));
    finish(&metrics, report, at_second(131));
    let page = all_formats(&metrics);
    assert!(page.contains(r#"workload_kind="systemd_scope",workload="session-3.scope""#));
    assert!(!page.contains("nginx"));
}

/// A cgroup may have any name but for `/` and newlines in none; a label must hold what a parser of lines can read.
#[test]
fn no_control_character_gets_into_a_label() {
    let hostile = "a\u{1b}[2Jb\tc\rd\u{7f}e\u{85}f\"g\\h\ni";
    let metrics = Metrics::new(Retention::default());
    let mut report = killed(1, hostile);
    report.subject.kind = SubjectKind::Cgroup;
    report.subject.path = format!("/demo/{hostile}");
    finish(&metrics, report.clone(), at_second(131));
    report.id = 2;
    metrics.record(
        &agent_core::output::Output::Progress(Box::new(report)),
        at_second(132),
    );
    let page = all_formats(&metrics);
    let is_bad = |character: char| character.is_control() && character != '\n';
    assert!(!page.contains(is_bad), "{page:?}");
    let shown = r#"container="a\\u{1b}[2Jb\\tc\\rd\\u{7f}e\\u{85}f\"g\\h\\ni""#;
    assert!(page.contains(shown), "{page}");
    assert!(page.lines().all(|line| {
        line.starts_with('#') || line.rsplit(' ').next().is_some_and(|last| !last.is_empty())
    }));
}
