//! A flood by one, and the series of others.

use agent_core::output::Output;
use agent_core::report::{Report, SubjectKind};

use super::{Format, Metrics, Retention, at_second, finish, killed, render_page};

/// A container that a container of a pod made in itself.
fn inner_report(number: u64) -> Report {
    let mut report = killed(10_000 + number, &format!("{number:012x}"));
    report.subject.kind = SubjectKind::Containerd;
    let outer = "ab".repeat(32);
    report.subject.path = format!("/kubepods/pod1/{outer}/docker/{number:064x}");
    report.subject.container_id = Some(format!("{number:064x}"));
    report
}

fn has_series(page: &str, family: &str, name: &str) -> bool {
    page.lines()
        .any(|line| line.starts_with(family) && line.contains(&format!("=\"{name}\"")))
}

#[test]
fn three_thousand_inner_containers_take_no_series_of_others() {
    let metrics = Metrics::new(Retention::default());
    let service = |number: u64| format!("s{number}.service");
    for number in 0..300 {
        finish(&metrics, killed(number, &service(number)), at_second(130));
    }
    for number in 0..3000 {
        finish(&metrics, inner_report(number), at_second(131));
    }
    for number in 300..600 {
        finish(&metrics, killed(number, &service(number)), at_second(132));
    }
    let page = render_page(&metrics, Format::Text);
    for number in 0..600 {
        let name = service(number);
        assert!(
            has_series(&page, "pod_termination_outcome", &name),
            "{name}"
        );
        assert!(
            has_series(&page, "workload_termination_outcomes_total", &name),
            "{name}"
        );
    }
}

#[test]
fn an_open_flood_takes_no_names_of_others() {
    let metrics = Metrics::new(Retention::default());
    let open =
        |report: Report, now| metrics.record(&Output::Progress(Box::new(report)), at_second(now));
    open(killed(1, "first.service"), 130);
    (0..3000).for_each(|number| open(inner_report(number), 131));
    open(killed(2, "last.service"), 132);
    open(inner_report(0), 133);
    let page = render_page(&metrics, Format::Text);
    let family = "pod_termination_open_duration_seconds";
    for name in ["first.service", "last.service", "000000000000"] {
        assert!(has_series(&page, family, name), "{name}");
    }
    assert!(!has_series(&page, family, "000000000bb7"));
    assert_eq!(
        page.matches("pod_termination_open_duration_seconds{")
            .count(),
        102
    );
}

fn of_namespace(number: u64, namespace: &str, kind: &str) -> Report {
    let mut report = killed(number, "app");
    report.subject.kind = SubjectKind::Containerd;
    report.subject.path = format!("/kubepods/pod{number}/{number:064x}");
    report.subject.container_id = Some(format!("{number:064x}"));
    report.subject.pod_uid = Some(number.to_string());
    report.pod = Some(agent_core::report::PodRef {
        namespace: namespace.to_owned(),
        name: format!("{namespace}-{number}"),
        uid: number.to_string(),
        workload: agent_core::pod::Workload {
            kind: kind.to_owned(),
            name: format!("{namespace}-{number}"),
        },
        container: Some("app".to_owned()),
        role: Some(agent_core::pod::Role::Main),
    });
    super::connections::put_into(&mut report);
    report
}

#[test]
fn a_flood_of_workloads_in_one_namespace_gives_way_to_others() {
    let metrics = Metrics::new(Retention::default());
    for kind in ["Deployment", "Job"] {
        for number in 0..1500 {
            let report = of_namespace(number, &format!("flood-{kind}").to_lowercase(), kind);
            finish(&metrics, report, at_second(131));
        }
    }
    for number in 5000..5030 {
        finish(
            &metrics,
            of_namespace(number, "shop", "Deployment"),
            at_second(132),
        );
    }
    let page = render_page(&metrics, Format::Text);
    let family = "workload_termination_outcomes_total";
    for number in 5000..5030 {
        assert!(
            has_series(&page, family, &format!("shop-{number}")),
            "{number}"
        );
    }
    // What gave way left nothing behind.
    assert!(!page.contains("workload=\"flood-deployment-0\""));
    assert!(has_series(&page, family, "flood-deployment-999"));
    let samples = page.lines().filter(|line| line.starts_with(family));
    assert!(samples.count() <= 1002);
}

#[test]
fn a_name_that_never_comes_again_goes_with_its_termination() {
    let metrics = Metrics::new(Retention::default());
    finish(&metrics, killed(1, "web.service"), at_second(131));
    let mut own = inner_report(7);
    super::connections::put_into(&mut own);
    metrics.record(&super::connections::resets_of(&own), at_second(131));
    finish(&metrics, own, at_second(131));
    assert!(render_page(&metrics, Format::OpenMetrics).contains("000000000007"));
    metrics.refresh(at_second(131 + 15 * 60));
    let page = render_page(&metrics, Format::OpenMetrics);
    assert!(!page.contains("000000000007"), "{page}");
    assert!(page.contains("workload=\"web.service\""));
}

/// Whatever one container does, the page stays small.
#[test]
fn a_flood_of_inner_containers_adds_little_to_the_page() {
    let metrics = Metrics::new(Retention::default());
    for number in 0..3000 {
        let mut report = inner_report(number);
        super::connections::put_into(&mut report);
        finish(&metrics, report, at_second(131));
    }
    let bytes = metrics.encode(Format::Text).unwrap().len();
    assert!(bytes < 3_000_000, "{bytes} bytes");
}
