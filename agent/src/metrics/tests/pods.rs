//! Containers of pods: their labels, restarts, pods that come again, pods that nobody knows, init containers, the bound.

use agent_core::pod::{Role, Workload};
use agent_core::report::{HookFailure, HookKind, HookMethod, Outcome, PodRef, Start, Trigger};

use super::*;

pub(super) const UID: &str = "0a1b2c3d-0000-4000-8000-000000000001";
const ID: &str = "3f9c2a1b7d04e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e";
pub(super) const SUBJECT: &str = r#"namespace="shop",pod="web-7d4b9c6f5-x2x9k",container="app",role="main",container_id="3f9c2a1b7d04""#;
pub(super) const WORKLOAD: &str =
    r#"namespace="shop",workload_kind="Deployment",workload="web",container="app",role="main""#;

/// A container of a Deployment's pod that was killed, as [`killed`] was.
pub(super) fn pod_report(id: u64) -> Report {
    let mut report = killed(id, "web.service");
    report.subject.kind = agent_core::report::SubjectKind::Containerd;
    report.subject.name = ID.chars().take(12).collect();
    report.subject.container_id = Some(ID.to_owned());
    report.subject.pod_uid = Some(UID.to_owned());
    report.trigger = Trigger::Deleted;
    report.start_source = Start::Deletion;
    report.pod = Some(PodRef {
        namespace: "shop".to_owned(),
        name: "web-7d4b9c6f5-x2x9k".to_owned(),
        uid: UID.to_owned(),
        workload: workload("Deployment", "web"),
        container: Some("app".to_owned()),
        role: Some(Role::Main),
    });
    report
}

fn workload(kind: &str, name: &str) -> Workload {
    Workload {
        kind: kind.to_owned(),
        name: name.to_owned(),
    }
}

/// The same with another container id.
fn with_id(mut report: Report, id: &str) -> Report {
    report.subject.container_id = Some(id.to_owned());
    report
}

pub(super) fn assert_lines(page: &str, lines: &[String]) {
    for line in lines {
        assert!(
            page.lines().any(|found| found == line),
            "no {line} in\n{page}"
        );
    }
}

#[test]
fn a_container_is_told_by_its_pod_and_its_workload() {
    let metrics = Metrics::new(Retention::default());
    let mut report = pod_report(1);
    if let (Some(hook), Some(grace)) = (&mut report.hook, &mut report.grace) {
        hook.kind = HookKind::HttpGet;
        hook.method = HookMethod::Inferred;
        hook.failure = Some(HookFailure::Reported);
        grace.floor_used = true;
    }
    finish(&metrics, report, at_second(131));
    let page = render_page(&metrics, Format::Text);
    let hook = "handler=\"http_get\"";
    let ended = "outcome=\"grace_exceeded\",trigger=\"deleted\"";
    assert_lines(
        &page,
        &[
            format!(
                "pod_termination_prestop_duration_seconds{{{SUBJECT},{hook},method=\"inferred\"}} 4.5"
            ),
            format!("pod_termination_prestop_failed{{{SUBJECT},{hook}}} 1"),
            format!("pod_termination_sigkill_used{{{SUBJECT}}} 1"),
            format!("pod_termination_outcome{{{SUBJECT},{ended}}} 1"),
            format!("workload_termination_outcomes_total{{{WORKLOAD},{ended}}} 1"),
            format!(
                "workload_termination_prestop_failures_total{{{WORKLOAD},{hook},failure=\"reported\"}} 1"
            ),
            format!(
                "workload_termination_prestop_duration_seconds_count{{{WORKLOAD},{hook},method=\"inferred\"}} 1"
            ),
            format!("workload_termination_grace_floor_used_total{{{WORKLOAD}}} 1"),
            format!("workload_termination_grace_after_prestop_seconds_sum{{{WORKLOAD}}} 31"),
            "gracewatch_unattributed_total{reason=\"pod_unknown\"} 0".to_owned(),
        ],
    );
    assert!(!page.contains("=\"\""), "an empty label in\n{page}");
    assert!(!page.contains("cgroup="), "{page}");
}

#[test]
fn restarts_and_pods_that_come_again_stay_apart() {
    let metrics = Metrics::new(Retention::default());
    finish(&metrics, pod_report(1), at_second(131));
    finish(
        &metrics,
        with_id(pod_report(2), "aaaaaaaaaaaa11"),
        at_second(200),
    );
    let mut reborn = with_id(pod_report(3), "bbbbbbbbbbbb22");
    if let Some(pod) = &mut reborn.pod {
        pod.uid = "0a1b2c3d-0000-4000-8000-000000000002".to_owned();
    }
    finish(&metrics, reborn, at_second(300));
    let text = render_page(&metrics, Format::Text);
    assert_eq!(text.matches("pod_termination_sigkill_used{").count(), 3);
    assert!(text.contains("container_id=\"aaaaaaaaaaaa\""), "{text}");
    let counted = format!(
        "workload_termination_outcomes_total{{{WORKLOAD},outcome=\"grace_exceeded\",trigger=\"deleted\"}} 3"
    );
    assert_lines(&text, std::slice::from_ref(&counted));
    metrics.refresh(at_second(300 + 15 * 60));
    let text = render_page(&metrics, Format::Text);
    assert!(
        !text
            .lines()
            .any(|line| line.starts_with("pod_termination_")),
        "{text}"
    );
    assert_lines(&text, &[counted]);
}

#[test]
fn what_is_not_known_of_a_pod_is_not_made_up() {
    let metrics = Metrics::new(Retention::default());
    let mut nobodys = pod_report(1);
    nobodys.pod = None;
    finish(&metrics, nobodys, at_second(131));
    let mut nameless = with_id(pod_report(2), "aaaaaaaaaaaa11");
    if let Some(pod) = &mut nameless.pod {
        (pod.container, pod.role) = (None, None);
    }
    finish(&metrics, nameless, at_second(131));
    let page = render_page(&metrics, Format::Text);
    assert_lines(
        &page,
        &[
            format!(
                "pod_termination_sigkill_used{{pod_uid=\"{UID}\",container_id=\"3f9c2a1b7d04\"}} 1"
            ),
            "workload_termination_signal_to_exit_seconds_count{workload_kind=\"unknown\",workload=\"unknown\"} 1"
                .to_owned(),
            "pod_termination_sigkill_used{namespace=\"shop\",pod=\"web-7d4b9c6f5-x2x9k\",container=\"unknown\",container_id=\"aaaaaaaaaaaa\"} 1"
                .to_owned(),
            "gracewatch_unattributed_total{reason=\"pod_unknown\"} 1".to_owned(),
            "gracewatch_unattributed_total{reason=\"container_unknown\"} 1".to_owned(),
        ],
    );
}

#[test]
fn an_init_container_that_completed_is_only_counted() {
    let metrics = Metrics::new(Retention::default());
    let mut report = pod_report(1);
    (report.hook, report.stop_signal, report.kill, report.grace) = (None, None, None, None);
    report.outcome = Outcome::Completed;
    report.trigger = Trigger::Completed;
    report.start_source = Start::Exit;
    report.findings.clear();
    if let Some(pod) = &mut report.pod {
        pod.container = Some("migrate".to_owned());
        pod.role = Some(Role::Init);
    }
    finish(&metrics, report, at_second(131));
    let page = render_page(&metrics, Format::Text);
    let samples: Vec<&str> = page
        .lines()
        .filter(|line| {
            !line.starts_with('#') && line.contains("termination_") && line.contains('{')
        })
        .filter(|line| !line.starts_with("gracewatch_"))
        .collect();
    assert_eq!(
        samples,
        [
            "workload_termination_outcomes_total{namespace=\"shop\",workload_kind=\"Deployment\",workload=\"web\",\
             container=\"migrate\",role=\"init\",outcome=\"completed\",trigger=\"completed\"} 1"
        ]
    );
}

#[test]
fn jobs_leave_room_for_what_lives_longer() {
    let retention = Retention {
        workloads_max: 4,
        ..Retention::default()
    };
    let metrics = Metrics::new(retention);
    let owned = |id: u64, kind: &str, name: &str| {
        let mut report = with_id(pod_report(id), &format!("{id:012}"));
        if let Some(pod) = &mut report.pod {
            pod.workload = workload(kind, name);
        }
        report
    };
    for id in 0..5 {
        finish(
            &metrics,
            owned(id, "Job", &format!("job-{id}")),
            at_second(131),
        );
    }
    finish(&metrics, owned(8, "Deployment", "web"), at_second(131));
    finish(&metrics, owned(9, "Rollout", "shop"), at_second(131));
    let page = render_page(&metrics, Format::Text);
    let count = |kind: &str, workload: &str, namespace: &str, container: &str, times: u32| {
        format!(
            "workload_termination_outcomes_total{{{namespace}workload_kind=\"{kind}\",workload=\"{workload}\",{container}\
             outcome=\"grace_exceeded\",trigger=\"deleted\"}} {times}"
        )
    };
    let (namespace, container) = ("namespace=\"shop\",", "container=\"app\",role=\"main\",");
    assert_lines(
        &page,
        &[
            count("Job", "job-1", namespace, container, 1),
            count("other", "other", "", "", 3),
            count("Deployment", "web", namespace, container, 1),
            count("Rollout", "shop", namespace, container, 1),
        ],
    );
}
