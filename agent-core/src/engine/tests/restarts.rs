//! A service's next main process, which enters the same cgroup soon after the last one's exit.

use super::scene::{HANDLED, Scene, Who, exec_event, mains_and_outcomes, populated, reports};
use crate::event::{EventKind, Exit, ExitStatus, Process, Tgid};
use crate::report::Outcome;
use crate::time::Timestamp;

fn main_at(at: f64, tgid: u32) -> Process {
    Process {
        tgid: Tgid(tgid),
        start: Timestamp(0).after(std::time::Duration::from_secs_f64(at)),
        ..Who::Plain.process()
    }
}

fn exit_event(process: Process, code: u8) -> EventKind {
    EventKind::Exit(Exit {
        process,
        status: ExitStatus::Code(code),
        executed: true,
        pending: None,
        ns_reboot: None,
    })
}

/// systemd starts this program, whose exit code is 1, for so many seconds.
fn runs_command(scene: Scene, at: f64, seconds: f64, tgid: u32, command: &str) -> Scene {
    let process = main_at(at, tgid);
    scene
        .at_second(at)
        .happens(populated(true))
        .happens(EventKind::Attach(process.clone()))
        .at_second(at + 0.001)
        .happens(exec_event(
            process.clone(),
            "/usr/lib/systemd/systemd-executor",
        ))
        .at_second(at + 0.002)
        .happens(exec_event(process.clone(), command))
        .at_second(at + seconds)
        .happens(exit_event(process, 1))
        .happens(populated(false))
}

#[test]
fn each_crash_of_a_loop_is_reported() {
    let mut scene = Scene::service();
    for (number, tgid) in (0_u32..5).zip(400..) {
        scene = runs_command(scene, 10.0 + f64::from(number) * 0.2, 0.1, tgid, "/app");
    }
    let (_, reports) = scene.finish();
    let expected: Vec<_> = (400..405).map(|tgid| (tgid, Outcome::Crashed)).collect();
    assert_eq!(mains_and_outcomes(&reports), expected);
    assert!(reports.iter().all(|report| report.doubts.is_empty()));
}

#[test]
fn the_next_main_process_is_stopped_as_any() {
    let scene = runs_command(Scene::service(), 10.0, 1.0, 400, "/app");
    let next = main_at(11.05, 401);
    let scene = scene
        .at_second(11.05)
        .happens(populated(true))
        .happens(exec_event(next.clone(), "/app"))
        .at_second(30.0);
    assert_eq!(
        mains_and_outcomes(&reports(&scene.said)),
        [(400, Outcome::Crashed)]
    );
    let mut stop = super::scene::signal_sent(Who::Runc, Who::Plain, 15, HANDLED);
    if let EventKind::Signal(sent) = &mut stop {
        sent.target = next.clone();
    }
    let (_, reports) = scene
        .happens(stop)
        .at_second(30.5)
        .happens(exit_event(next, 0))
        .becomes_empty()
        .finish();
    let expected = [(400, Outcome::Crashed), (401, Outcome::Graceful)];
    assert_eq!(mains_and_outcomes(&reports), expected);
}

/// `KillMode=process` leaves the others in the cgroup; the next program may be another one.
#[test]
fn the_next_main_process_may_find_others_and_be_another_program() {
    let first = main_at(10.0, 400);
    let next = main_at(11.3, 401);
    let (_, reports) = Scene::service()
        .at_second(10.0)
        .happens(exec_event(first.clone(), "/app"))
        .at_second(11.0)
        .happens(exit_event(first, 1))
        .at_second(11.3)
        .happens(exec_event(next.clone(), "/app --recover"))
        .at_second(60.0)
        .happens(exit_event(next, 2))
        .becomes_empty()
        .finish();
    let expected = [(400, Outcome::Crashed), (401, Outcome::Crashed)];
    assert_eq!(mains_and_outcomes(&reports), expected);
}

/// `ExecStopPost=` runs a program after the main process is gone.
#[test]
fn what_cleans_up_after_the_main_process_is_none() {
    let scene = runs_command(Scene::service(), 10.0, 1.0, 400, "/app");
    let scene = runs_command(scene, 11.01, 0.05, 401, "/bin/rm -f /run/app.pid");
    let (_, reports) = scene.finish();
    assert_eq!(mains_and_outcomes(&reports), [(400, Outcome::Crashed)]);
}
