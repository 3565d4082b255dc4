//! The page of one termination.

use anyhow::Result;
use gracewatch_tests::claim;

use super::{Case, Stage, case, newest};

pub(super) const ALL: &[Case] = &[
    case("termination", termination),
    case("connections", connections),
    case("not_kept", not_kept),
];

fn termination(stage: &Stage) -> Result<()> {
    let served = stage.serve()?;
    let mut tab = stage.tab(&served)?;
    let address = newest(&mut tab, "signal_ignored")?;
    tab.go(&address)?;
    for text in [
        "SIGNAL IGNORED",
        "Ignored SIGTERM: the kernel threw it away",
        "The kernel threw SIGTERM away",
        "kernel: signal_generate",
        "kernel: sched_process_exit",
    ] {
        tab.check(&format!(
            "document.getElementById('termination').textContent.includes('{text}')"
        ))?;
    }
    // The facts are in the order of their times, from T0 on: those before it have a minus.
    let offsets = tab.eval(
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
    tab.check("document.querySelectorAll('.lanes rect.phase').length >= 3")?;
    tab.check(
        "fetch(document.getElementById('json').href).then(answer => answer.json())\
         .then(json => json.report.outcome === 'signal_ignored' && json.clock.recording)",
    )?;
    // A number alone leads to the same.
    let number = address
        .rsplit('/')
        .next()
        .and_then(|key| key.split('-').next());
    tab.go(&format!("/terminations/{}", number.unwrap_or_default()))?;
    tab.check(&format!("location.pathname === '{address}'"))?;
    tab.close()
}

fn connections(stage: &Stage) -> Result<()> {
    let served = stage.serve()?;
    let mut tab = stage.tab(&served)?;
    tab.go("/")?;
    tab.check("document.querySelectorAll('#terminations use.mark.sent').length > 0")?;
    let address = tab.text(
        "new URL(document.querySelector('#terminations use.mark.sent').closest('article').querySelector('h2 a').href).pathname",
    )?;
    tab.go(&address)?;
    tab.check(
        "document.querySelector('#connections + .wide tbody tr').textContent.includes('sent')",
    )?;
    tab.eval("document.querySelector('#marks summary').click()")?;
    tab.check("document.querySelectorAll('#marks tbody tr').length > 0")?;
    tab.check("document.querySelectorAll('.lanes use.mark.sent').length > 0")?;
    tab.close()
}

fn not_kept(stage: &Stage) -> Result<()> {
    let served = stage.serve()?;
    let mut tab = stage.tab(&served)?;
    tab.expect("404");
    for key in ["99999-recording", "1-19a0b", "1x"] {
        tab.go(&format!("/terminations/{key}"))?;
        tab.check("document.querySelector('main').textContent.includes('There is no such termination in this recording.')")?;
        tab.check(&format!(
            "fetch('../api/v1/terminations/{key}').then(answer => answer.status === 404)"
        ))?;
    }
    tab.close()
}
