//! The metrics of made-up reports: values, lifetimes, bounds, formats, and the reference page.

mod connections;
mod exemplars;
mod names;
mod pods;
mod shares;

use std::time::Duration;

use agent_core::output::DropReason;
use agent_core::report::Report;

use super::definition::{ALL, Caveat, Kind};
use super::exposition::Format;
use super::*;

const SECOND: u64 = 1_000_000_000;

fn at_second(seconds: u64) -> Timestamp {
    Timestamp(seconds * SECOND)
}

/// A service that got SIGTERM at 100 s, was killed at 130 s and had a hook from 95 s to 99.5 s.
fn killed(id: u64, name: &str) -> Report {
    let sender = serde_json::json!({"tgid": 1, "comm": "systemd", "parent_comm": "", "outside": true, "kernel": false});
    let report = serde_json::json!({
        "id": id,
        "subject": {"cgroup": id, "path": format!("/system.slice/{name}"), "kind": "systemd_service", "name": name},
        "main": null,
        "outcome": "grace_exceeded",
        "trigger": "stopped",
        "started_at": 95 * SECOND,
        "start_source": "hook",
        "hook": {
            "kind": "exec", "method": "observed", "failure": null,
            "tgid": 8, "argv": ["sh"], "started_at": 95 * SECOND, "ended_at": 99 * SECOND + SECOND / 2,
            "status": {"code": 0}, "running_at_stop_signal": false, "ended_by_container": false
        },
        "stop_signal": {"at": 100 * SECOND, "signal": 15, "sender": sender, "result": "delivered", "handler": "custom", "blocked": false},
        "stop_signals_repeated": 0,
        "kill": {"at": 130 * SECOND, "sender": sender, "cause": "grace_expired"},
        "kills_repeated": 3,
        "exit": {"at": 130 * SECOND, "status": {"signal": {"signal": 9, "core_dumped": false}}},
        "released_at": 131 * SECOND,
        "grace": {
            "configured": {"secs": 35, "nanos": 0}, "after_hook": {"secs": 31, "nanos": 0}, "floor_used": false
        },
        "signals_inside": 0,
        "signals_outside": 0,
        "findings": [{"kind": "too_slow", "evidence": "e", "advice": "a"}],
        "doubts": []
    });
    serde_json::from_value(report).unwrap()
}

fn render_page(metrics: &Metrics, format: Format) -> String {
    String::from_utf8(metrics.encode(format).unwrap()).unwrap()
}

fn finish(metrics: &Metrics, report: Report, now: Timestamp) {
    metrics.record(&Output::Finished(Box::new(report)), now);
}

#[test]
fn a_finished_termination_is_told_in_both_families() {
    let metrics = Metrics::new(Retention::default());
    finish(&metrics, killed(1, "web.service"), at_second(131));
    let page = render_page(&metrics, Format::Text);
    let subject =
        r#"kind="systemd_service",container="web.service",cgroup="/system.slice/web.service""#;
    let workload = r#"workload_kind="systemd_service",workload="web.service""#;
    for line in [
        format!(
            "pod_termination_prestop_duration_seconds{{{subject},handler=\"exec\",method=\"observed\"}} 4.5"
        ),
        format!("pod_termination_prestop_failed{{{subject},handler=\"exec\"}} 0"),
        format!("pod_termination_grace_after_prestop_seconds{{{subject}}} 31"),
        format!("pod_termination_signal_to_exit_seconds{{{subject}}} 30"),
        format!("pod_termination_duration_seconds{{{subject}}} 35"),
        format!("pod_termination_sigkill_used{{{subject}}} 1"),
        format!("pod_termination_grace_used_ratio{{{subject}}} 1"),
        format!("pod_termination_incomplete{{{subject}}} 0"),
        format!(
            "pod_termination_outcome{{{subject},outcome=\"grace_exceeded\",trigger=\"stopped\"}} 1"
        ),
        format!(
            "workload_termination_outcomes_total{{{workload},outcome=\"grace_exceeded\",trigger=\"stopped\"}} 1"
        ),
        format!("workload_termination_findings_total{{{workload},finding=\"too_slow\"}} 1"),
        format!("workload_termination_sigkills_total{{{workload},cause=\"grace_expired\"}} 1"),
        format!("workload_termination_signal_to_exit_seconds_bucket{{{workload},le=\"25\"}} 0"),
        format!("workload_termination_signal_to_exit_seconds_bucket{{{workload},le=\"30\"}} 1"),
        format!("workload_termination_signal_to_exit_seconds_bucket{{{workload},le=\"+Inf\"}} 1"),
        format!("workload_termination_signal_to_exit_seconds_sum{{{workload}}} 30"),
        format!("workload_termination_signal_to_exit_seconds_count{{{workload}}} 1"),
    ] {
        assert!(
            page.lines().any(|found| found == line),
            "no {line} in\n{page}"
        );
    }
}

#[test]
fn an_incomplete_report_is_counted_and_not_measured() {
    let metrics = Metrics::new(Retention::default());
    let mut report = killed(1, "web.service");
    report.doubts = vec![agent_core::report::Doubt::RecordsLost];
    finish(&metrics, report, at_second(131));
    let page = render_page(&metrics, Format::Text);
    assert!(page.contains("doubt=\"records_lost\"} 1"));
    assert!(page.contains("outcome=\"grace_exceeded\",trigger=\"stopped\"} 1"));
    assert!(!page.contains("workload_termination_signal_to_exit_seconds_count"));
}

#[test]
fn what_nobody_stopped_has_no_duration() {
    let metrics = Metrics::new(Retention::default());
    let mut crashed = killed(1, "web.service");
    (crashed.hook, crashed.stop_signal, crashed.kill) = (None, None, None);
    crashed.outcome = agent_core::report::Outcome::Crashed;
    crashed.started_at = at_second(130);
    crashed.start_source = agent_core::report::Start::Exit;
    finish(&metrics, crashed, at_second(131));
    let page = render_page(&metrics, Format::Text);
    assert!(page.contains("outcome=\"crashed\",trigger=\"stopped\"} 1"));
    assert!(
        !page.contains("termination_duration_seconds") && !page.contains("grace_used"),
        "{page}"
    );
}

#[test]
fn a_series_goes_when_its_time_is_over() {
    let metrics = Metrics::new(Retention::default());
    finish(&metrics, killed(1, "web.service"), at_second(131));
    finish(&metrics, killed(2, "db.service"), at_second(500));
    metrics.refresh(at_second(131 + 15 * 60 - 1));
    assert!(render_page(&metrics, Format::Text).contains("container=\"web.service\""));
    metrics.refresh(at_second(131 + 15 * 60));
    let page = render_page(&metrics, Format::Text);
    assert!(!page.contains("container=\"web.service\""), "{page}");
    assert!(page.contains("container=\"db.service\""));
    assert!(page.contains("workload=\"web.service\""));
}

#[test]
fn a_subject_that_comes_again_replaces_its_last_termination() {
    let metrics = Metrics::new(Retention::default());
    finish(&metrics, killed(1, "web.service"), at_second(131));
    let mut again = killed(2, "web.service");
    again.hook = None;
    again.outcome = agent_core::report::Outcome::Graceful;
    finish(&metrics, again, at_second(900));
    let text = render_page(&metrics, Format::Text);
    assert!(
        !text.contains("pod_termination_prestop_duration_seconds{")
            && !text.contains("pod_termination_prestop_failed{"),
        "{text}"
    );
    assert_eq!(text.matches("pod_termination_outcome{").count(), 1);
    metrics.refresh(at_second(131 + 15 * 60));
    assert!(render_page(&metrics, Format::Text).contains("pod_termination_outcome{"));
}

#[test]
fn the_number_of_series_is_bounded() {
    let retention = Retention {
        subjects_max: 3,
        workloads_max: 2,
        ..Retention::default()
    };
    let metrics = Metrics::new(retention);
    for id in 0..10 {
        finish(
            &metrics,
            killed(id, &format!("s{id}.service")),
            at_second(200 + id),
        );
    }
    let page = render_page(&metrics, Format::Text);
    assert_eq!(page.matches("pod_termination_sigkill_used{").count(), 3);
    assert!(
        page.contains("container=\"s9.service\"") && !page.contains("container=\"s6.service\"")
    );
    assert!(page.contains("workload=\"other\",outcome=\"grace_exceeded\",trigger=\"stopped\"} 8"));
    assert!(page.contains("gracewatch_series_evicted_total{family=\"pod_termination\"} 7"));
    assert!(page.contains("gracewatch_series_evicted_total{family=\"workload_termination\"} 8"));
}

#[test]
fn an_open_termination_is_shown_by_name_until_it_is_finished() {
    let metrics = Metrics::new(Retention::default());
    let mut report = Box::new(killed(7, "web.service"));
    report.exit = None;
    report.released_at = None;
    report.kill = None;
    let subject =
        "kind=\"systemd_service\",container=\"web.service\",cgroup=\"/system.slice/web.service\"";
    let series = |phase: &str, seconds: &str| {
        format!("pod_termination_open_duration_seconds{{{subject},phase=\"{phase}\"}} {seconds}\n")
    };
    let stop_signal = report.stop_signal.take();
    metrics.record(&Output::Progress(report.clone()), at_second(96));
    assert!(render_page(&metrics, Format::Text).contains(&series("hook", "1")));
    metrics.refresh(at_second(98));
    assert!(render_page(&metrics, Format::Text).contains(&series("hook", "3")));
    report.stop_signal = stop_signal;
    metrics.record(&Output::Progress(report.clone()), at_second(100));
    let stopping = render_page(&metrics, Format::Text);
    assert!(stopping.contains(&series("stopping", "5")));
    assert!(!stopping.contains("phase=\"hook\"} 3"));
    let finding = format!("pod_termination_open_finding{{{subject},finding=\"too_slow\"}} 1\n");
    assert!(stopping.contains(&finding));
    metrics.record(&Output::Finished(report), at_second(131));
    assert!(
        !render_page(&metrics, Format::Text).contains("pod_termination_open_duration_seconds{")
    );
    assert!(!render_page(&metrics, Format::Text).contains("pod_termination_open_finding{"));
}

#[test]
fn open_terminations_beyond_the_bound_are_counted_alone() {
    let retention = Retention {
        subjects_max: 2,
        ..Retention::default()
    };
    let metrics = Metrics::new(retention);
    for id in 1..=5 {
        let report = Box::new(killed(id, &format!("s{id}.service")));
        metrics.record(&Output::Progress(report), at_second(100));
    }
    let full = render_page(&metrics, Format::Text);
    assert_eq!(
        full.matches("pod_termination_open_duration_seconds{")
            .count(),
        2
    );
    assert!(full.contains("gracewatch_terminations_open 5\n"));
    assert!(full.contains("gracewatch_series_evicted_total{family=\"pod_termination_open\"} 3\n"));
    metrics.record(
        &Output::Withdrawn {
            id: 1,
            container: agent_core::event::CgroupId(1),
        },
        at_second(101),
    );
    let next = Box::new(killed(5, "s5.service"));
    metrics.record(&Output::Progress(next), at_second(102));
    let page = render_page(&metrics, Format::Text);
    assert!(
        page.contains("container=\"s5.service\"") && !page.contains("container=\"s1.service\"")
    );
}

#[test]
fn open_terminations_are_counted_once() {
    let metrics = Metrics::new(Retention::default());
    let report = Box::new(killed(7, "web.service"));
    metrics.record(&Output::Progress(report.clone()), at_second(1));
    metrics.record(&Output::Progress(report.clone()), at_second(2));
    assert!(render_page(&metrics, Format::Text).contains("gracewatch_terminations_open 1\n"));
    metrics.record(&Output::Finished(report), at_second(3));
    assert!(render_page(&metrics, Format::Text).contains("gracewatch_terminations_open 0\n"));
}

/// Every family with a series, so that every label is seen.
fn metrics_with_all() -> Metrics {
    let metrics = Metrics::new(Retention {
        subjects_max: 1,
        ..Retention::default()
    });
    let mut doubtful = killed(1, "web.service");
    doubtful.doubts = vec![agent_core::report::Doubt::Traced];
    if let (Some(hook), Some(grace)) = (&mut doubtful.hook, &mut doubtful.grace) {
        hook.failure = Some(agent_core::report::HookFailure::Status);
        grace.floor_used = true;
    }
    connections::put_into(&mut doubtful);
    metrics.record(&connections::resets_of(&doubtful), at_second(131));
    finish(&metrics, killed(2, "db.service"), at_second(131));
    metrics.record(
        &Output::Tracked {
            subject: doubtful.subject.clone(),
            added: true,
        },
        at_second(131),
    );
    finish(&metrics, doubtful, at_second(131));
    let reason = DropReason::ContainersFull;
    metrics.record(
        &Output::Dropped {
            reason,
            at: at_second(1),
        },
        at_second(131),
    );
    metrics.record_agent_event(&AgentEvent::Undecodable("short"));
    let open = Box::new(killed(8, "open.service"));
    metrics.record(&Output::Progress(open), at_second(131));
    metrics.record_agent_event(&AgentEvent::Watching {
        resource: "pods",
        connected: true,
    });
    metrics.record_agent_event(&AgentEvent::ApiFailed {
        resource: "pods",
        reason: "gone",
    });
    metrics.record_agent_event(&AgentEvent::PodsKnown(7));
    metrics.record_agent_event(&AgentEvent::EventWritten(
        crate::agent_event::EventFate::Sent,
    ));
    metrics.record_agent_event(&AgentEvent::UpdateFailed(crate::agent_event::Update::Track));
    metrics.record_agent_event(&AgentEvent::Started(1.7e9));
    let program = agent_common::global::PROGRAMS[0];
    metrics.record_agent_event(&AgentEvent::Attached(&[crate::probes::ProgramState {
        program,
        refused: None,
    }]));
    metrics.record_agent_event(&AgentEvent::TcpFeatures(&[(
        crate::probes::TcpFeature::ResetReasons,
        true,
    )]));
    metrics.record_agent_event(&AgentEvent::ProgramsRan(&[crate::probes::RunStats {
        name: program.name,
        run_time: Duration::from_millis(1500),
        runs: 12,
    }]));
    metrics.record_agent_event(&AgentEvent::Counted(&crate::probes::Counts {
        untold: 4,
        unattributed: 0,
        recorded: [(agent_common::record::Kind::Exit, 5)].into(),
        lost: [(agent_common::record::Kind::Exit, 2)].into(),
        map_full: vec![(agent_common::map::FullMap::Watched, 1)],
    }));
    metrics
}

#[test]
fn the_table_and_the_scrape_agree() {
    let metrics = metrics_with_all();
    let page = render_page(&metrics, Format::Text);
    for definition in ALL {
        let name = definition.full_name();
        let kind = match definition.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Info => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert!(
            page.contains(&format!("# TYPE {name} {kind}\n")),
            "no {name} {kind} in\n{page}"
        );
        let sample = page
            .lines()
            .find(|line| line.starts_with(&name))
            .unwrap_or_else(|| panic!("no sample of {name}"));
        let labels: Vec<&str> = sample
            .split_once('{')
            .and_then(|(_, rest)| rest.rsplit_once('}'))
            .map(|(labels, _)| {
                labels
                    .split(',')
                    .filter_map(|pair| Some(pair.split_once('=')?.0))
                    .collect()
            })
            .unwrap_or_default();
        let labels: Vec<&str> = labels.into_iter().filter(|label| *label != "le").collect();
        let who: &[&str] = match name.split_once('_') {
            // A number of the pod alone.
            Some(("pod", _)) if sample.contains("scope=\"pod\"") => &["kind", "cgroup"],
            Some(("pod", _)) => &["kind", "container", "cgroup"],
            Some(("workload", _)) => &["workload_kind", "workload"],
            _ => &[],
        };
        assert_eq!(labels, [who, definition.labels].concat(), "{sample}");
    }
    let types = page.matches("# TYPE ").count();
    assert_eq!(types, ALL.len(), "a metric is not in the table");
    assert!(
        page.contains("gracewatch_program_run_seconds_total{program=\"signal_generate\"} 1.5\n")
    );
    assert!(page.contains("gracewatch_records_lost_total{kind=\"exit\"} 2\n"));
    assert!(page.contains("gracewatch_tcp_feature_available{feature=\"reset_reasons\"} 1\n"));
    assert!(page.contains("gracewatch_pods_known 7\n"));
    assert!(page.contains("gracewatch_kubernetes_events_total{result=\"sent\"} 1\n"));
    assert!(page.contains("gracewatch_kubernetes_events_total{result=\"failed\"} 0\n"));
    assert!(page.contains("gracewatch_api_errors_total{resource=\"pods\",reason=\"gone\"} 1\n"));
}

#[test]
fn text_and_openmetrics_have_the_same_samples() {
    let metrics = metrics_with_all();
    let text = render_page(&metrics, Format::Text);
    let open = render_page(&metrics, Format::OpenMetrics);
    assert!(open.ends_with("# EOF\n") && !text.contains("# EOF") && !text.contains("# UNIT"));
    let (text, open) = (samples(&text), samples(&open));
    assert_eq!(text.len(), open.len());
    for (left, right) in text.iter().zip(&open) {
        assert_eq!(left, right);
    }
}

/// Every sample: name and labels, these in alphabetical order and a bucket's bound as a number; and the value.
fn samples(page: &str) -> Vec<(String, String)> {
    let number = |text: &str| text.parse::<f64>().unwrap().to_string();
    let mut samples: Vec<_> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let line = line.split_once(" # ").map_or(line, |(sample, _)| sample);
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let mut labels: Vec<String> = labels
                .trim_end_matches('}')
                .split(',')
                .map(|pair| match pair.split_once("le=\"") {
                    Some(("", bound)) => format!("le={}", number(bound.trim_end_matches('"'))),
                    _ => pair.to_owned(),
                })
                .collect();
            labels.sort();
            (format!("{name} {}", labels.join(",")), number(value))
        })
        .collect();
    samples.sort();
    samples
}

#[test]
fn the_reference_page_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == reference().unwrap(),
        "docs/metrics.md is old: run `cargo run -p gracewatch -- docs metrics > docs/metrics.md`"
    );
}

#[test]
fn every_metric_says_how_it_is_to_be_read() {
    for definition in ALL {
        let name = definition.name;
        let text = match definition.care {
            Caveat::Misleads(text) | Caveat::Holds(text) => text,
            Caveat::Like(other, more) => {
                assert!(
                    !matches!(other.care, Caveat::Like(..)),
                    "{name} refers to {}, which refers on: name the one that says it",
                    other.name
                );
                more
            }
        };
        let is_said = matches!(definition.care, Caveat::Like(..)) && text.is_empty();
        assert!(
            is_said || text.split_whitespace().count() >= 3,
            "{name}: say when it misleads, or why it never does"
        );
        assert!(!text.ends_with('.'), "{name}: the page adds the full stop");
    }
}
