//! `cargo xtask docs`: the pages and pictures that come from the code, and the links between all pages. What of the chart
//! comes from elsewhere is looked after by `chart::files`. What needs root
//! or real kernels to be known (docs/accuracy.md, kernels.md, overhead.md) is written by the commands that measure it; of
//! docs/conformance.md it is checked that it has the rows that there are.

#[cfg(test)]
mod absences;
mod files;
mod links;

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::{cache, cargo, chart, conformance, process};

/// What is drawn: the pod `busybox` of the demo, recorded while that ran.
const JOURNAL: &str = "docs/timeline.jsonl";

/// Options of `docs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Change nothing: fail if a page is not what the code says, or if a link leads nowhere
    #[arg(long)]
    check: bool,
}

/// A file that comes from the code, and the program that prints it.
struct Page {
    path: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

const PAGES: [Page; 3] = [
    Page {
        path: "docs/metrics.md",
        program: "gracewatch",
        arguments: &["docs", "metrics"],
    },
    Page {
        path: "docs/cli.md",
        program: "gracewatch",
        arguments: &["docs", "cli"],
    },
    Page {
        path: "docs/timeline.svg",
        program: "timeline_svg",
        arguments: &[JOURNAL],
    },
];

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check { check() } else { write() }
}

/// Fails if a page is not what the code says, or if a link leads nowhere.
pub(crate) fn check() -> Result<()> {
    let of_the_chart = chart::files::outdated()?;
    ensure!(
        of_the_chart.is_empty(),
        "the documents:\n  {}",
        of_the_chart.join("\n  ")
    );
    compare_pages(|page, _text| {
        bail!(
            "{} is not what the code says; write it anew with `cargo xtask docs`",
            page.path
        )
    })
}

/// Writes the pages that are not what the code says. Fails if a link leads nowhere.
pub(crate) fn write() -> Result<()> {
    chart::files::write()?;
    compare_pages(|page, text| {
        std::fs::write(cache::workspace().join(page.path), text)
            .with_context(|| format!("cannot write {}", page.path))?;
        eprintln!("wrote {}", page.path);
        Ok(())
    })
}

/// Compares every page with what its program prints, and follows every link.
fn compare_pages(outdated: impl Fn(&Page, &str) -> Result<()>) -> Result<()> {
    let workspace = cache::workspace();
    let mut wrong = Vec::new();
    for page in &PAGES {
        let text = page.printed_page()?;
        let path = workspace.join(page.path);
        let is_current = std::fs::read_to_string(&path).is_ok_and(|known| known == text);
        if !is_current && let Err(error) = outdated(page, &text) {
            wrong.push(format!("{error:#}"));
        }
    }
    if let Err(error) = conformance::check_page() {
        wrong.push(format!("{error:#}"));
    }
    let links = links::check(workspace)?;
    wrong.extend(links.broken);
    ensure!(wrong.is_empty(), "the documents:\n  {}", wrong.join("\n  "));
    eprintln!(
        "{} generated files are up to date, {} links in {} pages lead somewhere",
        PAGES.len(),
        links.followed,
        links.pages
    );
    Ok(())
}

impl Page {
    /// Builds the program, with cargo's words on the terminal, and takes what it prints.
    fn printed_page(&self) -> Result<String> {
        let mut command = Command::new(cargo::build_debug(self.program)?);
        command.current_dir(cache::workspace()).args(self.arguments);
        process::output(&mut command)
    }
}
