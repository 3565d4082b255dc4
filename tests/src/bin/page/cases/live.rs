//! What updates itself, with an agent that measures: `gracewatch run` on containers of this test.

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use gracewatch_tests::claim;
use gracewatch_tests::rig::cgroup::Folder;
use gracewatch_tests::rig::kubelet::{Act, Stop};
use gracewatch_tests::rig::launch::{Launch, Launched};
use gracewatch_tests::whole::Whole;

use super::{Case, Stage, new_case};
use crate::tab::Tab;

pub(super) const ALL: &[Case] = &[new_case("live", live_updates)];

/// How long a container takes to stop: long enough to look at it meanwhile.
const TAKES: Duration = Duration::from_secs(4);
const GRACE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_secs(15);

fn live_updates(stage: &Stage) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "an agent that measures loads probes: run this as root"
    );
    let folder = Folder::new("page")?;
    let glob = format!("{}/*", folder.path());
    let log = stage.toolbox.folder().join("page.agent");
    let subjects = stage.toolbox.folder().join("page.subjects.json");
    std::fs::write(
        &subjects,
        format!(
            "[{{\"cgroup\": \"{glob}\", \"grace_seconds\": {}}}]",
            GRACE.as_secs()
        ),
    )?;
    let agent = Whole::start(&glob, &["--subjects", &subjects.to_string_lossy()], &log)?;
    let mut tab = Tab::open_tab(&stage.browser, &format!("http://{}", agent.address()))?;
    tab.load_page("/")?;
    tab.require("document.querySelector('#rest').textContent.includes('No termination yet')")?;
    tab.evaluate("document.getElementById('filter-outcome').focus()")?;
    watch_one_stop(stage, &folder, &mut tab)?;
    keeps_the_place(stage, &folder, &mut tab)?;
    pauses(stage, &folder, &mut tab)?;
    tab.expect("ERR_CONNECTION_REFUSED");
    tab.expect("ERR_EMPTY_RESPONSE");
    tab.expect("ERR_CONNECTION_RESET");
    agent.stop()?;
    tab.wait_until("document.getElementById('updates').textContent.includes('does not answer')")?;
    tab.close_tab()
}

fn start(stage: &Stage, folder: &Folder, name: &str, takes: Duration) -> Result<Launched> {
    let toolbox = &stage.toolbox;
    let log = toolbox.log(name);
    let argv = [
        toolbox.program("app").into_os_string(),
        "--log".into(),
        log.path().into(),
        "--takes".into(),
        takes.as_millis().to_string().into(),
    ];
    let main = Launch::new(&folder.create_cgroup(name)?, argv).start(toolbox)?;
    main.wait_exec()?;
    log.wait_for("ready", SOON)?;
    // As old as what is stopped usually is.
    thread::sleep(Duration::from_millis(1500));
    Ok(main)
}

/// Stops a container, removes it, and waits until the list has it as finished.
fn stop(stage: &Stage, folder: &Folder, tab: &mut Tab, name: &str) -> Result<()> {
    let mut main = start(stage, folder, name, Duration::from_millis(100))?;
    Stop::within(GRACE).run(&stage.toolbox, &mut main, &|_act| {})?;
    folder.create_cgroup(name)?.remove()?;
    tab.wait_until(&format!("document.body.textContent.includes('{name}')"))
}

/// An open termination appears, grows and becomes a finished one, while the focus stays where it is.
fn watch_one_stop(stage: &Stage, folder: &Folder, tab: &mut Tab) -> Result<()> {
    let mut main = start(stage, folder, "slow", TAKES)?;
    let (told, signalled) = sync_channel(1);
    thread::scope(|scope| {
        let stopping = scope.spawn(move || {
            let tell = |act| {
                if let Act::SignalSent(_) = act {
                    told.try_send(()).ok();
                }
            };
            Stop::within(GRACE).run(&stage.toolbox, &mut main, &tell)
        });
        signalled.recv_timeout(SOON).context("no signal was sent")?;
        if let Err(error) = look_at_it(tab) {
            if stopping.is_finished() {
                bail!("it was over before all of it had been looked at: {error:#}");
            }
            return Err(error);
        }
        stopping
            .join()
            .map_err(|_panic| anyhow::anyhow!("the stop panicked"))??;
        folder.create_cgroup("slow")?.remove()?;
        tab.wait_until("document.querySelector('#terminations .badge')?.textContent.includes('GRACEFUL') === true")?;
        tab.require("document.querySelector('#terminations time') !== null")?;
        tab.require("document.activeElement.id === 'filter-outcome'")?;
        tab.require("document.querySelector('#rest').textContent.trim() === ''")
    })
}

/// An open termination is said to be one, and its bar grows to scale.
fn look_at_it(tab: &mut Tab) -> Result<()> {
    tab.wait_until("document.querySelector('#terminations .badge')?.textContent.includes('IN PROGRESS') === true")?;
    tab.require("document.querySelector('.when').textContent.includes('SIGKILL in')")?;
    let width =
        "document.querySelector('#terminations rect.phase.stopping').getBoundingClientRect().width";
    let before = tab.number(width)?;
    tab.wait_until(&format!("{width} > {before} + 10"))?;
    let after = tab.number(width)?;
    let whole = tab
        .number("document.querySelector('#terminations svg.bar').getBoundingClientRect().width")?;
    claim!(
        after < whole / 2.0,
        "{after} px of {whole} are no {TAKES:?} of {GRACE:?}"
    );
    tab.require("document.activeElement.id === 'filter-outcome'")?;
    Ok(())
}

/// What comes above moves nothing, and takes no focus from a link.
fn keeps_the_place(stage: &Stage, folder: &Folder, tab: &mut Tab) -> Result<()> {
    stop(stage, folder, tab, "second")?;
    tab.set_size(600, 300)?;
    tab.evaluate("document.querySelector('#terminations > li:last-child h2 a').focus()")?;
    tab.require("scrollY > 0")?;
    let focused = tab.eval_text("document.activeElement.id")?;
    let top = "document.activeElement.getBoundingClientRect().top";
    let before = tab.number(top)?;
    stop(stage, folder, tab, "third")?;
    tab.require(&format!("document.activeElement.id === '{focused}'"))?;
    let after = tab.number(top)?;
    claim!(
        (after - before).abs() < 2.0,
        "what has the focus moved from {before} to {after}"
    );
    tab.require("document.querySelector('#terminations > li').textContent.includes('third')")
}

/// While it is paused, nothing changes; then all of it comes.
fn pauses(stage: &Stage, folder: &Folder, tab: &mut Tab) -> Result<()> {
    tab.evaluate("document.getElementById('pause').click()")?;
    tab.require("document.getElementById('updates').textContent.includes('paused')")?;
    let mut main = start(stage, folder, "fourth", Duration::from_millis(100))?;
    Stop::within(GRACE).run(&stage.toolbox, &mut main, &|_act| {})?;
    folder.create_cgroup("fourth")?.remove()?;
    thread::sleep(Duration::from_secs(3));
    tab.require("!document.body.textContent.includes('fourth')")?;
    tab.evaluate("document.getElementById('pause').click()")?;
    tab.wait_until("document.body.textContent.includes('fourth')")?;
    tab.require("document.getElementById('pause').textContent === 'pause'")
}
