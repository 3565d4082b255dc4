//! How the page looks: on a phone, dark and light, to people who see or read otherwise.

use anyhow::{Context as _, Result};
use gracewatch_tests::claim;

use super::{Case, Stage, new_case, newest};
use crate::tab::Tab;

pub(super) const ALL: &[Case] = &[
    new_case("phone", fits_phone),
    new_case("accessible", accessible),
    new_case("reduced_motion", reduced_motion),
];

/// The list, and terminations of every kind that the recordings have.
fn addresses(tab: &mut Tab) -> Result<Vec<String>> {
    let mut addresses = vec!["/".to_owned(), "/?namespace=nothing".to_owned()];
    for outcome in ["signal_ignored", "graceful", "grace_exceeded", "unknown"] {
        addresses.push(newest(tab, outcome)?);
    }
    tab.load_page("/")?;
    let resets = "new URL(document.querySelector('#terminations use.mark.sent').closest('article').querySelector('h2 a').href).pathname";
    addresses.push(tab.eval_text(resets)?);
    Ok(addresses)
}

/// Nothing is wider than the smallest phone, and what is tapped is large enough.
fn fits_phone(stage: &Stage) -> Result<()> {
    let served = stage.serve_recordings()?;
    let mut tab = stage.open_tab(&served)?;
    let addresses = addresses(&mut tab)?;
    tab.set_size(360, 740)?;
    for address in addresses {
        tab.load_page(&address)?;
        let wide = tab.number("document.documentElement.scrollWidth")?;
        claim!(
            wide <= 360.0,
            "{address} is {wide} px wide on a phone of 360 px"
        );
        tab.require("[...document.querySelectorAll('main button, main select')].every(one => one.getBoundingClientRect().height >= 24)")?;
    }
    tab.close_tab()
}

/// axe-core finds nothing, contrast included, in both colour schemes; which differ.
fn accessible(stage: &Stage) -> Result<()> {
    let served = stage.serve_recordings()?;
    let mut tab = stage.open_tab(&served)?;
    let addresses = addresses(&mut tab)?;
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        tab.prefer("prefers-color-scheme", scheme)?;
        for address in &addresses {
            tab.load_page(address)?;
            tab.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")?;
            tab.evaluate(&format!("{}; true", stage.axe))?;
            let result = tab.evaluate(
                "axe.run().then(result => ({ passes: result.passes.length, violations: result.violations.map(one => \
                 `${one.id}: ${one.help}: ${one.nodes.map(node => node.html + ' ' + (node.any[0]?.message ?? '')).join('; ')}`) }))",
            )?;
            let violations = result["violations"]
                .as_array()
                .context("axe says nothing")?;
            claim!(
                violations.is_empty(),
                "{address}, {scheme}: {violations:#?}"
            );
            claim!(
                result["passes"].as_u64() > Some(20),
                "{address}: axe looked at nothing"
            );
        }
        grounds.push(tab.eval_text("getComputedStyle(document.body).backgroundColor")?);
    }
    claim!(
        grounds.first() != grounds.last(),
        "both schemes are {grounds:?}"
    );
    tab.close_tab()
}

fn reduced_motion(stage: &Stage) -> Result<()> {
    let served = stage.serve_recordings()?;
    let mut tab = stage.open_tab(&served)?;
    let moves = "(() => { const item = document.querySelector('#terminations > li'); item.classList.add('fresh'); \
                 return getComputedStyle(item).animationName; })()";
    for (preference, animation) in [("no-preference", "fresh"), ("reduce", "none")] {
        tab.prefer("prefers-reduced-motion", preference)?;
        tab.load_page("/")?;
        let found = tab.eval_text(moves)?;
        claim!(found == animation, "{preference}: the animation is {found}");
    }
    tab.close_tab()
}
