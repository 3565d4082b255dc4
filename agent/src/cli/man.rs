//! Manual pages: clap's own sections, and those that it does not know.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Arg, Command};
use clap_mangen::Man;
use roff::{Roff, bold, roman};

use super::command_help::{self, CommandHelp};
use crate::failure::UsageError;

/// Which manual pages to write, and where.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The command whose page to print [default: the page of gracewatch itself]
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Option<String>,
    /// Write all pages into this folder, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes all pages into a folder, or one to standard output.
///
/// # Errors
/// A sentence that names the file that cannot be written, or the command that does not exist.
pub(super) fn run(args: &Args, mut root: Command) -> anyhow::Result<()> {
    root.build();
    if let Some(folder) = &args.out {
        return write_all(&root, folder);
    }
    let wanted = args.command.as_deref().unwrap_or_default();
    let page = help_pages(&root).find(|(help, _command)| help.command == wanted);
    let Some((help, command)) = page else {
        let known = command_help::COMMAND_HELPS
            .map(|help| help.command)
            .join(", ");
        return Err(UsageError::new(format!(
            "there is no command `{wanted}`; there are{}",
            known.trim_start_matches(',')
        ))
        .into());
    };
    crate::terminal::print(&render(help, command, &root)?)
}

fn write_all(root: &Command, folder: &Path) -> anyhow::Result<()> {
    let failed = |path: &Path| {
        format!(
            "cannot write {}; name another folder by --out",
            path.display()
        )
    };
    std::fs::create_dir_all(folder).with_context(|| failed(folder))?;
    for (help, command) in help_pages(root) {
        let path = folder.join(format!("{}.1", page_name(help)));
        std::fs::write(&path, render(help, command, root)?).with_context(|| failed(&path))?;
    }
    Ok(())
}

/// Each lesson with the command that it is of.
fn help_pages(root: &Command) -> impl Iterator<Item = (&'static CommandHelp, &Command)> {
    command_help::COMMAND_HELPS.iter().filter_map(move |help| {
        let command = match help.command {
            "" => Some(root),
            name => root.find_subcommand(name),
        };
        Some((help, command?))
    })
}

/// `gracewatch-run`, the name of a page.
fn page_name(help: &CommandHelp) -> String {
    match help.command {
        "" => "gracewatch".to_owned(),
        command => format!("gracewatch-{command}"),
    }
}

fn render(help: &CommandHelp, command: &Command, root: &Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    write(&mut page, help, command, root).context("cannot make the page")?;
    Ok(in_ascii(&String::from_utf8_lossy(&page)).into_bytes())
}

/// Characters beyond ASCII as roff names them, since not every reader of pages takes them as they are.
fn in_ascii(page: &str) -> String {
    page.chars()
        .map(|character| {
            if character.is_ascii() {
                character.to_string()
            } else {
                format!("\\[u{:04X}]", u32::from(character))
            }
        })
        .collect()
}

fn write(
    page: &mut dyn Write,
    help: &CommandHelp,
    command: &Command,
    root: &Command,
) -> std::io::Result<()> {
    let version = root.get_version().unwrap_or_default();
    let man = Man::new(command.clone())
        .title(page_name(help))
        .section("1")
        .source(format!("gracewatch {version}"))
        .manual("Gracewatch");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if help.command.is_empty() {
        man.render_subcommands_section(page)?;
    }
    own_sections(help, command).to_writer(page)
}

fn own_sections(help: &CommandHelp, command: &Command) -> Roff {
    let mut page = Roff::new();
    page.control("SH", ["EXAMPLES"]);
    for (line, why) in help.examples {
        add_entry(&mut page, line, why);
    }
    page.control("SH", ["RIGHTS"]);
    page.text([roman(help.rights)]);
    page.control("SH", ["RESULTS"]);
    page.text([roman(help.output)]);
    page.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in help.exits {
        add_entry(&mut page, &code.to_string(), meaning);
    }
    page.control("SH", ["ENVIRONMENT"]);
    for (variable, meaning) in environment(command) {
        add_entry(&mut page, &variable, &meaning);
    }
    if !help.files.is_empty() {
        page.control("SH", ["FILES"]);
        for (path, meaning) in help.files {
            add_entry(&mut page, path, meaning);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    let others = command_help::COMMAND_HELPS
        .iter()
        .filter(|other| other.command != help.command);
    let names: Vec<_> = others
        .map(|other| format!("{}(1)", page_name(other)))
        .collect();
    page.text([roman(names.join(", "))]);
    page
}

fn add_entry(page: &mut Roff, term: &str, meaning: &str) {
    page.control("TP", []);
    page.text([bold(term)]);
    page.text([roman(meaning)]);
}

/// The variables that a command reads: those of its options, and those of every program that prints in colours.
pub(super) fn environment(command: &Command) -> Vec<(String, String)> {
    let of_option = |option: &Arg| {
        let variable = option.get_env()?.to_string_lossy().into_owned();
        Some((variable, format!("as --{}", option.get_long()?)))
    };
    let mut variables: Vec<_> = command.get_arguments().filter_map(of_option).collect();
    variables.sort();
    variables.extend(
        command_help::COLOUR_VARIABLES.map(|(name, meaning)| (name.to_owned(), meaning.to_owned())),
    );
    variables
}
