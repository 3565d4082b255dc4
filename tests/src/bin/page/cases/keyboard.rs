//! The way to a termination and back without a mouse.

use anyhow::Result;
use gracewatch_tests::harness::WrongVerdict;

use super::{Case, Stage, new_case};
use crate::tab::{Key, Tab};

pub(super) const ALL: &[Case] = &[new_case("keyboard", keyboard)];

/// Presses Tab until this has the focus; each stop on the way must be seen.
fn tab_to(tab: &mut Tab, selector: &str, stops_max: u32) -> Result<()> {
    for _ in 0..stops_max {
        tab.press_key(Key::Tab)?;
        // After a link within the page the browser begins at the document itself.
        if tab.evaluate("document.activeElement === document.body")? == true {
            continue;
        }
        tab.require("getComputedStyle(document.activeElement).outlineStyle !== 'none'")?;
        tab.require("document.activeElement.getBoundingClientRect().width > 0")?;
        if tab.evaluate(&format!("document.activeElement.matches('{selector}')"))? == true {
            return Ok(());
        }
    }
    let other = tab.eval_text("document.activeElement.outerHTML")?;
    let words = format!("{selector} has no focus after {stops_max} times Tab, but {other:.100}");
    Err(WrongVerdict(words).into())
}

fn keyboard(stage: &Stage) -> Result<()> {
    let served = stage.serve_recordings()?;
    let mut tab = stage.open_tab(&served)?;
    tab.load_page("/")?;
    tab_to(&mut tab, "a.skip", 2)?;
    tab.wait_until("document.activeElement.getBoundingClientRect().top >= 0")?;
    tab.press_key(Key::Enter)?;
    tab.wait_until("location.hash === '#content'")?;
    tab.load_page("/")?;
    tab_to(&mut tab, "#filter select", 8)?;
    tab_to(&mut tab, "#legend summary", 6)?;
    tab.press_key(Key::Enter)?;
    tab.require("document.getElementById('legend').open")?;
    tab_to(&mut tab, "#terminations li:first-child h2 a", 1)?;
    let name = tab.eval_text("document.activeElement.textContent")?;
    tab.press_key(Key::Enter)?;
    tab.wait_loaded()?;
    let name = serde_json::Value::from(name);
    tab.require(&format!(
        "document.querySelector('h1').textContent === {name}"
    ))?;
    tab_to(&mut tab, "#back", 8)?;
    tab.press_key(Key::Enter)?;
    tab.wait_loaded()?;
    tab.require("document.querySelectorAll('#terminations > li').length > 15")?;
    tab.close_tab()
}
