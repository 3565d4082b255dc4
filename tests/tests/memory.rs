//! What one container can make the engine remember. A test of its own process, since it looks at the memory of that.

use agent_core::config::{Config, ConfigError, Limits};
use agent_core::engine::Engine;
use agent_core::event::{CgroupId, Event, EventKind, Exec, Process, Tgid};
use agent_core::input::Input;
use agent_core::time::Timestamp;
use gracewatch_tests::process_status;

const CONTAINERS: u32 = 64;
const PROCESSES: u32 = 256;
const EXECS: u64 = 4;

/// Bytes that 64 inner containers may take, each with 256 processes that execute programs with many words.
const BYTES_MAX: u64 = 8 << 20;

fn engine() -> Result<Engine, ConfigError> {
    let config = Config {
        systemd: true,
        containers: true,
        selectors: Vec::new(),
        pods: true,
        reset_reasons: None,
        remaining: true,
        limits: Limits::default(),
    };
    Engine::new(config)
}

fn path(number: u32) -> String {
    let id = "0123456789abcdef".repeat(4);
    format!("/kubepods/burstable/pod1/{id}/docker/{number:064x}")
}

fn process(container: u32, number: u32) -> Process {
    let tgid = container * 1000 + number + 1;
    Process {
        tgid: Tgid(tgid),
        ns_tgid: number + 1,
        ns_level: 2,
        ns_inum: 2,
        start: Timestamp(u64::from(tgid) * 1_000_000),
        container: Some(CgroupId(container.into())),
        parent_tgid: Tgid(1),
        parent_outside: true,
        parent_comm: "runc".to_owned(),
        comm: "sh".to_owned(),
    }
}

fn handle_event(engine: &mut Engine, cgroup: u32, at: u64, kind: EventKind) {
    let event = Event {
        at: Timestamp(at),
        container: Some(CgroupId(cgroup.into())),
        cgroup: CgroupId(cgroup.into()),
        kind,
    };
    engine.handle(Input::Event(event), Timestamp(at));
    while engine.poll_output().is_some() {}
}

#[test]
fn inner_containers_with_long_command_lines_take_little() -> anyhow::Result<()> {
    let mut engine = engine()?;
    let before = process_status::read_bytes("self", "RssAnon")?;
    let mut at = 1_000_000_000_000;
    for container in 10..10 + CONTAINERS {
        let made = EventKind::CgroupMade {
            parent: CgroupId(9),
            path: path(container),
        };
        handle_event(&mut engine, container, at, made);
        for number in 0..PROCESSES {
            for _exec in 0..EXECS {
                at += 1;
                let exec = EventKind::Exec(Exec {
                    process: process(container, number),
                    argv: vec!["x".to_owned(); 256],
                    argv_cut: true,
                });
                handle_event(&mut engine, container, at, exec);
            }
        }
    }
    let grown = process_status::read_bytes("self", "RssAnon")?.saturating_sub(before);
    assert!(grown <= BYTES_MAX, "{grown} bytes");
    Ok(())
}
