//! Advice from many terminations, of which the answer is known.

use std::time::Duration;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::{Advisor, TERMINATIONS_MAX, TERMINATIONS_MIN, WORKLOADS_MAX};
use crate::connection::{Advice, Connections};
use crate::event::{CgroupId, Delivery, ExitStatus, Handler, Tgid};
use crate::pod::{Role, Workload};
use crate::report::{
    Doubt, Endpoint, Hook, HookKind, HookMethod, MainExit, Outcome, PodRef, Report, Sender, Start,
    StopSignal, Subject, SubjectKind, Trigger,
};
use crate::signal::Signal;
use crate::time::Timestamp;

/// A pod that was deleted at 100 s, whose container got its stop signal then and exited `exit` later.
fn report(arrival: Option<Duration>, exit: Duration) -> Report {
    let began = Timestamp(100_000_000_000);
    Report {
        id: 1,
        subject: Subject {
            cgroup: CgroupId(7),
            path: "/x".to_owned(),
            kind: SubjectKind::Containerd,
            name: "0123".to_owned(),
            container_id: None,
            pod_uid: Some("uid".to_owned()),
        },
        pod: Some(PodRef {
            namespace: "shop".to_owned(),
            name: "web-1".to_owned(),
            uid: "uid".to_owned(),
            workload: Workload {
                kind: "Deployment".to_owned(),
                name: "web".to_owned(),
            },
            container: Some("app".to_owned()),
            role: Some(Role::Main),
        }),
        main: None,
        outcome: Outcome::Graceful,
        trigger: Trigger::Deleted,
        started_at: began,
        start_source: Start::Deletion,
        hook: None,
        stop_signal: Some(StopSignal {
            at: began,
            signal: Signal::TERM,
            sender: Sender {
                tgid: Tgid(1),
                comm: "runc".to_owned(),
                parent_comm: "shim".to_owned(),
                outside: true,
                kernel: false,
            },
            result: Delivery::Delivered,
            handler: Handler::Custom,
            blocked: false,
            fate: None,
        }),
        other_signals: Vec::new(),
        stop_signals_repeated: 0,
        kill: None,
        kills_repeated: 0,
        exit: Some(MainExit {
            at: began.after(exit),
            status: ExitStatus::Code(0),
            rebooted: None,
        }),
        released_at: None,
        grace: None,
        signals_inside: 0,
        signals_outside: 0,
        connections: Some(Connections {
            last_arrival_at: arrival.map(|after| began.after(after)),
            ..Connections::default()
        }),
        endpoint: None,
        advice: None,
        findings: Vec::new(),
        doubts: Vec::new(),
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn with_workload_name(name: &str, mut report: Report) -> Report {
    if let Some(pod) = &mut report.pod {
        name.clone_into(&mut pod.workload.name);
    }
    report
}

fn last_advice(reports: impl IntoIterator<Item = Report>) -> Option<Advice> {
    let mut advisor = Advisor::default();
    reports
        .into_iter()
        .map(|report| advisor.observe_report(&report))
        .last()
        .flatten()
}

fn advice(terminations: u64, sleep: u64, grace: Option<u64>) -> Advice {
    Advice {
        terminations,
        pre_stop_sleep: Duration::from_secs(sleep),
        grace: grace.map(Duration::from_secs),
    }
}

#[test]
fn a_few_terminations_advise_nothing() {
    let usual = || report(Some(ms(2100)), ms(4000));
    assert_eq!(last_advice((1..TERMINATIONS_MIN).map(|_| usual())), None);
    assert_eq!(
        last_advice((0..TERMINATIONS_MIN).map(|_| usual())),
        // 3 s of sleep and 4 s up to the exit are 7 s, and a quarter more.
        Some(advice(20, 3, Some(9)))
    );
}

#[test]
fn one_of_a_hundred_does_not_count_and_two_do() {
    let with_long = |long| {
        let usual = (long..100).map(|_| report(Some(ms(500)), ms(1000)));
        let long = (0..long).map(|_| report(Some(ms(9000)), ms(1000)));
        last_advice(long.chain(usual))
    };
    assert_eq!(with_long(1), Some(advice(100, 1, Some(3))));
    assert_eq!(with_long(2), Some(advice(100, 9, Some(13))));
}

#[test]
fn a_sleep_covers_the_withdrawal_of_the_endpoints() {
    let slow = |arrival| Report {
        endpoint: Some(Endpoint {
            unready_at: Some(Timestamp(104_200_000_000)),
            terminating_at: None,
        }),
        ..report(arrival, ms(1000))
    };
    let with = (0..20).map(|_| slow(Some(ms(500))));
    assert_eq!(last_advice(with), Some(advice(20, 5, Some(8))));
    let without = (0..20).map(|_| slow(None));
    assert_eq!(last_advice(without), Some(advice(20, 0, Some(2))));
}

#[test]
fn nobody_who_comes_late_needs_no_sleep() {
    let idle = (0..20).map(|_| report(None, ms(100)));
    assert_eq!(last_advice(idle), Some(advice(20, 0, Some(2))));
}

#[test]
fn what_was_killed_is_longer_than_all_that_is_known() {
    let with_killed = |killed| {
        let usual = (killed..100).map(|_| report(None, ms(2000)));
        let killed = (0..killed).map(|_| Report {
            outcome: Outcome::GraceExceeded,
            ..report(None, ms(30_000))
        });
        last_advice(killed.chain(usual))
    };
    assert_eq!(with_killed(1), Some(advice(100, 0, Some(3))));
    assert_eq!(with_killed(2), Some(advice(100, 0, None)));
}

#[test]
fn a_hook_that_works_is_kept_and_a_sleep_is_replaced() {
    let with_hook = |kind| {
        let hook = Hook {
            kind,
            method: HookMethod::Observed,
            tgid: None,
            argv: Vec::new(),
            started_at: Some(Timestamp(100_000_000_000)),
            ended_at: Some(Timestamp(108_000_000_000)),
            process_ended_at: None,
            status: None,
            failure: None,
            running_at_stop_signal: false,
            ended_by_container: false,
        };
        let one = |_| Report {
            hook: Some(hook.clone()),
            ..report(Some(ms(1500)), ms(2000))
        };
        last_advice((0..20).map(one))
    };
    assert_eq!(with_hook(HookKind::Exec), Some(advice(20, 2, Some(13))));
    assert_eq!(with_hook(HookKind::Sleep), Some(advice(20, 2, Some(5))));
}

#[test]
fn what_is_not_known_or_no_stop_does_not_count() {
    let usual = || report(None, ms(100));
    let sidecar = || {
        let mut report = usual();
        if let Some(pod) = &mut report.pod {
            pod.role = Some(Role::Sidecar);
        }
        report
    };
    let spoiled = [
        sidecar(),
        Report {
            trigger: Trigger::Liveness,
            ..usual()
        },
        Report {
            outcome: Outcome::OomKilled,
            ..usual()
        },
        Report {
            stop_signal: None,
            ..usual()
        },
        Report {
            connections: None,
            ..usual()
        },
        Report {
            doubts: vec![Doubt::RecordsLost],
            ..usual()
        },
        Report {
            doubts: vec![Doubt::ConnectionsMissing],
            ..usual()
        },
        Report {
            pod: None,
            ..usual()
        },
    ];
    for one in spoiled {
        let mut advisor = Advisor::default();
        for _ in 0..30 {
            assert_eq!(advisor.observe_report(&one), None, "{one:#?}");
        }
        assert_eq!(advisor.workloads.len(), 0);
    }
}

#[test]
fn a_unit_is_a_workload_and_a_container_without_a_pod_is_none() {
    let of = |kind| {
        let mut one = report(None, ms(100));
        one.pod = None;
        one.trigger = Trigger::Stopped;
        one.subject.pod_uid = None;
        one.subject.kind = kind;
        last_advice(std::iter::repeat_n(one, 20))
    };
    assert_eq!(
        of(SubjectKind::SystemdService),
        Some(advice(20, 0, Some(2)))
    );
    assert_eq!(of(SubjectKind::Docker), None);
}

#[test]
fn workloads_do_not_advise_each_other() {
    let mut advisor = Advisor::default();
    let mut said = None;
    for _ in 0..20 {
        advisor.observe_report(&with_workload_name(
            "other",
            report(Some(ms(60_000)), ms(100)),
        ));
        said = advisor.observe_report(&report(None, ms(100)));
    }
    assert_eq!(said, Some(advice(20, 0, Some(2))));
}

#[test]
fn a_namespace_with_many_workloads_forgets_its_own() {
    let mut advisor = Advisor::default();
    for _ in 0..19 {
        advisor.observe_report(&with_workload_name("web", report(None, ms(100))));
    }
    for number in 0..2 * WORKLOADS_MAX {
        let mut flood = with_workload_name(&number.to_string(), report(None, ms(100)));
        if let Some(pod) = &mut flood.pod {
            "flood".clone_into(&mut pod.namespace);
        }
        advisor.observe_report(&flood);
    }
    assert_eq!(advisor.workloads.len(), WORKLOADS_MAX);
    assert!(
        advisor
            .observe_report(&with_workload_name("web", report(None, ms(100))))
            .is_some()
    );
}

#[test]
fn old_terminations_and_old_workloads_are_forgotten() {
    let long = (0..20).map(|_| report(Some(ms(60_000)), ms(100)));
    let usual = (0..TERMINATIONS_MAX).map(|_| report(None, ms(100)));
    assert_eq!(
        last_advice(long.chain(usual)),
        Some(advice(512, 0, Some(2)))
    );

    let mut advisor = Advisor::default();
    for number in 0..WORKLOADS_MAX {
        advisor.observe_report(&with_workload_name(
            &number.to_string(),
            report(None, ms(100)),
        ));
    }
    for _ in 0..18 {
        advisor.observe_report(&with_workload_name("0", report(None, ms(100))));
    }
    advisor.observe_report(&with_workload_name("new", report(None, ms(100))));
    assert_eq!(advisor.workloads.len(), WORKLOADS_MAX);
    assert!(
        advisor
            .observe_report(&with_workload_name("0", report(None, ms(100))))
            .is_some()
    );
    for _ in 0..18 {
        advisor.observe_report(&with_workload_name("1", report(None, ms(100))));
    }
    let begun_anew = advisor.observe_report(&with_workload_name("1", report(None, ms(100))));
    assert_eq!(begun_anew, None, "it was used least recently");
}

proptest! {
    /// At the most one in a hundred comes later than the sleep or, with it, takes longer than the grace period.
    #[test]
    fn the_advice_would_have_sufficed(
        stops in proptest::collection::vec((0_u64..20_000, 0_u64..20_000), 20..200),
    ) {
        let reports = stops.iter().map(|(arrival, exit)| report(Some(ms(*arrival)), ms(*exit)));
        let Some(Advice { pre_stop_sleep, grace: Some(grace), terminations }) = last_advice(reports) else {
            panic!("there is advice");
        };
        prop_assert_eq!(usize::try_from(terminations), Ok(stops.len()));
        let late = stops.iter().filter(|(arrival, _)| ms(*arrival) > pre_stop_sleep).count();
        prop_assert!(late * 100 <= stops.len());
        let long = stops.iter().filter(|(_, exit)| pre_stop_sleep + ms(*exit) > grace).count();
        prop_assert!(long * 100 <= stops.len());
        prop_assert_eq!(grace.subsec_nanos() + pre_stop_sleep.subsec_nanos(), 0);
    }
}
