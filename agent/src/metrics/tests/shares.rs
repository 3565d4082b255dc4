//! A flood by one, and the series of others.

use agent_core::output::Output;
use agent_core::report::{Report, SubjectKind};

use super::{Format, Metrics, Retention, at, finish, killed, page};

/// A container that a container of a pod made in itself.
fn inner(number: u64) -> Report {
    let mut report = killed(10_000 + number, &format!("{number:012x}"));
    report.subject.kind = SubjectKind::Containerd;
    let outer = "ab".repeat(32);
    report.subject.path = format!("/kubepods/pod1/{outer}/docker/{number:064x}");
    report.subject.container_id = Some(format!("{number:064x}"));
    report
}

fn shows(page: &str, family: &str, name: &str) -> bool {
    page.lines()
        .any(|line| line.starts_with(family) && line.contains(&format!("=\"{name}\"")))
}

#[test]
fn three_thousand_inner_containers_take_no_series_of_others() {
    let metrics = Metrics::new(Retention::default());
    let service = |number: u64| format!("s{number}.service");
    for number in 0..300 {
        finish(&metrics, killed(number, &service(number)), at(130));
    }
    for number in 0..3000 {
        finish(&metrics, inner(number), at(131));
    }
    for number in 300..600 {
        finish(&metrics, killed(number, &service(number)), at(132));
    }
    let page = page(&metrics, Format::Text);
    for number in 0..600 {
        let name = service(number);
        assert!(shows(&page, "pod_termination_outcome", &name), "{name}");
    }
}

#[test]
fn an_open_flood_takes_no_names_of_others() {
    let metrics = Metrics::new(Retention::default());
    let open = |report: Report, now| metrics.record(&Output::Progress(Box::new(report)), at(now));
    open(killed(1, "first.service"), 130);
    (0..3000).for_each(|number| open(inner(number), 131));
    open(killed(2, "last.service"), 132);
    open(inner(0), 133);
    let page = page(&metrics, Format::Text);
    let family = "pod_termination_open_duration_seconds";
    for name in ["first.service", "last.service", "000000000000"] {
        assert!(shows(&page, family, name), "{name}");
    }
    assert!(!shows(&page, family, "000000000bb7"));
    assert_eq!(
        page.matches("pod_termination_open_duration_seconds{")
            .count(),
        1000
    );
}
