//! Draws the timelines of recorded journals as SVG, as a terminal would show them. A program of its own and no part of
//! xtask, so that neither the agent nor a drawing library is built for every `cargo xtask`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the picture is the output")]

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use agent_core::output::Output;
use anstyle::{Color, RgbColor};
use anstyle_svg::{Palette, Term};
use anyhow::{Context as _, Result};
use clap::Parser;
use gracewatch::terminal::Style;
use gracewatch::{replay, timeline};

/// Prints the timelines of recorded journals as one SVG.
#[derive(Debug, Parser)]
struct Args {
    /// The journals, in the order of the picture
    #[arg(required = true, value_name = "JOURNAL")]
    journals: Vec<PathBuf>,
}

/// A background of its own, and colours that stand out from it: readable on a light page as on a dark one.
const BACKGROUND: RgbColor = RgbColor(13, 17, 23);
const TEXT: RgbColor = RgbColor(230, 237, 243);
const BLACK: RgbColor = RgbColor(110, 118, 129);
const RED: RgbColor = RgbColor(255, 123, 114);
const GREEN: RgbColor = RgbColor(63, 185, 80);
const YELLOW: RgbColor = RgbColor(227, 179, 65);
const BLUE: RgbColor = RgbColor(121, 192, 255);
const MAGENTA: RgbColor = RgbColor(210, 168, 255);
const CYAN: RgbColor = RgbColor(86, 212, 221);
const PALETTE: Palette = Palette([
    BLACK, RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN, TEXT, BLACK, RED, GREEN, YELLOW, BLUE, MAGENTA,
    CYAN, TEXT,
]);

/// What is dimmed, once more: `opacity`, which the library uses, has no effect on a part of a text
/// (<https://www.w3.org/TR/SVG2/render.html#ObjectAndGroupOpacityProperties>).
const DIMMED: &str = "    .dimmed { opacity: 1; fill-opacity: 0.65; }\n  </style>";

fn main() -> Result<()> {
    let mut drawn = Vec::new();
    for journal in Args::parse().journals {
        draw_journal(&journal, &mut drawn).with_context(|| journal.display().to_string())?;
    }
    let svg = Term::new()
        .palette(PALETTE)
        .fg_color(Color::Rgb(TEXT))
        .bg_color(Color::Rgb(BACKGROUND))
        .min_width_px(0)
        .render_svg(drawn.join("\n").trim_end());
    print!("{}", svg.replacen("  </style>", DIMMED, 1));
    Ok(())
}

/// Adds the timeline of every report of a journal.
fn draw_journal(journal: &Path, drawn: &mut Vec<String>) -> Result<()> {
    let style = Style {
        colors: true,
        ..Style::PLAIN
    };
    let file = File::open(journal).context("cannot open it")?;
    replay::replay(BufReader::new(file), |output, _now| {
        if let Output::Finished(report) = output {
            drawn.push(timeline::render(report, &style));
        }
        Ok(())
    })
}
