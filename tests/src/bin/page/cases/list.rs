//! The list: its order, its filter, and that it works without a script.

use anyhow::Result;
use gracewatch_tests::claim;

use super::{Case, RECORDINGS, Stage, case};
use crate::journal::reports;
use crate::tab::{Key, Tab};

pub(super) const ALL: &[Case] = &[
    case("newest_first", newest_first),
    case("filter", filter),
    case("filter_without_script", filter_without_script),
];

/// The numbers of the terminations in the list.
fn numbers(tab: &mut Tab) -> Result<Vec<u64>> {
    let ids = tab.eval("[...document.querySelectorAll('#terminations > li')].map(item => parseInt(item.id.slice(1)))")?;
    Ok(serde_json::from_value(ids)?)
}

fn newest_first(stage: &Stage) -> Result<()> {
    let served = stage.serve()?;
    let mut tab = stage.tab(&served)?;
    tab.go("/")?;
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
    tab.check("document.querySelector('#terminations > li:last-child').textContent.includes('Deployment web')")?;
    tab.go("/?limit=3")?;
    let found = numbers(&mut tab)?.len();
    claim!(found == 3, "the list has {found:?}");
    tab.eval("document.getElementById('more').click()")?;
    tab.wait_loaded()?;
    let found = numbers(&mut tab)?;
    claim!(found == expected, "the list has {found:?}");
    tab.close()
}

fn filter(stage: &Stage) -> Result<()> {
    let served = stage.serve()?;
    let mut tab = stage.tab(&served)?;
    let has = "(text) => [...document.querySelectorAll('#terminations > li')].every(item => item.textContent.includes(text))";
    tab.go("/?workload=Deployment%2Fweb")?;
    tab.check(&format!("({has})('Deployment web')"))?;
    let found = numbers(&mut tab)?.len();
    claim!(found == 10, "the list has {found:?}");
    tab.check("document.getElementById('filter-workload').value === 'Deployment/web'")?;
    tab.go("/")?;
    let all = numbers(&mut tab)?.len();
    tab.eval("document.getElementById('filter-outcome').focus()")?;
    choose(&mut tab, "outcome", "signal_ignored")?;
    tab.wait(&format!("({has})('SIGNAL IGNORED')"))?;
    tab.check("location.search === '?outcome=signal_ignored'")?;
    tab.check("document.activeElement.id === 'filter-outcome'")?;
    let namespace = "gracewatch-e2e-liveness";
    choose(&mut tab, "namespace", namespace)?;
    tab.wait("document.querySelectorAll('#terminations > li').length === 2")?;
    tab.check("location.search === '?namespace=gracewatch-e2e-liveness&outcome=signal_ignored'")?;
    // The address is all that somebody else needs.
    let address = tab.text("location.pathname + location.search")?;
    tab.go(&address)?;
    let found = numbers(&mut tab)?.len();
    claim!(found == 2, "the list has {found:?}");
    choose(&mut tab, "outcome", "graceful")?;
    tab.wait("document.querySelector('#rest').textContent.includes('agrees with the filter')")?;
    tab.eval("document.querySelector('#rest a').click()")?;
    tab.wait_loaded()?;
    let found = numbers(&mut tab)?.len();
    claim!(found == all, "the list has {found:?}");
    tab.close()
}

fn choose(tab: &mut Tab, filter: &str, value: &str) -> Result<()> {
    let script = format!(
        "(() => {{ const select = document.getElementById('filter-{filter}'); select.value = '{value}'; \
         select.dispatchEvent(new Event('change', {{ bubbles: true }})); return select.value === '{value}'; }})()"
    );
    tab.check(&script)
}

fn filter_without_script(stage: &Stage) -> Result<()> {
    let served = stage.serve()?;
    let mut tab = stage.tab(&served)?;
    tab.without_scripts()?;
    tab.go("/")?;
    tab.check("document.querySelectorAll('#terminations > li').length > 15")?;
    tab.check("document.getElementById('pause') === null")?;
    tab.check("document.querySelector('noscript').textContent.includes('load it again')")?;
    tab.eval("document.getElementById('filter-outcome').value = 'signal_ignored'")?;
    tab.eval("document.querySelector('#filter button').focus()")?;
    tab.press(Key::Enter)?;
    tab.wait_loaded()?;
    tab.check("new URLSearchParams(location.search).get('outcome') === 'signal_ignored'")?;
    let found = numbers(&mut tab)?.len();
    claim!(found == 3, "the list has {found:?}");
    tab.close()
}
