//! Names that are markup: they are text, and nothing of them is carried out.

use anyhow::Result;

use super::{Case, Stage, new_case};
use crate::journal::renamed;
use crate::served::Served;

pub(super) const ALL: &[Case] = &[new_case("hostile_names", hostile_names)];

const POD: &str = "<img src=x onerror=\"document.title='broken'\">";
const NAMESPACE: &str = "</title><script>document.title='broken'</script>";
const CGROUP: &str = "<svg onload=\"document.title='broken'\">&lt;b&gt;'\"\u{202e}";

fn hostile_names(stage: &Stage) -> Result<()> {
    let folder = stage.toolbox.folder();
    let of_pod = [("gracewatch-e2e-seed", NAMESPACE), ("seed", POD)];
    let cgroup = format!("/rig/{CGROUP}");
    let of_cgroup = [("/rig/handler", cgroup.as_str())];
    let journals = [
        renamed(&stage.recordings, "k8s_seed", &of_pod, folder)?,
        renamed(&stage.recordings, "handler", &of_cgroup, folder)?,
    ];
    let served = Served::start(&journals)?;
    let mut tab = stage.open_tab(&served)?;
    for (name, address) in [
        (POD, "/"),
        (NAMESPACE, "/"),
        (CGROUP, "/"),
        (POD, "/terminations/1"),
        (CGROUP, "/terminations/3"),
    ] {
        tab.load_page(address)?;
        let name = serde_json::Value::from(name);
        tab.require(&format!(
            "document.querySelector('main').textContent.includes({name})"
        ))?;
        tab.require("document.title.endsWith(' · Gracewatch')")?;
        tab.require("document.querySelectorAll('img, svg[onload], [onerror]').length === 0")?;
        tab.require("document.scripts.length === 1")?;
    }
    // Nor as a filter.
    tab.load_page(&format!(
        "/?namespace={}",
        "%3C%2Fselect%3E%3Cimg%20src%3Dx%3E"
    ))?;
    tab.require("document.getElementById('filter-namespace').value === '</select><img src=x>'")?;
    tab.require("document.querySelectorAll('img').length === 0")?;
    tab.close_tab()
}
