//! The list: its order, its filter, and that it works without a script.

use anyhow::Result;
use gracewatch_tests::claim;

use super::{Case, RECORDINGS, Stage, new_case};
use crate::journal::reports;
use crate::tab::{Key, Tab};

pub(super) const ALL: &[Case] = &[
    new_case("newest_first", newest_first),
    new_case("filter", filter),
    new_case("filter_without_script", filter_without_script),
];

/// The numbers of the terminations in the list.
fn numbers(tab: &mut Tab) -> Result<Vec<u64>> {
    let ids = tab.evaluate("[...document.querySelectorAll('#terminations > li')].map(item => parseInt(item.id.slice(1)))")?;
    Ok(serde_json::from_value(ids)?)
}

fn newest_first(stage: &Stage) -> Result<()> {
    let served = stage.serve_recordings()?;
    let mut tab = stage.open_tab(&served)?;
    tab.load_page("/")?;
    // Each recording counts from 1, and the next one goes on after it. A termination is as new as its end.
    let mut expected: Vec<u64> = Vec::new();
    for name in RECORDINGS {
        let before = expected.iter().max().copied().unwrap_or(0);
        let reports = reports(&stage.recordings, name)?;
        expected.extend(reports.iter().map(|report| before + report.id));
    }
    expected.reverse();
    let found = numbers(&mut tab)?;
    claim!(
        found == expected,
        "the list has {found:?}, not {expected:?}"
    );
    // The recordings are told one after the other, so the first one is at the end.
    tab.require("document.querySelector('#terminations > li:last-child').textContent.includes('Deployment web')")?;
    tab.load_page("/?limit=3")?;
    let found = numbers(&mut tab)?.len();
    claim!(found == 3, "the list has {found:?}");
    tab.evaluate("document.getElementById('more').click()")?;
    tab.wait_loaded()?;
    let found = numbers(&mut tab)?;
    claim!(found == expected, "the list has {found:?}");
    tab.close_tab()
}

fn filter(stage: &Stage) -> Result<()> {
    let served = stage.serve_recordings()?;
    let mut tab = stage.open_tab(&served)?;
    let has = "(text) => [...document.querySelectorAll('#terminations > li')].every(item => item.textContent.includes(text))";
    tab.load_page("/?workload=Deployment%2Fweb")?;
    tab.require(&format!("({has})('Deployment web')"))?;
    let found = numbers(&mut tab)?.len();
    claim!(found == 10, "the list has {found:?}");
    tab.require("document.getElementById('filter-workload').value === 'Deployment/web'")?;
    tab.load_page("/")?;
    let all = numbers(&mut tab)?.len();
    tab.evaluate("document.getElementById('filter-outcome').focus()")?;
    choose(&mut tab, "outcome", "signal_ignored")?;
    tab.wait_until(&format!("({has})('SIGNAL IGNORED')"))?;
    tab.require("location.search === '?outcome=signal_ignored'")?;
    tab.require("document.activeElement.id === 'filter-outcome'")?;
    let namespace = "gracewatch-e2e-liveness";
    choose(&mut tab, "namespace", namespace)?;
    tab.wait_until("document.querySelectorAll('#terminations > li').length === 2")?;
    tab.require("location.search === '?namespace=gracewatch-e2e-liveness&outcome=signal_ignored'")?;
    // The address is all that somebody else needs.
    let address = tab.eval_text("location.pathname + location.search")?;
    tab.load_page(&address)?;
    let found = numbers(&mut tab)?.len();
    claim!(found == 2, "the list has {found:?}");
    choose(&mut tab, "outcome", "graceful")?;
    tab.wait_until(
        "document.querySelector('#rest').textContent.includes('agrees with the filter')",
    )?;
    tab.evaluate("document.querySelector('#rest a').click()")?;
    tab.wait_loaded()?;
    let found = numbers(&mut tab)?.len();
    claim!(found == all, "the list has {found:?}");
    tab.close_tab()
}

fn choose(tab: &mut Tab, filter: &str, value: &str) -> Result<()> {
    let script = format!(
        "(() => {{ const select = document.getElementById('filter-{filter}'); select.value = '{value}'; \
         select.dispatchEvent(new Event('change', {{ bubbles: true }})); return select.value === '{value}'; }})()"
    );
    tab.require(&script)
}

fn filter_without_script(stage: &Stage) -> Result<()> {
    let served = stage.serve_recordings()?;
    let mut tab = stage.open_tab(&served)?;
    tab.without_scripts()?;
    tab.load_page("/")?;
    tab.require("document.querySelectorAll('#terminations > li').length > 15")?;
    tab.require("document.getElementById('pause') === null")?;
    tab.require("document.querySelector('noscript').textContent.includes('load it again')")?;
    tab.evaluate("document.getElementById('filter-outcome').value = 'signal_ignored'")?;
    tab.evaluate("document.querySelector('#filter button').focus()")?;
    tab.press_key(Key::Enter)?;
    tab.wait_loaded()?;
    tab.require("new URLSearchParams(location.search).get('outcome') === 'signal_ignored'")?;
    let found = numbers(&mut tab)?.len();
    claim!(found == 3, "the list has {found:?}");
    tab.close_tab()
}
