//! Explanations of reports of each kind, and which one a name means.
#![expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes them so"
)]

use agent_core::report::{Doubt, Outcome, Report};
use expect_test::{expect, expect_file};

use super::choose::choose;
use super::source::Remembered;
use super::{conclusion, fact, show};
use crate::terminal::Style;
use crate::timeline::sample;

fn remembered(reports: Vec<Report>) -> Remembered {
    Remembered {
        whose: "The agent at http://node:8637".to_owned(),
        reports,
        wall_at_boot: Some(1_800_000_000_000_000_000),
    }
}

fn numbered(id: u64, mut report: Report) -> Report {
    report.id = id;
    report
}

fn pod_report(id: u64, name: &str) -> Report {
    let mut report = sample::of_pod(sample::report(Outcome::Graceful));
    if let Some(pod) = &mut report.pod {
        name.clone_into(&mut pod.name);
    }
    numbered(id, report)
}

fn service(id: u64, name: &str) -> Report {
    let mut report = numbered(id, sample::report(Outcome::Crashed));
    name.clone_into(&mut report.subject.name);
    report
}

fn explained(report: Report) -> String {
    let remembered = remembered(vec![report]);
    let chosen = choose(&remembered, "last").unwrap();
    show::render_text(&remembered, &chosen, &Style::PLAIN)
}

#[test]
fn the_names_that_a_termination_has() {
    let remembered = remembered(vec![
        pod_report(4, "web-1"),
        pod_report(3, "web-2"),
        pod_report(2, "web-1"),
        service(1, "nginx.service"),
    ]);
    let number = |wanted: &str| choose(&remembered, wanted).map(|chosen| chosen.report.id);
    for (wanted, id) in [
        ("last", 4),
        ("#2", 2),
        ("3", 3),
        ("web-1", 4),
        ("shop/web-2", 3),
        ("shop/web-2/app", 3),
        ("eb-2", 3),
        ("nginx.service", 1),
        ("nginx", 1),
    ] {
        assert_eq!(number(wanted).unwrap(), id, "{wanted}");
    }
    let chosen = choose(&remembered, "web-1").unwrap();
    assert_eq!(chosen.others.len(), 1);
    assert_eq!(chosen.others[0].id, 2);
}

#[test]
fn a_name_that_is_several_ones_lists_them() {
    let remembered = remembered(vec![
        pod_report(4, "web-1"),
        pod_report(3, "web-2"),
        pod_report(2, "db-0"),
    ]);
    let sentence = choose(&remembered, "web-").unwrap_err().to_string();
    expect![[r#"
        `web-` is in the names of 2 terminations; say which by more of the name, or by the number:
          #4  shop/web-1/app  graceful
          #3  shop/web-2/app  graceful"#]]
    .assert_eq(&sentence);
    let sentence = choose(&remembered, "app").unwrap_err().to_string();
    assert_eq!(sentence.lines().count(), 4, "{sentence}");
    let sentence = choose(&remembered, "nginx").unwrap_err().to_string();
    assert!(sentence.contains("no termination of `nginx`"), "{sentence}");
    let sentence = choose(&remembered, "").unwrap_err().to_string();
    assert!(sentence.contains("no termination of ``"), "{sentence}");
}

#[test]
fn nothing_is_remembered() {
    let nothing = remembered(Vec::new());
    let sentence = choose(&nothing, "last").unwrap_err().to_string();
    assert!(
        sentence.contains("remembers no termination yet"),
        "{sentence}"
    );
    assert!(show::render_list(&nothing, &Style::PLAIN).contains("remembers no termination yet"));
}

#[test]
fn a_list_has_a_line_for_each() {
    let remembered = remembered(vec![
        numbered(12, sample::seed_report()),
        pod_report(3, "web-2"),
    ]);
    expect![[r#"
        The agent at http://node:8637 remembers 2 terminations, the newest first:

          #12  3f9c2a1b7d04          graceful            12.031 s  2027-01-15T08:16:52.030Z
           #3  shop/web-2/app        graceful                      2027-01-15T08:16:39.500Z

        `gracewatch explain NAME` (or `last`, or a number such as '#1') explains one of them.
    "#]]
    .assert_eq(&show::render_list(&remembered, &Style::PLAIN));
}

#[test]
fn the_pod_that_this_project_began_with() {
    expect_file!["tests/seed.txt"].assert_eq(&explained(sample::of_pod(sample::seed_report())));
}

#[test]
fn an_ignored_signal() {
    let mut report = sample::ignored();
    report.doubts = vec![Doubt::GraceUnknown];
    expect_file!["tests/ignored.txt"].assert_eq(&explained(report));
}

#[test]
fn connections_that_were_cut() {
    expect_file!["tests/cut_off.txt"].assert_eq(&explained(sample::cut_off()));
}

#[test]
fn facts_stand_in_the_order_of_their_moments() {
    for report in [sample::seed_report(), sample::ignored(), sample::cut_off()] {
        let facts = fact::milestones(&report);
        assert!(facts.is_sorted_by_key(|fact| fact.at), "{facts:?}");
        assert!(facts.len() >= 4, "{facts:?}");
    }
}

#[test]
fn every_outcome_has_a_reason() {
    for outcome in Outcome::FINISHED {
        let conclusions = conclusion::conclusions(&sample::report(outcome));
        assert!(
            conclusions.iter().all(|one| !one.because.is_empty()),
            "{outcome:?}"
        );
    }
}

#[test]
fn json_holds_the_report_the_facts_and_what_follows() {
    let remembered = remembered(vec![sample::ignored()]);
    let chosen = choose(&remembered, "last").unwrap();
    let value: serde_json::Value =
        serde_json::from_str(&show::render_json(&remembered, &chosen).unwrap()).unwrap();
    assert_eq!(value["conclusions"][0]["is"], "signal_ignored");
    assert_eq!(value["facts"][1]["hook"], "signal_generate");
    assert_eq!(value["report"]["id"], 3);
}

#[test]
fn what_a_name_holds_does_not_reach_the_terminal_as_a_command() {
    let mut report = sample::of_pod(sample::seed_report());
    if let Some(pod) = &mut report.pod {
        "web\u{1b}[31m".clone_into(&mut pod.name);
    }
    assert!(!explained(report.clone()).contains('\u{1b}'));
    let remembered = remembered(vec![report, pod_report(1, "web\u{1b}[32m")]);
    assert!(!show::render_list(&remembered, &Style::PLAIN).contains('\u{1b}'));
    let sentence = choose(&remembered, "web").unwrap_err().to_string();
    assert!(!sentence.contains('\u{1b}'), "{sentence:?}");
}
