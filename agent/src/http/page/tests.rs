//! The pages as text: what each says, and that nothing breaks out of it.

use agent_core::output::Output;
use agent_core::report::{Outcome, Report};
use agent_core::time::Timestamp;

use super::*;
use crate::agent_health::AgentHealth;
use crate::http::Origin;
use crate::metrics::{Metrics, Retention};
use crate::readiness::Readiness;
use crate::recent::{Filter, Recent};
use crate::timeline::sample;

fn app_state(reports: impl IntoIterator<Item = Report>) -> AppState {
    let recent = Recent::default();
    for report in reports {
        let report = Box::new(report);
        let is_open = report.outcome == Outcome::InProgress;
        let told = if is_open {
            Output::Progress
        } else {
            Output::Finished
        };
        recent.record(&told(report));
    }
    AppState {
        metrics: Metrics::new(Retention::default()),
        recent,
        readiness: Readiness::reached(),
        agent_health: AgentHealth::default(),
        origin: Origin::Agent {
            run: "abc".to_owned(),
        },
    }
}

fn rendered_list(shown: &AppState, filter: Filter, limit: Option<usize>) -> String {
    overview::render(
        shown,
        &Wanted {
            limit,
            filter,
            since: None,
        },
    )
    .into_string()
}

fn rendered_page(report: Report) -> String {
    let report = &report;
    termination::render(&app_state([report.clone()]), report).into_string()
}

fn assert_says(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "no {part} in {page}");
    }
}

#[test]
fn an_item_says_whose_container_why_how_it_ended_and_what_was_reset() {
    let page = rendered_list(&app_state([sample::cut_off()]), Filter::default(), None);
    assert_says(
        &page,
        &[
            "href=\"terminations/3-abc\"><bdi>shop/web-7d4b9c6f5-x2x9k/app</bdi>",
            "Deployment <bdi>web</bdi> · the pod was deleted",
            "GRACEFUL",
            "stopping <b>400 ms</b>",
            "↑ resets sent <b>4</b>",
            "1 finished",
        ],
    );
}

#[test]
fn an_open_one_says_what_it_waits_for_and_is_first() {
    let mut open = sample::seed_report();
    open.outcome = Outcome::InProgress;
    open.exit = None;
    open.released_at = None;
    open.id = 9;
    let page = rendered_list(
        &app_state([open, sample::ignored()]),
        Filter::default(),
        None,
    );
    assert_says(&page, &["1 being terminated", "SIGKILL due"]);
    assert!(page.find("t9-abc").unwrap() < page.find("t3-abc").unwrap());
}

#[test]
fn the_page_of_one_has_its_facts_its_diagnosis_and_its_json() {
    assert_says(
        &rendered_page(sample::ignored()),
        &[
            "Findings",
            "The kernel discarded SIGTERM",
            "Install a handler",
            "kernel: signal_generate",
            "+30.004 s",
            "href=\"../api/v1/terminations/3-abc\"",
            "Its connections are not counted.",
        ],
    );
    let resets = rendered_page(sample::cut_off());
    assert_says(
        &resets,
        &[
            "sent in answer to a packet: nothing listens there",
            "The first 16 of them",
            "endpoint not ready and terminating",
        ],
    );
}

#[test]
fn names_cannot_break_out_of_the_page() {
    let mut report = sample::of_pod(sample::ignored());
    let hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    if let Some(pod) = &mut report.pod {
        for name in [
            &mut pod.name,
            &mut pod.namespace,
            &mut pod.workload.name,
            &mut pod.workload.kind,
        ] {
            hostile.clone_into(name);
        }
    }
    hostile.clone_into(&mut report.subject.path);
    hostile.clone_into(&mut report.findings[0].evidence);
    for page in [
        rendered_list(&app_state([report.clone()]), Filter::default(), None),
        rendered_page(report),
    ] {
        assert!(!page.contains("<img"), "{page}");
        assert_eq!(page.matches("<script").count(), 1, "{page}");
        assert!(page.contains("&lt;script&gt;"));
    }
}

#[test]
fn nothing_to_show_says_what_to_do() {
    assert_says(
        &rendered_list(&app_state([]), Filter::default(), None),
        &["No termination yet", "kubectl delete pod"],
    );
    let filter = Filter {
        namespace: Some("other".to_owned()),
        ..Filter::default()
    };
    let page = rendered_list(&app_state([sample::ignored()]), filter, None);
    assert_says(
        &page,
        &[
            "None of the 1 terminations",
            "<option value=\"other\" selected>",
        ],
    );
}

#[test]
fn more_than_fit_are_a_link_that_keeps_the_filter() {
    let reports = (1..=3).map(|id| Report {
        id,
        ..sample::of_pod(sample::ignored())
    });
    let filter = Filter {
        workload: Some("Deployment/web".to_owned()),
        ..Filter::default()
    };
    let page = rendered_list(&app_state(reports), filter, Some(2));
    assert_says(
        &page,
        &[
            "./?workload=Deployment%2Fweb&amp;limit=3",
            "Show the 1 before these",
        ],
    );
    assert!(!page.contains("t1-abc"));
}

#[test]
fn what_is_wrong_with_the_agent_is_said() {
    let mut shown = app_state([]);
    assert!(!rendered_list(&shown, Filter::default(), None).contains("does not measure yet"));
    shown.readiness = Readiness::default();
    shown
        .agent_health
        .remark("The journal is not whole.".to_owned());
    assert_says(
        &rendered_list(&shown, Filter::default(), None),
        &[
            "does not measure yet: it is waiting for",
            "The journal is not whole.",
        ],
    );
}

#[test]
fn a_recording_has_no_dates_and_says_what_it_is() {
    let mut shown = app_state([sample::ignored()]);
    shown.origin = Origin::Recording {
        files: vec!["<stop>.jsonl".to_owned()],
        end: Timestamp(0),
    };
    let page = rendered_list(&shown, Filter::default(), None);
    assert_says(
        &page,
        &["boot + ", "&lt;stop&gt;.jsonl", "nothing is measured"],
    );
    assert!(!page.contains("<time"));
}

#[test]
fn an_unchanged_page_is_not_sent_again() {
    let page = || maud::html! { p { "x" } };
    let first = answer(StatusCode::OK, page(), &HeaderMap::new());
    assert_eq!(first.status(), StatusCode::OK);
    let mut known = HeaderMap::new();
    known.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
    assert_eq!(
        answer(StatusCode::OK, page(), &known).status(),
        StatusCode::NOT_MODIFIED
    );
    let other = maud::html! { p { "y" } };
    assert_eq!(
        answer(StatusCode::OK, other, &known).status(),
        StatusCode::OK
    );
    assert_eq!(
        answer(StatusCode::NOT_FOUND, page(), &known).status(),
        StatusCode::NOT_FOUND
    );
}
