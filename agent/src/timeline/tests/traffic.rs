//! Connections: signs to scale, and what is said of them.

use std::time::Duration;

use agent_core::connection::{
    Advice, Connections, Direction, Mode, Phase, Poller, ResetClass, ResetCount, Scope, Side,
};
use agent_core::report::Endpoint;

use super::*;

#[test]
fn resets_and_arrivals_of_a_server_that_is_cut_off() {
    check_picture(
        &sample::cut_off(),
        expect![[r#"
            #3  shop/web-7d4b9c6f5-x2x9k/app  Deployment                  ✔ GRACEFUL  900 ms
                   0 s  pod deleted       █████████████                      500 ms waiting
                500 ms  SIGTERM                        ██████████▍           400 ms stopping
                550 ms  ↓ reset received                ↓                         1 in all
                590 ms  ◆ not ready                      ◆
                620 ms  ↑ resets sent                     ↑      3                4 in all
                900 ms  exit 0                                   ▏          2.00 ms closing
                902 ms  released
                930 ms  × refused                                 +×             57 in all
               1.230 s  ● last arrival                                   ●
              Exited by itself with status 0, 400 ms after SIGTERM; its grace is 30 s.
              pod       shop/web-7d4b9c6f5-x2x9k · container app · Deployment web
              why       the pod was deleted
              main      sleep 10m · pid 4711, PID 1 of its namespace
              SIGTERM   from runc (pid 4790, child of containerd-shim) · it has a handler
              open      12 connections at SIGTERM · until the exit 21 ended by FIN, 3 were
                        left
              arrivals  2 accepted before SIGTERM · 14 accepted after SIGTERM · the last
                        connection came 1.230 s after the deletion
              refused   57 attempts · its last listener was closed 900 ms after the deletion
              reset     ↑ 57 sent in answer to a packet: nothing listens there, or the
                        connection is no more (no_socket) · closing
              reset     ↑ 4 sent by the program or its death: closed while data was unread
                        (tcp_abort_on_close) · 1 stopping, 3 closing
              reset     ↓ 1 received · stopping
              reset     62 in all, of which the first 16 are in the picture · 6 before,
                        while it was running
              endpoint  not ready and terminating 590 ms after the deletion · connections
                        came for 640 ms more
              so far    99 % of 40 terminations would have been covered by a preStop sleep
                        of 2 s; a grace period of 6 s would have sufficed
              cgroup    /system.slice/docker-3f9c.scope
        "#]],
    );
}

#[test]
fn signs_without_unicode() {
    let style = Style {
        unicode: false,
        ..Style::PLAIN
    };
    let drawn = render(&sample::cut_off(), &style);
    assert!(drawn.is_ascii());
    let picture: Vec<_> = drawn.lines().take(10).collect();
    expect![[r#"
        #3  shop/web-7d4b9c6f5-x2x9k/app  Deployment                    GRACEFUL  900 ms
               0 s  pod deleted       #############                      500 ms waiting
            500 ms  SIGTERM                        ##########            400 ms stopping
            550 ms  v reset received                v                         1 in all
            590 ms  * not ready                      *
            620 ms  ^ resets sent                     ^      3                4 in all
            900 ms  exit 0                                   #          2.00 ms closing
            902 ms  released
            930 ms  x refused                                 +x             57 in all
           1.230 s  o last arrival                                   o"#]]
    .assert_eq(&picture.join("\n"));
}

#[test]
fn colours_change_nothing_but_colours() {
    let style = Style {
        colors: true,
        ..Style::PLAIN
    };
    let drawn = render(&sample::cut_off(), &style);
    assert_eq!(
        without_escapes(&drawn),
        render(&sample::cut_off(), &Style::PLAIN)
    );
}

/// What is said of connections, one fact a line.
fn connection_facts(report: &Report) -> String {
    let labels = ["open", "arrivals", "refused", "reset", "endpoint", "so far"];
    let facts = report_facts(report).into_iter();
    let of_traffic = facts.filter(|fact| labels.contains(&fact.label.as_str()));
    let lines = of_traffic.map(|fact| format!("{}: {}\n", fact.label, fact.text));
    lines.collect()
}

#[test]
fn nothing_is_said_of_what_was_not_counted() {
    assert_eq!(connection_facts(&sample::seed_report()), "");
    let mut report = sample::cut_off();
    report.doubts = vec![Doubt::ConnectionsMissing];
    report.endpoint = None;
    report.advice = None;
    assert_eq!(connection_facts(&report), "");
}

#[test]
fn a_shutdown_in_order_is_short() {
    let mut report = sample::seed_report();
    report.connections = Some(Connections::default());
    let mut drained = report.clone();
    if let Some(connections) = &mut drained.connections {
        connections.at_stop_signal = 1;
        connections.finished = 1;
        connections.resets = vec![ResetCount {
            class: sample::reset_class(Phase::Running, None),
            count: 6,
        }];
    }
    expect![[r#"
        reset: no connection was reset

        open: 1 connection at SIGTERM · until the exit 1 ended by FIN, none was left
        reset: no connection was reset · 6 before, while it was running
    "#]]
    .assert_eq(&(connection_facts(&report) + "\n" + &connection_facts(&drained)));
}

#[test]
fn a_reset_of_the_pod_is_nobodys_and_unknown_reasons_are_told_as_they_are() {
    let mut report = sample::report(Outcome::ForceKilled);
    report.kill = Some(sample::sample_kill(0, KillCause::NoStopSignal));
    report.exit = Some(sample::sample_exit(900, KILLED));
    let of_pod = |reason| ResetClass {
        scope: Scope::Pod,
        ..sample::reset_class(Phase::Closing, reason)
    };
    let count = |class, count| ResetCount { class, count };
    let unknown = ResetClass {
        direction: Direction::Sent,
        ..sample::reset_class(Phase::Stopping, None)
    };
    report.connections = Some(Connections {
        at_stop_signal: 4,
        at_exit: 4,
        last_arrival_at: Some(at_micros(700_000)),
        refused_in_pod: 3,
        resets: vec![
            count(of_pod(Some((Mode::Passive, "no_socket"))), 3),
            count(
                sample::reset_class(Phase::Closing, Some((Mode::Active, "tcp_new_reason"))),
                2,
            ),
            count(unknown, 1),
        ],
        ..Connections::default()
    });
    report.endpoint = Some(Endpoint {
        unready_at: None,
        terminating_at: None,
    });
    report.advice = Some(Advice {
        terminations: 20,
        pre_stop_sleep: Duration::ZERO,
        grace: None,
    });
    expect![[r#"
        open: 4 connections at SIGKILL · until the exit none ended by FIN, 4 were left
        arrivals: the last connection came 700 ms after SIGKILL
        refused: 3 at other ports of its pod, of which container is not known
        reset: ↑ 3 sent in answer to a packet: nothing listens there, or the connection is no more (no_socket) · by its pod, of which container is not known · closing
        reset: ↑ 2 sent by the program or its death: tcp_new_reason · closing
        reset: ↑ 1 sent · stopping
        endpoint: it stayed ready
        so far: 99 % of 20 terminations would have lost nothing by closing the listener at once; what grace period they need is not known, since too many were killed
    "#]].assert_eq(&connection_facts(&report));
}

#[test]
fn probes_are_no_arrivals_and_their_refusals_no_resets_of_connections() {
    let mut report = sample::cut_off();
    if let Some(connections) = &mut report.connections {
        connections.refused = 50;
        connections.refused_from_node = 7;
        connections.accepted_from_node = 2;
    }
    let drawn = render(&report, &Style::PLAIN);
    let row = |name: &str| drawn.lines().find(|line| line.contains(name)).unwrap();
    assert!(row("× refused").ends_with("57 in all"), "{drawn}");
    assert!(row("↑ resets sent").ends_with("4 in all"), "{drawn}");
    assert!(connection_facts(&report).contains("9 from the node itself, most likely probes"));
}

#[test]
fn who_asks_at_an_interval_and_what_is_its_own_is_told() {
    let mut report = sample::cut_off();
    let Some(connections) = &mut report.connections else {
        panic!("the sample has connections");
    };
    connections.initiated_at_stop_signal = 2;
    connections.pollers = vec![Poller {
        address: [10, 0, 0, 7].into(),
        port: 9100,
        every: Duration::from_secs(5),
        accepted: 1,
        refused: 3,
    }];
    let unread = sample::reset_class(Phase::Closing, Some((Mode::Active, "tcp_abort_on_close")));
    let late = sample::reset_class(Phase::Closing, Some((Mode::Passive, "tcp_timewait_socket")));
    connections.resets = vec![
        ResetCount {
            class: ResetClass {
                side: Side::Initiated,
                ..unread.clone()
            },
            count: 2,
        },
        ResetCount {
            class: ResetClass {
                side: Side::Accepted,
                ..unread
            },
            count: 1,
        },
        ResetCount {
            class: ResetClass {
                idle_closed: true,
                ..late
            },
            count: 1,
        },
    ];
    let said = connection_facts(&report);
    for part in [
        "open: 12 connections at SIGTERM, 2 of them its own to others · ",
        "4 from 10.0.0.7 to port 9100 every 5.000 s, as scrapers and health checks come",
        "2 sent by the program or its death: closed while data was unread (tcp_abort_on_close) · of its own connections to others · closing",
        "· data for an idle connection that it had closed · closing",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn an_endpoint_that_was_out_before_is_not_drawn() {
    let mut report = sample::cut_off();
    let before = report.started_at.0 - 60_000_000_000;
    report.endpoint = Some(Endpoint {
        unready_at: Some(Timestamp(before)),
        terminating_at: None,
    });
    assert!(!render(&report, &Style::PLAIN).contains("◆"));
    assert!(connection_facts(&report).contains("not ready 1 min 00 s before the deletion"));
}

#[test]
fn open_terminations_with_resets() {
    let mut report = sample::cut_off();
    report.outcome = Outcome::InProgress;
    report.exit = None;
    report.released_at = None;
    let mut lines = String::new();
    for unicode in [true, false] {
        let style = Style {
            unicode,
            ..Style::PLAIN
        };
        lines.push_str(render_open(&report, at_micros(900_000), &style).trim_start());
        lines.push('\n');
    }
    expect![[r#"
        #3  shop/web-7d4…5-x2x9k/app ░░░░↓↑█↑×███   1.4 s  SIGTERM, SIGKILL in 29.1 s
        #3  shop/web-7d4~5-x2x9k/app ....v^#^x###   1.4 s  SIGTERM, SIGKILL in 29.1 s
    "#]]
    .assert_eq(&lines);
    let drawn = render(&report, &Style::PLAIN);
    assert!(
        !drawn.contains("in all") && drawn.contains("↑ resets sent"),
        "{drawn}"
    );
}
