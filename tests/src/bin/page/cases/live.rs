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

use super::{Case, Stage, case};
use crate::tab::Tab;

pub(super) const ALL: &[Case] = &[case("live", live)];

/// How long a container takes to stop: long enough to look at it meanwhile.
const TAKES: Duration = Duration::from_secs(4);
const GRACE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_secs(15);

fn live(stage: &Stage) -> Result<()> {
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
    let mut tab = Tab::open(&stage.browser, &format!("http://{}", agent.address()))?;
    tab.go("/")?;
    tab.check("document.querySelector('#rest').textContent.includes('No termination yet')")?;
    tab.eval("document.getElementById('filter-outcome').focus()")?;
    watch_one_stop(stage, &folder, &mut tab)?;
    keeps_the_place(stage, &folder, &mut tab)?;
    pauses(stage, &folder, &mut tab)?;
    tab.expect("ERR_CONNECTION_REFUSED");
    tab.expect("ERR_EMPTY_RESPONSE");
    tab.expect("ERR_CONNECTION_RESET");
    agent.stop()?;
    tab.wait("document.getElementById('updates').textContent.includes('does not answer')")?;
    tab.close()
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
    let main = Launch::new(&folder.make(name)?, argv).start(toolbox)?;
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
    folder.make(name)?.remove()?;
    tab.wait(&format!("document.body.textContent.includes('{name}')"))
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
        folder.make("slow")?.remove()?;
        tab.wait("document.querySelector('#terminations .badge')?.textContent.includes('GRACEFUL') === true")?;
        tab.check("document.querySelector('#terminations time') !== null")?;
        tab.check("document.activeElement.id === 'filter-outcome'")?;
        tab.check("document.querySelector('#rest').textContent.trim() === ''")
    })
}

/// An open termination is said to be one, and its bar grows to scale.
fn look_at_it(tab: &mut Tab) -> Result<()> {
    tab.wait("document.querySelector('#terminations .badge')?.textContent.includes('IN PROGRESS') === true")?;
    tab.check("document.querySelector('.when').textContent.includes('SIGKILL in')")?;
    let width =
        "document.querySelector('#terminations rect.phase.stopping').getBoundingClientRect().width";
    let before = tab.number(width)?;
    tab.wait(&format!("{width} > {before} + 10"))?;
    let after = tab.number(width)?;
    let whole = tab
        .number("document.querySelector('#terminations svg.bar').getBoundingClientRect().width")?;
    claim!(
        after < whole / 2.0,
        "{after} px of {whole} are no {TAKES:?} of {GRACE:?}"
    );
    tab.check("document.activeElement.id === 'filter-outcome'")?;
    Ok(())
}

/// What comes above moves nothing, and takes no focus from a link.
fn keeps_the_place(stage: &Stage, folder: &Folder, tab: &mut Tab) -> Result<()> {
    stop(stage, folder, tab, "second")?;
    tab.size(600, 300)?;
    tab.eval("document.querySelector('#terminations > li:last-child h2 a').focus()")?;
    tab.check("scrollY > 0")?;
    let focused = tab.text("document.activeElement.id")?;
    let top = "document.activeElement.getBoundingClientRect().top";
    let before = tab.number(top)?;
    stop(stage, folder, tab, "third")?;
    tab.check(&format!("document.activeElement.id === '{focused}'"))?;
    let after = tab.number(top)?;
    claim!(
        (after - before).abs() < 2.0,
        "what has the focus moved from {before} to {after}"
    );
    tab.check("document.querySelector('#terminations > li').textContent.includes('third')")
}

/// While it is paused, nothing changes; then all of it comes.
fn pauses(stage: &Stage, folder: &Folder, tab: &mut Tab) -> Result<()> {
    tab.eval("document.getElementById('pause').click()")?;
    tab.check("document.getElementById('updates').textContent.includes('paused')")?;
    let mut main = start(stage, folder, "fourth", Duration::from_millis(100))?;
    Stop::within(GRACE).run(&stage.toolbox, &mut main, &|_act| {})?;
    folder.make("fourth")?.remove()?;
    thread::sleep(Duration::from_secs(3));
    tab.check("!document.body.textContent.includes('fourth')")?;
    tab.eval("document.getElementById('pause').click()")?;
    tab.wait("document.body.textContent.includes('fourth')")?;
    tab.check("document.getElementById('pause').textContent === 'pause'")
}
