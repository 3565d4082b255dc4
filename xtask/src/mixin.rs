//! `cargo xtask mixin`: alerts, recording rules and dashboards, rendered from jsonnet, checked, and tested with series of real
//! runs.

mod board;
mod dashboards;
mod draw;
mod recorded;
mod render;
mod runbooks;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{cache, process, tools};

/// What `--help` teaches below the options.
const MORE_HELP: &str = "\
jsonnet and promtool are built by Go into the cache, in the versions of tests/cluster/go: some minutes the first time.";

/// Render deploy/mixin, check what comes of it, and test the rules with series of recorded runs.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE_HELP)]
pub(crate) struct Args {
    /// Change nothing: fail if a rendered file or a test of the rules is not what the sources say
    #[arg(long)]
    check: bool,
    /// Draw the dashboards into docs/images, from the answers that `cargo xtask e2e` leaves in target/e2e/monitoring/answers.json
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    draw: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.draw {
        Some(answers) => draw_all(answers),
        None if args.check => check(),
        None => write(),
    }
}

fn draw_all(answers: &Path) -> Result<()> {
    let mut made = render::render_all(&tools::mixin()?)?;
    made.retain(Made::is_dashboard);
    draw::write(answers, &made)
}

/// Fails if a rendered file is not what the sources say, or if anything in them is wrong.
pub(crate) fn check() -> Result<()> {
    check_files(|file| Ok(file.is_current()))
}

/// Renders, and fails if anything is wrong in it.
fn write() -> Result<()> {
    check_files(|file| file.write().map(|()| true))
}

/// A file that is made: its path below the workspace, and its text.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    path: String,
    text: String,
}

impl Made {
    fn is_current(&self) -> bool {
        let known = std::fs::read_to_string(cache::workspace().join(&self.path));
        known.is_ok_and(|known| known == self.text)
    }

    fn is_dashboard(&self) -> bool {
        Path::new(&self.path).extension() == Some("json".as_ref())
    }

    fn write(&self) -> Result<()> {
        let path = cache::workspace().join(&self.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(path, &self.text)?)
    }
}

/// Makes every file, gives it to `settle`, which says whether it is as it should be, and then looks at all of them.
fn check_files(settle: impl Fn(&Made) -> Result<bool>) -> Result<()> {
    let tools = tools::mixin()?;
    render::check_format(&tools)?;
    let mut made = render::render_all(&tools)?;
    made.extend(recorded::make_tests()?);
    let mut wrong = Vec::new();
    for file in &made {
        if !settle(file)? {
            let path = &file.path;
            wrong.push(format!(
                "{path} is not what its sources say; write it anew with `cargo xtask mixin`"
            ));
        }
    }
    wrong.extend(runbooks::unpaired(cache::workspace(), &made)?);
    for file in made
        .iter()
        .filter(|file| file.path.ends_with(runbooks::ALERTS))
    {
        wrong.extend(recorded::untested(runbooks::alerts(&file.text)));
    }
    for file in made.iter().filter(|file| file.is_dashboard()) {
        wrong.extend(dashboards::lint(file)?);
    }
    ensure!(wrong.is_empty(), "the mixin:\n  {}", wrong.join("\n  "));
    promtool(&tools)?;
    eprintln!("{} files of the mixin are up to date", made.len());
    Ok(())
}

/// What Prometheus itself says of rules and of their tests.
fn promtool(tools: &Path) -> Result<()> {
    let promtool = || {
        let mut command = Command::new(tools.join("promtool"));
        command.current_dir(cache::workspace().join(render::FOLDER));
        command
    };
    let rules = ["rules/alerts.yaml", "rules/rules.yaml"];
    process::run(
        promtool()
            .args(["check", "rules", "--lint=all", "--lint-fatal"])
            .args(rules),
    )?;
    process::run(promtool().args(["test", "rules", "tests/alerts.yaml"]))
}
