//! The pictures in docs/page.md: recordings of a real Kubernetes, as the page shows them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::cases::Stage;
use crate::journal;
use crate::served::Served;
use crate::tab::Tab;

/// What is shown, the oldest first.
const RECORDINGS: [&str; 7] = [
    "k8s_rolling_update",
    "k8s_sidecars",
    "k8s_hook_sleep",
    "k8s_hook_overruns",
    "k8s_second_delete",
    "k8s_liveness",
    "k8s_hook_exec",
];
/// Bytes of a picture at the most.
const SIZE_MAX: usize = 200_000;

pub(crate) fn write(stage: &Stage, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut journals = Vec::new();
    for name in RECORDINGS {
        journals.push(journal::without_last(
            &stage.recordings,
            name,
            stage.toolbox.folder(),
        )?);
    }
    journals.insert(
        RECORDINGS.len() - 2,
        stage.recordings.join("connections_reset.jsonl"),
    );
    let served = Served::start(&journals)?;
    let mut tab = Tab::open_tab(&stage.browser, &served.origin)?;
    let one = "new URL([...document.querySelectorAll('#terminations li')].find(item => item.textContent.includes('SIGNAL IGNORED')).querySelector('a').href).pathname";
    for (name, scheme, (width, height)) in [
        ("overview-light", "light", (1180, 900)),
        ("overview-dark", "dark", (1180, 900)),
        ("phone", "light", (390, 844)),
    ] {
        tab.set_size(width, height)?;
        tab.prefer("prefers-color-scheme", scheme)?;
        tab.load_page("/")?;
        save_shot(&mut tab, folder, name)?;
    }
    let address = tab.eval_text(one)?;
    tab.prefer("prefers-color-scheme", "light")?;
    tab.load_page(&address)?;
    tab.set_size(1180, 1200)?;
    save_shot(&mut tab, folder, "termination")?;
    tab.close_tab()
}

fn save_shot(tab: &mut Tab, folder: &Path, name: &str) -> Result<()> {
    let png = tab.screenshot()?;
    let path = folder.join(format!("page-{name}.png"));
    ensure!(
        png.len() < SIZE_MAX,
        "{} has {} bytes",
        path.display(),
        png.len()
    );
    std::fs::write(&path, png).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}
