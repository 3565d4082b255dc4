//! systemd's own signals, its watchdog and its timers.

use super::super::scene::{
    FATAL, HANDLED, IGNORED, QUEUED, Scene, Sent, Who, doubts, finding_kinds, is_unsure,
    stop_number,
};
use super::{
    ABRT, HUP, INT, QUIT, TERM, by, code, ended, forked, found, is_certain, main, populated, runs,
    runs_in, sent, service, stops, systemd,
};
use crate::event::{Delivered, EventKind, Handler, Process, SignalSent, Tgid};
use crate::report::{FindingKind, Outcome};
use crate::signal::Signal;

#[test]
fn sigterm_with_its_default_action_and_sigcont() {
    let report = stops(runs().at_second(10.0), FATAL)
        .happens(ended(&main(), by(TERM)))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(doubts(&report), []);
    assert_eq!(finding_kinds(&report), []);
}

/// SendSIGHUP=yes: a login shell ignores SIGTERM and ends by SIGHUP.
#[test]
fn sighup_after_an_ignored_sigterm() {
    let report = runs()
        .at_second(10.0)
        .happens(sent(
            &systemd(),
            &main(),
            TERM,
            Sent {
                handler: Handler::Ignore,
                ..IGNORED
            },
        ))
        .happens(sent(&systemd(), &main(), HUP, HANDLED))
        .at_second(10.1)
        .happens(ended(&main(), code(129)))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    let blames = finding_kinds(&report).contains(&FindingKind::SignalIgnored);
    assert!(!blames || is_unsure(&report), "{report:#?}");
}

/// The watchdog's SIGABRT with its default action.
#[test]
fn the_watchdog_aborts() {
    let report = runs()
        .at_second(10.0)
        .happens(sent(&systemd(), &main(), ABRT, QUEUED))
        .happens(EventKind::Delivered(Delivered {
            process: main(),
            signal: Signal::try_from(ABRT).unwrap(),
            handler: Handler::Default,
            unkillable: false,
            traced: false,
        }))
        .at_second(10.5)
        .happens(ended(&main(), by(ABRT)))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::KilledByOther);
}

/// The watchdog's SIGABRT does not end it (it hangs in the kernel); SIGKILL 90 s later does.
#[test]
fn the_watchdog_aborts_and_kills() {
    let report = runs()
        .at_second(10.0)
        .happens(sent(&systemd(), &main(), ABRT, HANDLED))
        .at_second(100.1)
        .happens(sent(&systemd(), &main(), 9, FATAL))
        .happens(ended(&main(), by(9)))
        .happens(populated(false))
        .report();
    let claims = finding_kinds(&report).contains(&FindingKind::KilledWithoutStopSignal);
    assert!(!claims || !is_certain(&report), "{report:#?}");
}

/// FinalKillSignal=SIGQUIT.
#[test]
fn the_final_signal_is_another_one() {
    let report = stops(runs_in(service(Some(5), None)).at_second(10.0), HANDLED)
        .at_second(15.1)
        .happens(sent(&systemd(), &main(), QUIT, FATAL))
        .happens(ended(&main(), by(QUIT)))
        .happens(populated(false))
        .report();
    assert_eq!(stop_number(&report), Some(TERM));
    assert!(report.outcome == Outcome::GraceExceeded || !is_certain(&report));
}

/// KillSignal=SIGINT, of which nobody told; Python dies of it.
#[test]
fn an_unconfigured_sigint_of_systemd() {
    let report = runs()
        .at_second(10.0)
        .happens(sent(&systemd(), &main(), INT, HANDLED))
        .at_second(10.4)
        .happens(ended(&main(), by(INT)))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(stop_number(&report), Some(INT));
    assert_eq!(doubts(&report), []);
}

/// KillSignal=SIGQUIT and TimeoutStopSec=300, of which nobody told: nginx drains for 120 s.
#[test]
fn a_long_drain_after_an_unconfigured_sigquit() {
    for scene in [runs(), runs_in(service(Some(300), None))] {
        let report = scene
            .at_second(10.0)
            .happens(sent(&systemd(), &main(), QUIT, HANDLED))
            .at_second(130.0)
            .happens(ended(&main(), code(0)))
            .happens(populated(false))
            .receives(found(&[]))
            .report();
        assert!(
            report.outcome == Outcome::Graceful || !is_certain(&report),
            "{:?}",
            report.outcome
        );
    }
}

/// The same in a container: `docker stop -t 300` of nginx.
#[test]
fn a_long_drain_of_a_container_after_an_unconfigured_sigquit() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .sends_signal(Who::Runc, Who::Main, QUIT, HANDLED)
        .at_second(130.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert!(
        report.outcome == Outcome::Graceful || !is_certain(&report),
        "{:?}",
        report.outcome
    );
}

/// TimeoutStopSec=2h: SIGKILL comes two hours after SIGTERM, and nobody told the grace period.
#[test]
fn sigkill_hours_after_the_stop_signal() {
    let report = stops(runs().at_second(10.0), HANDLED)
        .at_second(7210.1)
        .happens(sent(&systemd(), &main(), 9, FATAL))
        .happens(ended(&main(), by(9)))
        .happens(populated(false))
        .report();
    assert!(
        report.outcome == Outcome::GraceExceeded || !is_certain(&report),
        "{:?} {:?}",
        report.outcome,
        finding_kinds(&report)
    );
}

/// TimeoutStopSec=infinity: an orderly end hours after SIGTERM.
#[test]
fn an_orderly_end_hours_after_the_stop_signal() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .stop(HANDLED)
        .at_second(7210.1)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert!(
        report.outcome == Outcome::Graceful || !is_certain(&report),
        "{:?}",
        report.outcome
    );
}

/// systemd stops a container's scope, and docker does, too.
#[test]
fn two_runtimes_stop_it() {
    let report = Scene::with_grace_and_hook(10, None)
        .running()
        .at_second(10.0)
        .happens(sent(&systemd(), &Who::Main.process(), TERM, HANDLED))
        .at_second(10.5)
        .stop(HANDLED)
        .at_second(12.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(doubts(&report), []);
}

/// systemd-oomd kills the whole unit.
#[test]
fn systemd_oomd_kills() {
    let oomd = Process {
        tgid: Tgid(77),
        comm: "systemd-oomd".to_owned(),
        ..systemd()
    };
    let report = runs()
        .at_second(10.0)
        .happens(sent(&oomd, &main(), 9, FATAL))
        .happens(ended(&main(), by(9)))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::ForceKilled);
}

/// OOMPolicy=stop: a child is chosen, systemd stops the rest.
#[test]
fn a_child_out_of_memory_makes_systemd_stop_the_service() {
    let report = stops(
        runs()
            .at_second(10.0)
            .happens(EventKind::OomVictim {
                pid: 401,
                comm: Some("worker".to_owned()),
            })
            .at_second(10.01),
        HANDLED,
    )
    .at_second(10.5)
    .happens(ended(&main(), code(0)))
    .happens(populated(false))
    .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&report), [FindingKind::ChildOomKilled]);
}

/// `timeout -s KILL`, `kill -9 $$`: the program ends itself.
#[test]
fn a_program_that_kills_itself_was_killed_by_nobody_else() {
    let report = runs()
        .at_second(10.0)
        .happens(sent(&main(), &main(), 9, FATAL))
        .happens(ended(&main(), by(9)))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::Crashed);
}

/// A worker of five days ago is no matter of this stop.
#[test]
fn an_old_victim_is_no_finding_of_an_orderly_stop() {
    let report = Scene::container()
        .running()
        .at_second(10.0)
        .happens(EventKind::OomVictim {
            pid: 300,
            comm: Some("worker".to_owned()),
        })
        .at_second(400_000.0)
        .stop(HANDLED)
        .at_second(400_001.0)
        .exits_with_code(Who::Main, 0)
        .removed()
        .report();
    assert_eq!(finding_kinds(&report), []);
}

/// A session's shell: SIGHUP by systemd (KillSignal of scopes is SIGTERM, SendSIGHUP=yes), and it ends by SIGHUP.
#[test]
fn a_login_shell_dies_of_sighup() {
    let report = runs()
        .at_second(10.0)
        .happens(sent(
            &systemd(),
            &main(),
            TERM,
            Sent {
                handler: Handler::Ignore,
                ..IGNORED
            },
        ))
        .happens(sent(&systemd(), &main(), HUP, FATAL))
        .happens(ended(&main(), by(HUP)))
        .happens(populated(false))
        .report();
    assert!(report.outcome == Outcome::Graceful || !is_certain(&report));
    let blames = finding_kinds(&report).contains(&FindingKind::SignalIgnored);
    assert!(!blames || !is_certain(&report));
}

/// RestartForceExitStatus, `exit 0` after SIGTERM of which systemd's own SIGKILL to the rest follows (KillMode=mixed).
#[test]
fn kill_mode_mixed() {
    let child = forked(401, 5.0, 400);
    let EventKind::Signal(kill) = sent(&systemd(), &child, 9, FATAL) else {
        panic!("a signal");
    };
    let report = stops(runs().at_second(10.0), HANDLED)
        .at_second(10.5)
        .happens(ended(&main(), code(0)))
        .happens(EventKind::Signal(SignalSent {
            watched: false,
            ..kill
        }))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::Graceful);
    assert_eq!(finding_kinds(&report), []);
    assert_eq!(doubts(&report), []);
}

/// TimeoutStopSec=5 is known, systemd's timer is late, and SIGKILL goes to the main process by cgroup.kill.
#[test]
fn systemds_timer_is_late() {
    let report = stops(runs_in(service(Some(5), None)).at_second(10.0), HANDLED)
        .at_second(15.24)
        .happens(sent(&systemd(), &main(), 9, FATAL))
        .happens(ended(&main(), by(9)))
        .happens(populated(false))
        .report();
    assert_eq!(report.outcome, Outcome::GraceExceeded);
    assert_eq!(doubts(&report), []);
}
