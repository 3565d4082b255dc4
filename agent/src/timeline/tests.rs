//! What people see, for a report of every outcome. `UPDATE_EXPECT=1 cargo test -p gracewatch` rewrites the pictures.
#![expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes them so"
)]

mod pods;
mod traffic;

use agent_core::event::{Delivery, ExitStatus, Handler};
use agent_core::report::{Doubt, FindingKind, KillCause, Outcome, Report, SubjectKind};
use agent_core::signal::Signal;
use agent_core::time::Timestamp;
use expect_test::{Expect, expect};

use super::sample::{KILLED, at_micros};
use super::*;

fn check_picture(report: &Report, picture: Expect) {
    let drawn = render(report, &Style::PLAIN);
    picture.assert_eq(&drawn);
    for line in drawn.lines() {
        assert!(
            text::display_width(line) <= 80,
            "wider than 80 columns: {line}"
        );
    }
}

#[test]
fn graceful_after_a_hook() {
    check_picture(
        &sample::seed_report(),
        expect![[r#"
        #3  3f9c2a1b7d04  Docker container                          ✔ GRACEFUL  12.031 s
               0 s  preStop hook  █████████████████████████████▉       10.008 s hook
          10.009 s  SIGTERM                                    ██████▉  2.021 s stopping
          12.031 s  exit 0                                           ▏  3.12 ms closing
          12.034 s  released
          Exited by itself with status 0, 2.021 s after SIGTERM; 20 s of its 30 s grace
          were left for that.
          main      sleep 10m · pid 4711, PID 1 of its namespace
          hook      /bin/sh -c 'echo this pod is stopping. > /stop.log && sleep 10s' ·
                    pid 4800, exit 0
          SIGTERM   from runc (pid 4790, child of containerd-shim) · it has a handler
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn graceful_without_a_handler() {
    let mut report = sample::report(Outcome::Graceful);
    report.subject.kind = SubjectKind::SystemdService;
    report.subject.name =
        "a-service-with-a-very-long-name-that-cannot-fit-into-the-heading@instance.service"
            .to_owned();
    report.stop_signal = Some(sample::stop(0, Delivery::Delivered, Handler::Default));
    let signal = Signal::TERM;
    report.exit = Some(sample::sample_exit(
        180,
        ExitStatus::Signal {
            signal,
            core_dumped: false,
        },
    ));
    report.released_at = Some(at_micros(400));
    check_picture(
        &report,
        expect![[r#"
            #3  a-service-with-a-ve…ng@instance.service  systemd service  ✔ GRACEFUL  180 µs
                   0 s  SIGTERM           ██████████████▍                    180 µs stopping
                180 µs  ended by SIGTERM                ██████████████████   220 µs closing
                400 µs  released
              Ended by SIGTERM itself within 180 µs: it has no handler.
              main      sleep 10m · pid 4711, PID 1 of its namespace
              SIGTERM   from runc (pid 4790, child of containerd-shim) · it has no handler
              cgroup    /system.slice/docker-3f9c.scope
        "#]],
    );
}

#[test]
fn signal_ignored() {
    check_picture(
        &sample::ignored(),
        expect![[r#"
        #3  3f9c2a1b7d04  Docker container                    ✘ SIGNAL IGNORED  30.005 s
               0 s  SIGTERM ignored   ███████████████████████████████▉ 30.004 s stopping
          30.004 s  SIGKILL                                          ▏   900 µs dying
          30.005 s  ended by SIGKILL                                 ▏  1.00 ms closing
          30.006 s  released
          Ignored SIGTERM: the kernel threw it away, the process never saw it. SIGKILL
          came 30.004 s later, when its 30 s grace was over.
          finding   The kernel discarded SIGTERM: the main process is PID 1 of its
                    namespace and has no handler for it.
          advice    Install a handler for SIGTERM, or start the program through tini or
                    `docker run --init`.
          main      sleep 10m · pid 4711, PID 1 of its namespace
          SIGTERM   from runc (pid 4790, child of containerd-shim) · thrown away by the
                    kernel
          SIGKILL   from runc (pid 4790, child of containerd-shim) · the grace period
                    was over
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn grace_exceeded_at_the_floor_with_the_hook_still_running() {
    let mut report = sample::report(Outcome::GraceExceeded);
    report.hook = Some(sample::sample_hook(
        &["/drain", "--forever"],
        Some(8_003_000),
        Some(KILLED),
    ));
    if let Some(hook) = &mut report.hook {
        hook.running_at_stop_signal = true;
        hook.ended_by_container = true;
    }
    report.stop_signal = Some(sample::stop(
        6_000_900,
        Delivery::Delivered,
        Handler::Custom,
    ));
    report.kill = Some(sample::sample_kill(8_001_700, KillCause::GraceExpired));
    report.kills_repeated = 2;
    report.exit = Some(sample::sample_exit(8_002_600, KILLED));
    report.released_at = Some(at_micros(8_010_000));
    report.grace = Some(sample::sample_grace(6, 2, true));
    report.findings = vec![sample::finding(
        FindingKind::HookOverran,
        "The preStop hook still ran when the stop signal came, 6.001 s after it had started.",
        "Limit the hook's time, or raise terminationGracePeriodSeconds.",
    )];
    check_picture(
        &report,
        expect![[r#"
        #3  3f9c2a1b7d04  Docker container                     ✘ GRACE EXCEEDED  8.003 s
               0 s  preStop hook      ███████████████████████████████▉  8.003 s hook
           6.001 s  SIGTERM                                  ████████▉  2.001 s stopping
           8.002 s  SIGKILL                                          ▏   900 µs dying
           8.003 s  ended by SIGKILL                                 ▏  7.40 ms closing
           8.010 s  released
          Got SIGTERM and did not exit in time. SIGKILL came 2.001 s later, at the floor
          of 2 s: the hook had used up the 6 s grace.
          finding   The preStop hook still ran when the stop signal came, 6.001 s after
                    it had started.
          advice    Limit the hook's time, or raise terminationGracePeriodSeconds.
          main      sleep 10m · pid 4711, PID 1 of its namespace
          hook      /drain --forever · pid 4800, ended by the container's own death,
                    still running at the stop signal
          SIGTERM   from runc (pid 4790, child of containerd-shim) · it has a handler
          SIGKILL   from runc (pid 4790, child of containerd-shim) · the grace period
                    was over, sent 2 times more
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn force_killed() {
    let mut report = sample::report(Outcome::ForceKilled);
    report.kill = Some(sample::sample_kill(0, KillCause::NoStopSignal));
    report.exit = Some(sample::sample_exit(900, KILLED));
    report.released_at = Some(at_micros(1_900));
    check_picture(
        &report,
        expect![[r#"
        #3  3f9c2a1b7d04  Docker container                        ✘ FORCE KILLED  900 µs
               0 s  SIGKILL           ███████████████▏                   900 µs dying
            900 µs  ended by SIGKILL                 █████████████████  1.00 ms closing
           1.90 ms  released
          Killed by SIGKILL without a stop signal before: no chance to end in order.
          main      sleep 10m · pid 4711, PID 1 of its namespace
          SIGKILL   from runc (pid 4790, child of containerd-shim) · no stop signal came
                    before
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn killed_by_other() {
    let mut report = sample::report(Outcome::KilledByOther);
    let signal = Signal::try_from(3).unwrap();
    report.exit = Some(sample::sample_exit(
        0,
        ExitStatus::Signal {
            signal,
            core_dumped: true,
        },
    ));
    report.released_at = Some(at_micros(90_000));
    check_picture(
        &report,
        expect![[r#"
        #3  3f9c2a1b7d04  Docker container                             ✘ KILLED BY OTHER
               0 s  ended by SIGQUIT, core  ██████████████████████████  90.0 ms closing
           90.0 ms  released
          Ended by SIGQUIT (core dumped), which is part of no ordinary stop.
          main      sleep 10m · pid 4711, PID 1 of its namespace
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn oom_killed() {
    let mut report = sample::report(Outcome::OomKilled);
    report.kill = Some(sample::sample_kill(0, KillCause::Oom));
    if let Some(kill) = &mut report.kill {
        kill.sender.kernel = true;
    }
    report.exit = Some(sample::sample_exit(2_000, KILLED));
    report.released_at = Some(at_micros(5_000));
    report.doubts = vec![Doubt::RecordsLost, Doubt::MainUncertain];
    check_picture(
        &report,
        expect![[r#"
            #3  3f9c2a1b7d04  Docker container            ✘ OOM KILLED (incomplete)  2.00 ms
                   0 s  SIGKILL           ████████████▊                     2.00 ms dying
               2.00 ms  ended by SIGKILL              ████████████████████  3.00 ms closing
               5.00 ms  released
              Killed by the kernel because memory ran out.
              doubt     Records were lost while it was being terminated, or there was no
                        room for them: facts may be missing.
              doubt     Which process is its main process is not certain.
              main      sleep 10m · pid 4711, PID 1 of its namespace
              SIGKILL   from the kernel · out of memory
              cgroup    /system.slice/docker-3f9c.scope
        "#]],
    );
}

#[test]
fn exited_early_with_a_failed_hook() {
    let mut report = sample::report(Outcome::ExitedEarly);
    report.hook = Some(sample::sample_hook(
        &["nginx", "-s", "quit"],
        Some(40_000),
        Some(ExitStatus::Code(1)),
    ));
    report.exit = Some(sample::sample_exit(1_200_000, ExitStatus::Code(0)));
    report.released_at = Some(at_micros(1_300_000));
    check_picture(
        &report,
        expect![[r#"
        #3  3f9c2a1b7d04  Docker container                       ! EXITED EARLY  1.200 s
               0 s  preStop hook  █                                     40.0 ms hook
           40.0 ms  hook exit 1    ████████████████████████████████▏    1.160 s waiting
           1.200 s  exit 0                                         ███   100 ms closing
           1.300 s  released
          Exited by itself with status 0 while it was being terminated, before any stop
          signal.
          main      sleep 10m · pid 4711, PID 1 of its namespace
          hook      nginx -s quit · pid 4800, exit 1
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn crashed() {
    let mut report = sample::report(Outcome::Crashed);
    report.exit = Some(sample::sample_exit(0, ExitStatus::Code(3)));
    report.released_at = Some(at_micros(300));
    check_picture(
        &report,
        expect![[r#"
        #3  3f9c2a1b7d04  Docker container                                     ✘ CRASHED
                 0 s  started   ███████████████████████████████████▉ 1 min 00 s running
          1 min 00 s  exit 3                                       ▏     300 µs closing
          1 min 00 s  released
          Exited by itself with status 3, not by a stop, after it had run for 1 min
          00 s.
          main      sleep 10m · pid 4711, PID 1 of its namespace
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn completed_in_a_cgroup_that_lives_on() {
    let mut report = sample::report(Outcome::Completed);
    report.exit = Some(sample::sample_exit(0, ExitStatus::Code(0)));
    check_picture(
        &report,
        expect![[r#"
        #3  3f9c2a1b7d04  Docker container                                   ✔ COMPLETED
                 0 s  started  █████████████████████████████████████ 1 min 00 s running
          1 min 00 s  exit 0
          Ended by itself with status 0, not by a stop, after it had run for 1 min 00 s.
          main      sleep 10m · pid 4711, PID 1 of its namespace
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn unknown_and_incomplete() {
    let mut report = sample::report(Outcome::Unknown);
    report.main = None;
    report.stop_signal = Some(sample::stop(0, Delivery::Delivered, Handler::Custom));
    report.released_at = Some(at_micros(4_000_000));
    report.doubts = vec![Doubt::SeenLate, Doubt::ExitMissing];
    check_picture(
        &report,
        expect![[r#"
        #3  3f9c2a1b7d04  Docker container                        ? UNKNOWN (incomplete)
               0 s  SIGTERM                                                   ? stopping
           4.000 s  released
          The facts do not suffice to say how it ended.
          doubt     Gracewatch did not follow it from before its termination: what came
                    first may be missing.
          doubt     The exit of its main process was not seen.
          SIGTERM   from runc (pid 4790, child of containerd-shim) · it has a handler
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn verdict_that_is_not_certain() {
    let mut report = sample::ignored();
    report.grace = None;
    report.findings.clear();
    report.doubts = vec![Doubt::GraceUnknown];
    check_picture(
        &report,
        expect![[r#"
        #3  3f9c2a1b7d04  Docker container      ✘ SIGNAL IGNORED (not certain)  30.005 s
               0 s  SIGTERM ignored   ███████████████████████████████▉ 30.004 s stopping
          30.004 s  SIGKILL                                          ▏   900 µs dying
          30.005 s  ended by SIGKILL                                 ▏  1.00 ms closing
          30.006 s  released
          Ignored SIGTERM: the kernel threw it away, the process never saw it. SIGKILL
          came 30.004 s later, as at the end of a grace period.
          doubt     Whether its grace period was over is not certain: that is concluded
                    from who sent SIGKILL, or from when it came.
          main      sleep 10m · pid 4711, PID 1 of its namespace
          SIGTERM   from runc (pid 4790, child of containerd-shim) · thrown away by the
                    kernel
          SIGKILL   from runc (pid 4790, child of containerd-shim) · the grace period
                    was over
          cgroup    /system.slice/docker-3f9c.scope
    "#]],
    );
}

#[test]
fn in_progress() {
    let mut report = sample::seed_report();
    report.outcome = Outcome::InProgress;
    report.exit = None;
    report.released_at = None;
    let drawn = render(&report, &Style::PLAIN);
    expect![[r#"
        #3  3f9c2a1b7d04  Docker container                                 … IN PROGRESS
               0 s  preStop hook  ███████████████████████████████████▉ 10.008 s hook
          10.009 s  SIGTERM                                                   ? stopping
          In progress: SIGTERM, no exit yet.
          main      sleep 10m · pid 4711, PID 1 of its namespace
          hook      /bin/sh -c 'echo this pod is stopping. > /stop.log && sleep 10s' ·
                    pid 4800, exit 0
          SIGTERM   from runc (pid 4790, child of containerd-shim) · it has a handler
          cgroup    /system.slice/docker-3f9c.scope
    "#]]
    .assert_eq(&drawn);
}

#[test]
fn open_terminations_in_one_line_each() {
    let mut report = sample::seed_report();
    report.outcome = Outcome::InProgress;
    report.exit = None;
    report.released_at = None;
    let stopping = report.clone();
    report.stop_signal = None;
    let waiting = report.clone();
    if let Some(hook) = &mut report.hook {
        hook.ended_at = None;
        hook.status = None;
    }
    let mut killed = sample::ignored();
    killed.outcome = Outcome::InProgress;
    killed.exit = None;
    killed.released_at = None;
    let mut lines = String::new();
    for (report, now) in [
        (&report, 4_200_000),
        (&waiting, 10_300_000),
        (&stopping, 17_000_000),
        (&stopping, 31_000_000),
        (&killed, 35_000_000),
    ] {
        for unicode in [true, false] {
            let style = Style {
                unicode,
                ..Style::PLAIN
            };
            lines.push_str(render_open(report, at_micros(now), &style).trim_start());
            lines.push('\n');
        }
    }
    expect![[r#"
        #3  3f9c2a1b7d04             ▒▒▒▒▒▒▒▒▒▒▒▒   4.2 s  preStop hook is running
        #3  3f9c2a1b7d04             ============   4.2 s  preStop hook is running
        #3  3f9c2a1b7d04             ▒▒▒▒▒▒▒▒▒▒▒▒  10.3 s  waiting for stop signal
        #3  3f9c2a1b7d04             ============  10.3 s  waiting for stop signal
        #3  3f9c2a1b7d04             ▒▒▒▒▒▒▒█████  17.0 s  SIGTERM, SIGKILL in 13.0 s
        #3  3f9c2a1b7d04             =======#####  17.0 s  SIGTERM, SIGKILL in 13.0 s
        #3  3f9c2a1b7d04             ▒▒▒▒████████  31.0 s  SIGKILL due 0.9 s ago
        #3  3f9c2a1b7d04             ====########  31.0 s  SIGKILL due 0.9 s ago
        #3  3f9c2a1b7d04             ██████████▓▓  35.0 s  SIGKILL sent, no exit yet
        #3  3f9c2a1b7d04             ##########xx  35.0 s  SIGKILL sent, no exit yet
    "#]]
    .assert_eq(&lines);
}

#[test]
fn ascii_where_the_terminal_knows_no_more() {
    let style = Style {
        unicode: false,
        ..Style::PLAIN
    };
    let drawn = render(&sample::seed_report(), &style);
    expect![[r#"
        #3  3f9c2a1b7d04  Docker container                            GRACEFUL  12.031 s
               0 s  preStop hook  #############################        10.008 s hook
          10.009 s  SIGTERM                                    ######   2.021 s stopping
          12.031 s  exit 0                                           #  3.12 ms closing
          12.034 s  released
          Exited by itself with status 0, 2.021 s after SIGTERM; 20 s of its 30 s grace
          were left for that.
          main      sleep 10m - pid 4711, PID 1 of its namespace
          hook      /bin/sh -c 'echo this pod is stopping. > /stop.log && sleep 10s' -
                    pid 4800, exit 0
          SIGTERM   from runc (pid 4790, child of containerd-shim) - it has a handler
          cgroup    /system.slice/docker-3f9c.scope
    "#]]
    .assert_eq(&drawn);
    assert!(drawn.is_ascii());
}

#[test]
fn wide() {
    let style = Style {
        width: 120,
        ..Style::PLAIN
    };
    expect![[r#"
        #3  3f9c2a1b7d04  Docker container                                                                  ✔ GRACEFUL  12.031 s
               0 s  preStop hook  ███████████████████████████████████████████████████████████████▏             10.008 s hook
          10.009 s  SIGTERM                                                                      ████████████▉  2.021 s stopping
          12.031 s  exit 0                                                                                   ▏  3.12 ms closing
          12.034 s  released
          Exited by itself with status 0, 2.021 s after SIGTERM; 20 s of its 30 s grace were left for that.
          main      sleep 10m · pid 4711, PID 1 of its namespace
          hook      /bin/sh -c 'echo this pod is stopping. > /stop.log && sleep 10s' · pid 4800, exit 0
          SIGTERM   from runc (pid 4790, child of containerd-shim) · it has a handler
          cgroup    /system.slice/docker-3f9c.scope
    "#]].assert_eq(&render(&sample::seed_report(), &style));
}

#[test]
fn colours_change_nothing_but_colours() {
    let style = Style {
        colors: true,
        ..Style::PLAIN
    };
    for report in [sample::seed_report(), sample::ignored()] {
        let colored = render(&report, &style);
        assert!(colored.contains("\u{1b}["));
        assert_eq!(without_escapes(&colored), render(&report, &Style::PLAIN));
    }
}

fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut inside = false;
    for character in text.chars() {
        match (inside, character) {
            (false, '\u{1b}') => inside = true,
            (false, other) => plain.push(other),
            (true, 'm') => inside = false,
            (true, _) => {}
        }
    }
    plain
}

#[test]
fn names_cannot_command_the_terminal() {
    let mut report = sample::seed_report();
    report.subject.name = "\u{1b}]0;owned\u{7}".to_owned();
    if let Some(main) = &mut report.main {
        main.argv = vec!["\u{1b}[2J".to_owned()];
    }
    assert!(!render(&report, &Style::PLAIN).contains('\u{1b}'));
    assert!(!render_open(&report, at_micros(1), &Style::PLAIN).contains('\u{1b}'));
}

#[test]
fn a_narrow_terminal_gets_whole_bars() {
    let style = Style {
        width: 40,
        ..Style::PLAIN
    };
    assert!(render(&sample::seed_report(), &style).contains("██████"));
}
