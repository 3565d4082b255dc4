//! `gracewatch check`: can this machine be measured, and if not, what has to be changed?

mod api;
mod connections;
mod facts;
mod show;
#[cfg(test)]
mod tests;
mod verdict;

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use self::facts::HostFacts;
use self::verdict::{Check, Verdict};
use crate::cli::config::{DEFAULT_PATH, Source};
use crate::kubernetes::{Access, KubernetesArgs, Survey};
use crate::{kubernetes, terminal};

/// What to check, and how to say it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Do not load and attach the probes to see whether the kernel takes them
    #[arg(long)]
    no_load: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Where the cgroup v2 tree is mounted [default: where /proc/self/mountinfo says]
    #[arg(long, value_name = "PATH", env = "GRACEWATCH_CGROUP_ROOT")]
    cgroup_root: Option<PathBuf>,
    #[command(flatten)]
    kubernetes: KubernetesArgs,
}

/// Prints a verdict for each thing that the agent needs.
///
/// # Errors
/// If the agent cannot run here: a sentence that names what failed.
pub fn run(args: &Args, source: Option<&Source>) -> anyhow::Result<()> {
    let access = args.kubernetes.access()?;
    let facts = HostFacts::gather(args.cgroup_root.as_deref(), !args.no_load);
    let mut checks = verdict::check_host(&facts);
    let survey = access.as_ref().map(survey).transpose()?;
    checks.extend(api::check_api(survey.as_ref()));
    checks.push(configuration(source));
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Fail)
        .map(|check| check.name)
        .collect();
    let text = if args.json {
        show::render_json(&checks, failed.is_empty())?
    } else {
        show::render_text(&checks, &terminal::style_of_stdout())
    };
    terminal::print(text.as_bytes())?;
    if !failed.is_empty() {
        bail!(
            "the agent cannot run here, because of: {}",
            failed.join(", ")
        );
    }
    Ok(())
}

/// What is wrong with the configuration has ended this command before.
fn configuration(source: Option<&Source>) -> Check {
    let found = match source {
        None => format!("no file; {DEFAULT_PATH} is not there"),
        Some(Source { path, keys }) if keys.is_empty() => {
            format!("{} sets nothing", path.display())
        }
        Some(Source { path, keys }) => format!("{} sets {}", path.display(), keys.join(", ")),
    };
    verdict::passed("configuration", found)
}

fn survey(access: &Access) -> anyhow::Result<Survey> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make the runtime for the Kubernetes API")?;
    Ok(runtime.block_on(kubernetes::survey(access)))
}
