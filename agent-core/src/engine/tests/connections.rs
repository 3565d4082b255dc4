//! Connections: phases, counts, and the report that waits for them.

use super::network::{
    ABORT_ON_CLOSE, ABORT_ON_DATA, Counts, counting, received, reset_class, seconds,
};
use super::scene::{
    CONTAINER, FATAL, HANDLED, SERVICE, Scene, Who, cgroup_created, doubts, exec_event, reports,
    signal_sent,
};
use super::stage::{self, deleted, pod_with_grace};
use crate::config::Selector;
use crate::connection::{Connections, Direction, Mode, Phase, ResetClass, ResetCount, Scope};
use crate::event::{EventKind, Exit, ExitStatus, Process, Tgid};
use crate::input::Input;
use crate::output::{Effect, Output};
use crate::report::{Doubt, Report};

const UNTRACK: Output = Output::Effect(Effect::Untrack {
    container: CONTAINER,
});

fn stopped() -> Scene {
    Scene::counted()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .removed()
}

/// All resets that were told of, as class and number.
fn reported_resets(said: &[Output]) -> Vec<ResetCount> {
    let resets = |output: &Output| match output {
        Output::Resets { resets, .. } => resets.clone(),
        _ => Vec::new(),
    };
    said.iter().flat_map(resets).collect()
}

fn connections(report: Report) -> Connections {
    report.connections.expect("connections were counted")
}

#[test]
fn the_kernel_side_is_told_of_main_process_and_phase() {
    let scene = stopped();
    assert_eq!(
        scene.phases_given(),
        [
            (Some(100), Phase::Running),
            (Some(100), Phase::Stopping),
            (Some(100), Phase::Closing),
        ]
    );
    assert_eq!(
        Scene::container()
            .running()
            .at_second(10.0)
            .stop(HANDLED)
            .phases_given(),
        [],
        "nothing is counted"
    );
}

#[test]
fn a_deletion_begins_the_phase_of_the_hook() {
    let scene = Scene::counted_in(&pod_with_grace(30))
        .at_second(10.0)
        .watch_shows(&deleted(&pod_with_grace(30), 10.0, 30));
    assert_eq!(
        scene.phases_given(),
        [(Some(100), Phase::Running), (Some(100), Phase::Hook)]
    );
}

/// A probe that is written like the hook, and a stop signal of which nothing came.
#[test]
fn what_was_no_termination_is_taken_back() {
    let mut config = counting();
    config.selectors = vec![Selector {
        cgroup: "/system.slice/*".to_owned(),
        grace: None,
        stop_signal: None,
        pre_stop: Some(vec!["flush".to_owned()]),
    }];
    let scene = Scene::with_config(config)
        .receives(cgroup_created(CONTAINER, SERVICE))
        .running()
        .at_second(10.0)
        .execs_command(Who::Probe, "flush")
        .at_second(10.1)
        .exits_with_code(Who::Probe, 0)
        .at_second(20.0);
    let asked_before = scene.times_counted();
    assert_eq!(asked_before, 1, "what was counted is no part of the next");
    let scene = scene.stop(HANDLED).at_second(10_000.0);
    let phases: Vec<Phase> = scene
        .phases_given()
        .into_iter()
        .map(|(_, phase)| phase)
        .collect();
    assert_eq!(
        phases,
        [
            Phase::Running,
            Phase::Hook,
            Phase::Running,
            Phase::Stopping,
            Phase::Running
        ]
    );
    scene.no_report();
}

/// A terminal that is resized, a dump that somebody asks for: the kernel side cannot know.
#[test]
fn a_signal_that_nothing_comes_of_is_taken_back() {
    const QUIT: u32 = 3;
    let stirred = || {
        Scene::counted()
            .running()
            .at_second(10.0)
            .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED)
            .at_second(12.0)
            .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED)
    };
    let running = (Some(100), Phase::Running);
    assert_eq!(stirred().at_second(101.9).phases_given(), [running]);
    let scene = stirred().at_second(102.1);
    assert_eq!(scene.phases_given(), [running, running]);
    assert_eq!(scene.voided(), [0.0, 12.0]);
    assert_eq!(scene.times_counted(), 1);
    assert_eq!(scene.at_second(1000.0).times_counted(), 1);

    // In hindsight it was what stopped it (nginx).
    let stopped = stirred()
        .at_second(20.0)
        .exits_with_code(Who::Main, 0)
        .removed();
    assert_eq!(
        stopped.phases_given(),
        [running, (Some(100), Phase::Closing)]
    );
    let scene = stopped
        .at_second(21.1)
        .counts(Counts::default().with_phase(Phase::Stopping, |counts| counts.finished = 4));
    assert_eq!(connections(reports(&scene.said).remove(0)).finished, 4);

    let inside = Scene::counted()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Child, Who::Main, QUIT, HANDLED)
        .at_second(1000.0);
    assert_eq!(
        inside.phases_given(),
        [running],
        "the kernel side began nothing"
    );
}

#[test]
fn what_began_before_the_deletion_is_taken_back_to_the_hook() {
    let scene = Scene::counted_in(&pod_with_grace(30))
        .at_second(9.0)
        .sends_signal(Who::Runc, Who::Main, 28, HANDLED)
        .at_second(10.0)
        .watch_shows(&deleted(&pod_with_grace(30), 10.0, 30));
    let phases: Vec<Phase> = scene
        .phases_given()
        .into_iter()
        .map(|(_, phase)| phase)
        .collect();
    assert_eq!(phases, [Phase::Running, Phase::Hook]);
    assert_eq!(scene.voided(), [0.0, 9.0]);
    assert_eq!(scene.times_counted(), 1);
}

#[test]
fn a_report_waits_for_the_last_counts() {
    let scene = stopped().counts(Counts::default()).at_second(11.55);
    assert_eq!(reports(&scene.said), []);
    let last = Counts::default().with_phase(Phase::Closing, |counts| counts.finished = 3);
    let scene = scene.counts(last);
    let given = reports(&scene.said);
    assert_eq!(given.len(), 1, "it waits for nothing else");
    assert_eq!(connections(given[0].clone()).at_exit, 3);
    assert_eq!(doubts(&given[0]), []);
}

#[test]
fn a_report_does_not_wait_for_long() {
    let scene = stopped().counts(Counts::default()).at_second(11.7);
    assert_eq!(reports(&scene.said), []);
    let scene = scene.at_second(11.71);
    let given = reports(&scene.said);
    assert_eq!(given.len(), 1);
    assert_eq!(given[0].connections, None);
    assert_eq!(doubts(&given[0]), [Doubt::ConnectionsMissing]);
}

/// The kubelet's word comes when all else was over for long.
#[test]
fn a_wait_that_ends_late_leaves_time_for_the_last_counts() {
    let own = deleted(&pod_with_grace(30), 10.0, 30);
    let mut config = counting();
    config.pods = true;
    let scene = Scene::with_config(config)
        .receives(cgroup_created(CONTAINER, &stage::path(0)))
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(15.0)
        .watch_shows(&own);
    assert_eq!(reports(&scene.said), [], "it waits for its pod");
    let scene = scene.at_second(15.1);
    assert_eq!(reports(&scene.said), [], "and then for the counts");
    let scene = scene.counts(Counts::default());
    assert_eq!(doubts(&reports(&scene.said)[0]), []);
}

#[test]
fn a_release_that_comes_while_it_waits_is_waited_for_again() {
    let scene = Scene::counted()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .at_second(11.51)
        .removed()
        .counts(Counts::default())
        .at_second(12.5);
    assert_eq!(reports(&scene.said), [], "the tail begins anew");
    let scene = scene.at_second(12.52);
    assert_eq!(scene.times_counted(), 4, "exit, end, release, end");
    let scene = scene.counts(Counts::default());
    assert_eq!(reports(&scene.said).len(), 1);
}

#[test]
fn without_counts_nothing_is_waited_for_and_nothing_said() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .removed()
        .counts(Counts::default())
        .at_second(11.501);
    let given = reports(&report.said);
    assert_eq!(given[0].connections, None);
    assert_eq!(doubts(&given[0]), []);
}

/// Its sockets may be closed after its cgroup is gone.
#[test]
fn a_container_is_tracked_until_its_report_is_out() {
    let scene = stopped().at_second(11.6);
    assert!(!scene.said.contains(&UNTRACK));
    let scene = scene.counts(Counts::default());
    let place = |wanted: &dyn Fn(&Output) -> bool| scene.said.iter().position(wanted).unwrap();
    let finished = place(&|output| matches!(output, Output::Finished(_)));
    assert!(place(&|output| *output == UNTRACK) > finished);
}

#[test]
fn how_many_were_open_follows_from_how_they_ended() {
    let counts = Counts::default()
        .with_phase(Phase::Running, |counts| {
            counts.accepted = 1000;
            counts.finished = 900;
        })
        .with_phase(Phase::Hook, |counts| {
            counts.accepted = 7;
            counts.finished = 20;
            counts.refused = 1;
        })
        .with_phase(Phase::Stopping, |counts| {
            counts.accepted = 5;
            counts.connected = 2;
            counts.finished = 40;
            counts.cut = 3;
            counts.refused = 10;
            counts.refused_in_pod = 4;
        })
        .with_phase(Phase::Closing, |counts| {
            counts.accepted = 1;
            counts.finished = 4;
            counts.cut = 6;
            counts.refused = 100;
        })
        .accepted_at(10.2)
        .refused_at(10.9)
        .last_listener_closed_at(10.1);
    let scene = stopped().at_second(11.6).counts(counts);
    let said = connections(reports(&scene.said).remove(0));
    let expected = Connections {
        at_stop_signal: 40 + 3 + 4 + 6 - 5 - 2 - 1,
        at_exit: 4 + 6 - 1,
        finished: 40,
        accepted_in_hook: 7,
        accepted_after: 6,
        last_arrival_at: Some(seconds(10.9)),
        last_listener_closed_at: Some(seconds(10.1)),
        refused: 111,
        refused_in_pod: 4,
        ..Connections::default()
    };
    assert_eq!(said, expected);
}

#[test]
fn what_came_before_the_termination_is_no_arrival() {
    let counts = Counts::default()
        .accepted_at(9.9)
        .last_listener_closed_at(3.0);
    let scene = stopped().at_second(11.6).counts(counts);
    let said = connections(reports(&scene.said).remove(0));
    assert_eq!(
        (said.last_arrival_at, said.last_listener_closed_at),
        (None, None)
    );
}

#[test]
fn resets_are_told_as_they_come_and_named() {
    let unknown = reset_class(Phase::Running, Mode::Active, 77);
    let known = reset_class(Phase::Running, Mode::Active, ABORT_ON_CLOSE);
    let scene = Scene::counted().running().at_second(5.0).counts(
        Counts::default()
            .resets(unknown, 2)
            .resets(received(Phase::Running), 1),
    );
    let scene = scene.at_second(6.0).counts(
        Counts::default()
            .resets(unknown, 2)
            .resets(received(Phase::Running), 4)
            .resets(known, 5),
    );
    let names: Vec<(Option<String>, u64)> = reported_resets(&scene.said)
        .into_iter()
        .map(|one| (one.class.reason, one.count))
        .collect();
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(
        names,
        [
            (name("reason_77"), 2),
            (None, 1),
            (name("tcp_abort_on_close"), 5),
            (None, 3)
        ]
    );
}

/// The kernel calls data after a close a reset received, and then sends one: the kernel side takes the first back.
#[test]
fn a_count_that_is_taken_back_is_told_once() {
    let count = |count| Counts::default().resets(received(Phase::Running), count);
    let scene = Scene::counted()
        .running()
        .at_second(5.0)
        .counts(count(5))
        .counts(count(4))
        .counts(count(6));
    let all: u64 = reported_resets(&scene.said)
        .iter()
        .map(|one| one.count)
        .sum();
    assert_eq!(all, 6);
}

#[test]
fn counts_that_begin_anew_are_taken_as_they_are() {
    let count = |accepted, resets| {
        Counts::default()
            .with_phase(Phase::Running, |counts| counts.accepted = accepted)
            .resets(received(Phase::Running), resets)
    };
    let scene = Scene::counted()
        .running()
        .at_second(5.0)
        .counts(count(9, 5))
        .counts(count(1, 2));
    let all: u64 = reported_resets(&scene.said)
        .iter()
        .map(|one| one.count)
        .sum();
    assert_eq!(all, 7);
}

#[test]
fn resets_wait_for_the_pod_and_are_told_with_the_report_at_the_latest() {
    let mut config = counting();
    config.pods = true;
    let scene = || {
        let count = Counts::default().resets(received(Phase::Running), 3);
        Scene::with_config(config.clone())
            .receives(cgroup_created(CONTAINER, &stage::path(0)))
            .running()
            .at_second(5.0)
            .counts(count)
    };
    assert_eq!(reported_resets(&scene().said), []);
    let known = scene()
        .at_second(6.0)
        .watch_shows(&pod_with_grace(30))
        .counts(Counts::default().resets(received(Phase::Running), 3));
    let named = |output: &Output| match output {
        Output::Resets { pod, .. } => pod
            .as_ref()
            .is_some_and(|pod| pod.container.as_deref() == Some("app")),
        _ => false,
    };
    assert!(known.said.iter().any(named));
    // Its cgroup lives on, and the report gives up on the pod.
    let over = scene()
        .at_second(10.0)
        .exits_with_code(Who::Main, 1)
        .becomes_empty()
        .at_second(60.0);
    let of_no_pod = |output: &Output| matches!(output, Output::Resets { pod: None, .. });
    assert!(over.said.iter().any(of_no_pod));
    let gone = scene().at_second(10.0).removed().at_second(60.0);
    assert_eq!(reported_resets(&gone.said).len(), 1);
    let stopped = scene().receives(Input::Shutdown);
    assert_eq!(reported_resets(&stopped.said).len(), 1);
}

#[test]
fn a_reset_is_told_of_live_but_not_without_end() {
    let class = reset_class(Phase::Stopping, Mode::Active, ABORT_ON_CLOSE);
    let mut scene = Scene::counted()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(10.1);
    for port in 0..100 {
        scene = scene.resets(class, 1000 + port);
    }
    let progress = |output: &Output| match output {
        Output::Progress(report) => Some(report.connections.clone()?.marks.len()),
        _ => None,
    };
    let told: Vec<usize> = scene.said.iter().filter_map(progress).collect();
    assert_eq!(told, (1..=32).collect::<Vec<_>>());
    let scene = scene
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(11.6)
        .counts(Counts::default().resets(class, 100));
    let said = connections(reports(&scene.said).remove(0));
    assert_eq!(said.marks.len(), 32);
    assert_eq!(said.marks[0].at, seconds(10.1));
    assert_eq!(
        said.marks[0].class.reason.as_deref(),
        Some("tcp_abort_on_close")
    );
    assert_eq!(said.marks[0].peer, Some("10.0.0.7:1000".parse().unwrap()));
    assert_eq!(said.resets_in_shutdown(Direction::Sent), 100);
}

#[test]
fn a_reset_that_answers_data_is_no_reset_received() {
    let sent = reset_class(Phase::Closing, Mode::Passive, ABORT_ON_DATA);
    for answer_first in [false, true] {
        let scene = Scene::counted()
            .running()
            .at_second(10.0)
            .stop(HANDLED)
            .at_second(10.2);
        let scene = if answer_first {
            scene.resets(sent, 1).resets(received(Phase::Closing), 1)
        } else {
            scene.resets(received(Phase::Closing), 1).resets(sent, 1)
        };
        let scene = scene
            .resets(received(Phase::Closing), 2)
            .exits_with_code(Who::Main, 0)
            .removed()
            .at_second(11.3)
            .counts(Counts::default());
        let said = connections(reports(&scene.said).remove(0));
        let directions: Vec<Direction> =
            said.marks.iter().map(|mark| mark.class.direction).collect();
        assert_eq!(directions, [Direction::Sent, Direction::Received]);
    }
}

#[test]
fn a_reset_of_the_pod_says_so() {
    let of_pod = ResetClass {
        scope: Scope::Pod,
        ..reset_class(Phase::Stopping, Mode::Passive, ABORT_ON_DATA)
    };
    let scene = Scene::counted()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .resets(of_pod, 1)
        .at_second(10.5)
        .exits_with_code(Who::Main, 0)
        .removed()
        .at_second(11.6)
        .counts(Counts::default().resets(of_pod, 9));
    let said = connections(reports(&scene.said).remove(0));
    assert_eq!(said.marks[0].class.scope, Scope::Pod);
    assert_eq!(said.resets_in_shutdown(Direction::Sent), 0);
}

/// A service that systemd starts again in the same cgroup.
#[test]
fn what_is_counted_of_the_next_process_is_no_part_of_the_report() {
    let closing = |finished, accepted| {
        Counts::default().with_phase(Phase::Closing, |counts| {
            counts.finished = finished;
            counts.accepted = accepted;
        })
    };
    let scene = Scene::with_config(counting())
        .receives(cgroup_created(CONTAINER, SERVICE))
        .at_second(1.0)
        .execs_command(Who::Plain, "/app")
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Plain, 9, FATAL)
        .dies_by_signal(Who::Plain, 9)
        .becomes_empty()
        .counts(closing(5, 0));
    let next = Process {
        tgid: Tgid(555),
        start: seconds(10.1),
        ..Who::Plain.process()
    };
    let scene = scene
        .at_second(10.1)
        .happens(exec_event(next.clone(), "/app"))
        .at_second(10.9)
        .counts(closing(5, 90))
        .at_second(11.1)
        .counts(closing(5, 90));
    let said = connections(reports(&scene.said).remove(0));
    assert_eq!((said.at_exit, said.accepted_after), (5, 0));
    // The answer to what was asked as the phase was taken back parts the two terminations.
    let mut stop = signal_sent(Who::Runc, Who::Plain, 15, HANDLED);
    if let EventKind::Signal(sent) = &mut stop {
        sent.target = next.clone();
    }
    let exit = EventKind::Exit(Exit {
        process: next,
        status: ExitStatus::Code(0),
        executed: true,
        pending: None,
        ns_reboot: None,
    });
    let scene = scene
        .at_second(30.0)
        .happens(stop)
        .happens(exit)
        .removed()
        .at_second(31.1)
        .counts(closing(7, 90));
    assert_eq!(
        scene.phases_given().split_off(2),
        [
            (Some(101), Phase::Closing),
            (Some(555), Phase::Running),
            (Some(555), Phase::Stopping),
            (Some(555), Phase::Closing),
        ]
    );
    let said = connections(reports(&scene.said).remove(1));
    assert_eq!((said.at_exit, said.accepted_after), (2, 0));
}

#[test]
fn an_agent_that_stops_says_what_it_knows() {
    let count = Counts::default().with_phase(Phase::Stopping, |counts| counts.finished = 2);
    let open = || {
        Scene::counted()
            .running()
            .at_second(10.0)
            .stop(HANDLED)
            .at_second(10.1)
    };
    let with = open().counts(count).receives(Input::Shutdown);
    let given = reports(&with.said).remove(0);
    assert_eq!(connections(given.clone()).finished, 2);
    assert_eq!(doubts(&given), [Doubt::AgentStopped]);
    let without = open().receives(Input::Shutdown);
    let given = reports(&without.said).remove(0);
    assert_eq!(given.connections, None);
    assert_eq!(
        doubts(&given),
        [Doubt::AgentStopped, Doubt::ConnectionsMissing]
    );
}
