//! `gracewatch explain`: all facts of one termination in their order, and what follows from which.

mod choose;
mod conclusion;
mod fact;
mod moment;
mod outcome;
mod show;
mod source;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::client::Address;
use crate::terminal::{self, style_of_stdout};

/// Which termination to explain, and who knows it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The termination: `last`, the name of a pod, container, workload or service, a part of it, or its number
    ///
    /// Of several of one container it is the last. Without a name all that are remembered are listed.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The agent to ask, of this machine or another one
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8637",
        env = "GRACEWATCH_AGENT"
    )]
    agent: Address,
    /// Take the terminations of this journal, recorded by `run --journal`, instead of an agent's
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Explains one termination, or lists those that are remembered.
///
/// # Errors
/// One sentence: the agent does not answer, the journal is broken, or the name is no termination's or that of several.
pub fn run(args: Args) -> anyhow::Result<()> {
    let remembered = match args.journal {
        Some(path) => source::journal(&path)?,
        None => source::fetch_from_agent(args.agent)?,
    };
    let style = style_of_stdout();
    let text = match &args.name {
        Some(name) => {
            let chosen = choose::choose(&remembered, name)?;
            if args.json {
                show::render_json(&remembered, &chosen)?
            } else {
                show::render_text(&remembered, &chosen, &style)
            }
        }
        None if args.json => show::json_list(&remembered)?,
        None => show::render_list(&remembered, &style),
    };
    terminal::print(text.as_bytes())
}
