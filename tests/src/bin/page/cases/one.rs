//! The page of one termination.

use anyhow::Result;
use gracewatch_tests::claim;

use super::{Case, Stage, new_case, newest};

pub(super) const ALL: &[Case] = &[
    new_case("termination", termination),
    new_case("connections", connections),
    new_case("not_kept", not_kept),
];

fn termination(stage: &Stage) -> Result<()> {
    let served = stage.serve_recordings()?;
    let mut tab = stage.open_tab(&served)?;
    let address = newest(&mut tab, "signal_ignored")?;
    tab.load_page(&address)?;
    for text in [
        "SIGNAL IGNORED",
        "Ignored SIGTERM: the kernel threw it away",
        "The kernel threw SIGTERM away",
        "kernel: signal_generate",
        "kernel: sched_process_exit",
    ] {
        tab.require(&format!(
            "document.getElementById('termination').textContent.includes('{text}')"
        ))?;
    }
    // The facts are in the order of their times, from T0 on: those before it have a minus.
    let offsets = tab.evaluate(
        "[...document.querySelectorAll('.steps tbody tr')].map(row => row.children[0].textContent)",
    )?;
    let offsets: Vec<String> = serde_json::from_value(offsets)?;
    let times: Vec<f64> = offsets
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    claim!(
        times.len() >= 5 && times.is_sorted(),
        "the facts are at {times:?}"
    );
    // What is drawn is to scale: the bar of the grace period is as long as its share.
    tab.require("document.querySelectorAll('.lanes rect.phase').length >= 3")?;
    tab.require(
        "fetch(document.getElementById('json').href).then(answer => answer.json())\
         .then(json => json.report.outcome === 'signal_ignored' && json.clock.recording)",
    )?;
    // A number alone leads to the same.
    let number = address
        .rsplit('/')
        .next()
        .and_then(|key| key.split('-').next());
    tab.load_page(&format!("/terminations/{}", number.unwrap_or_default()))?;
    tab.require(&format!("location.pathname === '{address}'"))?;
    tab.close_tab()
}

fn connections(stage: &Stage) -> Result<()> {
    let served = stage.serve_recordings()?;
    let mut tab = stage.open_tab(&served)?;
    tab.load_page("/")?;
    tab.require("document.querySelectorAll('#terminations use.mark.sent').length > 0")?;
    let address = tab.eval_text(
        "new URL(document.querySelector('#terminations use.mark.sent').closest('article').querySelector('h2 a').href).pathname",
    )?;
    tab.load_page(&address)?;
    tab.require(
        "document.querySelector('#connections + .wide tbody tr').textContent.includes('sent')",
    )?;
    tab.evaluate("document.querySelector('#marks summary').click()")?;
    tab.require("document.querySelectorAll('#marks tbody tr').length > 0")?;
    tab.require("document.querySelectorAll('.lanes use.mark.sent').length > 0")?;
    tab.close_tab()
}

fn not_kept(stage: &Stage) -> Result<()> {
    let served = stage.serve_recordings()?;
    let mut tab = stage.open_tab(&served)?;
    tab.expect("404");
    for key in ["99999-recording", "1-19a0b", "1x"] {
        tab.load_page(&format!("/terminations/{key}"))?;
        tab.require("document.querySelector('main').textContent.includes('There is no such termination in this recording.')")?;
        tab.require(&format!(
            "fetch('../api/v1/terminations/{key}').then(answer => answer.status === 404)"
        ))?;
    }
    tab.close_tab()
}
