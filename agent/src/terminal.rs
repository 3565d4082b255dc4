//! What the terminal can show, and text made for it.

mod echo;
mod style;
pub(crate) mod text;

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;

pub(crate) use self::echo::NoEcho;
pub use self::style::Style;
pub(crate) use self::style::{BAD, CALM, DIM, GOOD, NORMAL, ODD, STRONG};

/// Narrower than this nothing is drawn; the terminal then breaks the lines.
const WIDTH_MIN: usize = 40;

/// The style for standard output: its width and colours if it is a terminal, else [`Style::PLAIN`], with colours if they are
/// forced.
pub fn style_of_stdout() -> Style {
    let stdout = io::stdout();
    let width = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| usize::from(size.ws_col));
    let output = Output {
        is_terminal: stdout.is_terminal(),
        width,
        effect: ColorChoice::of_environment(),
        is_dumb: is_dumb(),
        // The first that is set decides: https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html
        locale: ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(non_empty_var)
            .map(|locale| locale.to_string_lossy().into_owned()),
    };
    output.style()
}

/// Lines that standard output can show at once, if it is a terminal that can be drawn over and over.
pub(crate) fn rows_of_stdout() -> Option<usize> {
    let stdout = io::stdout();
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    (stdout.is_terminal() && !is_dumb() && size.ws_row > 0).then_some(usize::from(size.ws_row))
}

/// Whether standard error takes colours.
pub(crate) fn colors_on_stderr() -> bool {
    ColorChoice::of_environment().colors(io::stderr().is_terminal(), is_dumb())
}

/// Prints to standard output. A reader that has seen enough is no failure.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Tells the person at the terminal something that does not belong into the output.
pub(crate) fn remark(sentence: &str) {
    // Nobody may be there to read it.
    writeln!(io::stderr(), "gracewatch: {}", text::visible(sentence)).ok();
}

/// A variable that is set to something.
fn non_empty_var(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn is_dumb() -> bool {
    non_empty_var("TERM").is_none_or(|term| term == OsStr::new("dumb"))
}

/// What the environment wishes of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColorChoice {
    /// <https://no-color.org>
    Never,
    /// <https://bixense.com/clicolors/>
    Always,
    /// Where they can be seen.
    Auto,
}

impl ColorChoice {
    fn of_environment() -> Self {
        let forced = non_empty_var("CLICOLOR_FORCE").filter(|value| value != OsStr::new("0"));
        match (non_empty_var("NO_COLOR"), forced) {
            (Some(_), _) => Self::Never,
            (None, Some(_)) => Self::Always,
            (None, None) => Self::Auto,
        }
    }

    const fn colors(self, is_terminal: bool, is_dumb: bool) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Auto => is_terminal && !is_dumb,
        }
    }
}

/// What is known of standard output.
#[derive(Clone, Debug)]
struct Output {
    is_terminal: bool,
    /// Columns; 0 if it does not say.
    width: usize,
    effect: ColorChoice,
    is_dumb: bool,
    locale: Option<String>,
}

impl Output {
    fn style(&self) -> Style {
        let colors = self.effect.colors(self.is_terminal, self.is_dumb);
        if !self.is_terminal {
            return Style {
                colors,
                ..Style::PLAIN
            };
        }
        Style {
            width: if self.width == 0 {
                Style::PLAIN.width
            } else {
                self.width.max(WIDTH_MIN)
            },
            colors,
            unicode: self.shows_unicode(),
        }
    }

    /// A terminal shows what its locale says; without one, as under sudo or ssh, nearly all know UTF-8, the console of
    /// a machine without a locale included.
    fn shows_unicode(&self) -> bool {
        let names_utf8 = |locale: &String| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        };
        !self.is_dumb && self.locale.as_ref().is_none_or(names_utf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xterm_output() -> Output {
        Output {
            is_terminal: true,
            width: 120,
            effect: ColorChoice::Auto,
            is_dumb: false,
            locale: Some("C.UTF-8".to_owned()),
        }
    }

    #[test]
    fn a_terminal_gets_its_width_and_colours() {
        let wide = Style {
            width: 120,
            colors: true,
            unicode: true,
        };
        assert_eq!(xterm_output().style(), wide);
        assert_eq!(
            Output {
                effect: ColorChoice::Never,
                ..xterm_output()
            }
            .style(),
            Style {
                colors: false,
                ..wide
            }
        );
        assert_eq!(
            Output {
                width: 0,
                ..xterm_output()
            }
            .style()
            .width,
            80
        );
    }

    #[test]
    fn what_is_no_terminal_gets_none() {
        assert_eq!(
            Output {
                is_terminal: false,
                ..xterm_output()
            }
            .style(),
            Style::PLAIN
        );
    }

    #[test]
    fn colours_can_be_forced_into_a_pipe() {
        let pipe = |effect| {
            let output = Output {
                is_terminal: false,
                effect,
                ..xterm_output()
            };
            output.style()
        };
        assert_eq!(
            pipe(ColorChoice::Always),
            Style {
                colors: true,
                ..Style::PLAIN
            }
        );
        assert_eq!(pipe(ColorChoice::Never), Style::PLAIN);
    }

    #[test]
    fn ascii_where_the_locale_or_the_terminal_knows_no_more() {
        let locale = |name: Option<&str>| Output {
            locale: name.map(str::to_owned),
            ..xterm_output()
        };
        assert!(!locale(Some("C")).style().unicode);
        assert!(locale(Some("de_DE.utf8")).style().unicode);
        assert!(locale(None).style().unicode);
        let dumb = Output {
            is_dumb: true,
            ..xterm_output()
        }
        .style();
        assert!(!dumb.unicode && !dumb.colors);
    }
}
