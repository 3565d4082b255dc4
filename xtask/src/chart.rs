//! `cargo xtask chart`: the Helm chart. Writes what in it comes from elsewhere, renders it with many values, tries wrong
//! ones, and compares it with the manifests of kustomize. Needs no cluster; on a real one it is installed by `e2e`.

mod compare;
mod documents;
pub(crate) mod files;
mod helm;
mod refusals;
mod renderings;
mod rules;
mod tables;

use anyhow::{Result, ensure};

use crate::tools;
use helm::Helm;

/// Where the chart is.
pub(crate) const FOLDER: &str = "deploy/chart/gracewatch";

/// What `--help` teaches below the options.
const MORE_HELP: &str = "\
Written are the tables in its README.md, from the comments in values.yaml, and the folder files/, from deploy/mixin/rules and
deploy/dashboards: a chart can read nothing outside of its folder.

Helm and kustomize are built into the cache the first time: two minutes.";

/// Write what in the Helm chart comes from elsewhere, and check the chart.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE_HELP)]
pub(crate) struct Args {
    /// Change nothing: fail if something of it is not what it comes from.
    #[arg(long)]
    check: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check {
        return check();
    }
    files::write()?;
    check()
}

/// Everything that can be said of the chart without a cluster.
pub(crate) fn check() -> Result<()> {
    let mut wrong = files::outdated()?;
    let helm = Helm::new(&tools::renderers()?)?;
    let rendered = renderings::check(&helm, &mut wrong)?;
    let refused = refusals::check(&helm, &mut wrong)?;
    let rules = rules::check(&helm, &mut wrong)?;
    let compared = compare::check(&helm, &mut wrong)?;
    ensure!(wrong.is_empty(), "the chart:\n  {}", wrong.join("\n  "));
    eprintln!(
        "chart: {rendered} sets of values rendered, {refused} wrong values refused by name, {rules} rules are the \
         mixin's, {compared} variants are the same as kustomize's"
    );
    Ok(())
}
