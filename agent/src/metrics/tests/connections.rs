//! Connections and endpoints: what was measured is told by both families, what was not is absent, and what belongs to a
//! pod names no container.

use agent_core::connection::{
    Advice, Connections, Direction, Mode, Phase, ResetClass, ResetCount, Scope, Side,
};
use agent_core::pod::Role;
use agent_core::report::{Endpoint, Outcome, Start, Trigger};

use super::pods::{SUBJECT, WORKLOAD, assert_lines, pod_report};
use super::*;

/// The pod of [`pod_report`], and its workload, without a container.
const OF_POD: &str = r#"namespace="shop",pod="web-7d4b9c6f5-x2x9k",container_id="3f9c2a1b7d04""#;
const OF_WORKLOAD: &str = r#"namespace="shop",workload_kind="Deployment",workload="web""#;

fn reset_count(phase: Phase, direction: Direction, scope: Scope, count: u64) -> ResetCount {
    let (mode, reason) = match direction {
        Direction::Sent => (Mode::Active, Some("tcp_abort_on_close".to_owned())),
        Direction::Received => (Mode::Unknown, None),
    };
    let class = ResetClass {
        phase,
        direction,
        mode,
        scope,
        side: Side::Unknown,
        idle_closed: false,
        reason,
    };
    ResetCount { class, count }
}

fn resets() -> Vec<ResetCount> {
    vec![
        reset_count(Phase::Running, Direction::Sent, Scope::Container, 7),
        reset_count(Phase::Stopping, Direction::Sent, Scope::Container, 2),
        // Among them the answers to the attempts that were refused, of probes and of others.
        reset_count(Phase::Closing, Direction::Sent, Scope::Container, 9),
        reset_count(Phase::Closing, Direction::Sent, Scope::Pod, 11),
        reset_count(Phase::Hook, Direction::Received, Scope::Container, 1),
    ]
}

/// As of [`killed`], whose T0 is at 95 s: the last connection came at 107.5 s, the pod was not ready from 96.25 s on.
pub(super) fn put_into(report: &mut Report) {
    report.connections = Some(Connections {
        at_stop_signal: 40,
        at_exit: 6,
        finished: 33,
        accepted_in_hook: 90,
        accepted_after: 4,
        last_arrival_at: Some(Timestamp(107 * SECOND + SECOND / 2)),
        last_listener_closed_at: Some(at_second(130)),
        refused: 5,
        refused_in_pod: 8,
        accepted_from_node: 2,
        refused_from_node: 1,
        resets: resets(),
        ..Connections::default()
    });
    report.endpoint = Some(Endpoint {
        unready_at: Some(Timestamp(96 * SECOND + SECOND / 4)),
        terminating_at: Some(at_second(97)),
    });
    report.advice = Some(Advice {
        terminations: 24,
        pre_stop_sleep: Duration::from_secs(13),
        grace: Some(Duration::from_secs(45)),
    });
}

pub(super) fn resets_of(report: &Report) -> Output {
    Output::Resets {
        subject: report.subject.clone(),
        pod: report.pod.clone(),
        resets: vec![reset_count(
            Phase::Running,
            Direction::Sent,
            Scope::Container,
            1,
        )],
    }
}

fn measured() -> Report {
    let mut report = pod_report(1);
    put_into(&mut report);
    report
}

fn has_connections(page: &str) -> bool {
    let mut samples = page.lines().filter(|line| !line.starts_with('#'));
    samples.any(|line| {
        ["connections", "last_arrival", "endpoint_lag", "advi"]
            .iter()
            .any(|word| line.contains(word))
    })
}

#[test]
fn a_termination_tells_its_connections() {
    let metrics = Metrics::new(Retention::default());
    finish(&metrics, measured(), at_second(131));
    let pod = |name: &str, labels: &str, value: &str| {
        format!("pod_termination_{name}{{{SUBJECT}{labels}}} {value}")
    };
    let text = render_page(&metrics, Format::Text);
    assert_lines(
        &text,
        &[
            pod("connections_reset", ",direction=\"sent\"", "5"),
            pod("connections_reset", ",direction=\"received\"", "1"),
            pod("connections_at_stop_signal", "", "40"),
            pod("connections_at_exit", "", "6"),
            pod("connections_finished", "", "33"),
            pod("connections_accepted_after_stop_signal", "", "4"),
            pod("connections_refused", ",scope=\"container\"", "5"),
            format!("pod_termination_connections_refused{{{OF_POD},scope=\"pod\"}} 8"),
            pod("connections_from_node", "", "3"),
            pod("last_arrival_seconds", "", "12.5"),
            pod("endpoint_lag_seconds", "", "1.25"),
        ],
    );
    metrics.refresh(at_second(131 + 15 * 60));
    let text = render_page(&metrics, Format::Text);
    assert!(!text.lines().any(|line| line.starts_with("pod_")), "{text}");
}

#[test]
fn a_workload_adds_them_up() {
    let metrics = Metrics::new(Retention::default());
    finish(&metrics, measured(), at_second(131));
    let mut drained = measured();
    if let Some(connections) = &mut drained.connections {
        (connections.at_exit, connections.at_stop_signal) = (0, 2);
        connections.last_arrival_at = None;
    }
    finish(&metrics, drained, at_second(200));
    let workload = |name: &str, labels: &str, value: &str| {
        format!("workload_termination_{name}{{{WORKLOAD}{labels}}} {value}")
    };
    assert_lines(
        &render_page(&metrics, Format::Text),
        &[
            workload("connections_at_stop_signal_bucket", ",le=\"2\"", "1"),
            workload("connections_at_stop_signal_sum", "", "42"),
            workload("connections_at_exit_total", "", "6"),
            workload("connections_finished_total", "", "66"),
            workload("connections_accepted_after_stop_signal_total", "", "8"),
            workload("connections_refused_total", ",scope=\"container\"", "10"),
            format!(
                "workload_termination_connections_refused_total{{{OF_WORKLOAD},scope=\"pod\"}} 16"
            ),
            workload("last_arrival_seconds_count", "", "1"),
            workload("last_arrival_seconds_sum", "", "12.5"),
            workload("endpoint_lag_seconds_bucket", ",le=\"2\"", "2"),
            workload("recommended_prestop_sleep_seconds", "", "13"),
            workload("recommended_grace_seconds", "", "45"),
            workload("recommendation_terminations", "", "24"),
        ],
    );
}

#[test]
fn what_was_not_measured_is_absent() {
    let metrics = Metrics::new(Retention::default());
    finish(&metrics, pod_report(1), at_second(131));
    let page = render_page(&metrics, Format::Text);
    assert!(!has_connections(&page), "{page}");
}

#[test]
fn what_nobody_stopped_had_no_connections_at_a_signal() {
    let metrics = Metrics::new(Retention::default());
    let mut crashed = measured();
    (crashed.hook, crashed.stop_signal, crashed.kill) = (None, None, None);
    (crashed.outcome, crashed.trigger) = (Outcome::Crashed, Trigger::Crashed);
    (crashed.started_at, crashed.start_source) = (at_second(130), Start::Exit);
    finish(&metrics, crashed, at_second(131));
    let page = render_page(&metrics, Format::Text);
    assert_lines(
        &page,
        &[
            format!("pod_termination_connections_at_exit{{{SUBJECT}}} 6"),
            format!("pod_termination_connections_reset{{{SUBJECT},direction=\"sent\"}} 5"),
        ],
    );
    for absent in ["stop_signal{", "finished{", "last_arrival", "endpoint_lag"] {
        assert!(!page.contains(absent), "{absent} in\n{page}");
    }
}

#[test]
fn a_completed_init_container_has_no_connections() {
    let metrics = Metrics::new(Retention::default());
    let mut report = measured();
    report.outcome = Outcome::Completed;
    if let Some(pod) = &mut report.pod {
        pod.role = Some(Role::Init);
    }
    finish(&metrics, report, at_second(131));
    let page = render_page(&metrics, Format::Text);
    assert!(!has_connections(&page), "{page}");
}

#[test]
fn resets_are_counted_by_phase_direction_mode_and_reason() {
    let metrics = Metrics::new(Retention::default());
    let mut output = resets_of(&pod_report(1));
    if let Output::Resets { resets: some, .. } = &mut output {
        *some = resets();
        let mut untold = reset_count(Phase::Closing, Direction::Sent, Scope::Pod, 1);
        (untold.class.mode, untold.class.reason) = (Mode::Unknown, None);
        some.push(untold);
    }
    metrics.record(&output, at_second(1));
    metrics.record(&output, at_second(2));
    let sent = "direction=\"sent\",mode=\"active\",reason=\"tcp_abort_on_close\"";
    let line = |who: &str, labels: String, count: u32| {
        format!("workload_connections_reset_total{{{who},{labels}}} {count}")
    };
    assert_lines(
        &render_page(&metrics, Format::Text),
        &[
            line(
                WORKLOAD,
                format!("phase=\"running\",{sent},scope=\"container\""),
                14,
            ),
            line(
                WORKLOAD,
                format!("phase=\"closing\",{sent},scope=\"container\""),
                18,
            ),
            line(
                OF_WORKLOAD,
                format!("phase=\"closing\",{sent},scope=\"pod\""),
                22,
            ),
            line(
                OF_WORKLOAD,
                "phase=\"closing\",direction=\"sent\",mode=\"unknown\",reason=\"unknown\",scope=\"pod\""
                    .to_owned(),
                2,
            ),
            line(
                WORKLOAD,
                "phase=\"hook\",direction=\"received\",scope=\"container\"".to_owned(),
                2,
            ),
        ],
    );
}

#[test]
fn resets_and_terminations_are_of_the_same_workload() {
    let metrics = Metrics::new(Retention {
        workloads_max: 1,
        ..Retention::default()
    });
    let mut report = killed(1, "3f9c2a1b7d04");
    report.subject.kind = agent_core::report::SubjectKind::Docker;
    finish(&metrics, report.clone(), at_second(131));
    metrics.record(&resets_of(&report), at_second(140));
    metrics.record(&resets_of(&pod_report(2)), at_second(140));
    let page = render_page(&metrics, Format::Text);
    let counted = |kind: &str, workload: &str| {
        page.lines().any(|line| {
            line.starts_with("workload_connections_reset_total")
                && line.contains(&format!(
                    "{{workload_kind=\"{kind}\",workload=\"{workload}\",phase="
                ))
        })
    };
    assert!(counted("docker", "3f9c2a1b7d04"), "{page}");
    assert!(counted("other", "other"), "{page}");
    assert!(page.contains("gracewatch_series_evicted_total{family=\"workload_connections\"} 1"));
}

#[test]
fn advice_is_that_of_one_workload_and_goes_when_it_does_not_hold() {
    let metrics = Metrics::new(Retention {
        workloads_max: 1,
        ..Retention::default()
    });
    finish(&metrics, measured(), at_second(131));
    let mut unknown = measured();
    if let Some(advice) = &mut unknown.advice {
        (advice.terminations, advice.grace) = (25, None);
    }
    finish(&metrics, unknown, at_second(140));
    let mut other = measured();
    if let (Some(pod), Some(advice)) = (&mut other.pod, &mut other.advice) {
        pod.workload.name = "db".to_owned();
        advice.terminations = 99;
    }
    finish(&metrics, other, at_second(141));
    let page = render_page(&metrics, Format::Text);
    assert!(!page.contains("workload_termination_recommended_grace_seconds{"));
    let advice: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("workload_termination_recommend"))
        .collect();
    assert_eq!(advice.len(), 2, "{page}");
    assert_lines(
        &page,
        &[format!(
            "workload_termination_recommendation_terminations{{{WORKLOAD}}} 25"
        )],
    );
}
