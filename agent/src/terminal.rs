//! What the terminal can show, and text made for it.

mod echo;
mod style;
pub(crate) mod text;

use std::ffi::OsStr;
use std::io::IsTerminal as _;

pub(crate) use self::echo::NoEcho;
pub use self::style::Style;
pub(crate) use self::style::{BAD, CALM, DIM, GOOD, NORMAL, ODD, STRONG};

/// Narrower than this nothing is drawn; the terminal then breaks the lines.
const WIDTH_MIN: usize = 40;

/// The style for standard output: its width and colours if it is a terminal, else [`Style::PLAIN`].
pub fn style_of_stdout() -> Style {
    let stdout = std::io::stdout();
    let width = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| usize::from(size.ws_col));
    let env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let output = Output {
        is_terminal: stdout.is_terminal(),
        width,
        no_color: env("NO_COLOR").is_some(),
        is_dumb: env("TERM").is_none_or(|term| term == OsStr::new("dumb")),
        // The first that is set decides: https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html
        locale: ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(env)
            .map(|locale| locale.to_string_lossy().into_owned()),
    };
    output.style()
}

/// Lines that standard output can show at once, if it is a terminal that can be drawn over and over.
pub(crate) fn rows_of_stdout() -> Option<usize> {
    let stdout = std::io::stdout();
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == OsStr::new("dumb"));
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    (stdout.is_terminal() && !is_dumb && size.ws_row > 0).then_some(usize::from(size.ws_row))
}

/// What is known of standard output.
#[derive(Clone, Debug)]
struct Output {
    is_terminal: bool,
    /// Columns; 0 if it does not say.
    width: usize,
    /// <https://no-color.org>
    no_color: bool,
    is_dumb: bool,
    locale: Option<String>,
}

impl Output {
    fn style(&self) -> Style {
        if !self.is_terminal {
            return Style::PLAIN;
        }
        Style {
            width: if self.width == 0 {
                Style::PLAIN.width
            } else {
                self.width.max(WIDTH_MIN)
            },
            colors: !self.no_color && !self.is_dumb,
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

    fn xterm() -> Output {
        Output {
            is_terminal: true,
            width: 120,
            no_color: false,
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
        assert_eq!(xterm().style(), wide);
        assert_eq!(
            Output {
                no_color: true,
                ..xterm()
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
                ..xterm()
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
                ..xterm()
            }
            .style(),
            Style::PLAIN
        );
    }

    #[test]
    fn ascii_where_the_locale_or_the_terminal_knows_no_more() {
        let locale = |name: Option<&str>| Output {
            locale: name.map(str::to_owned),
            ..xterm()
        };
        assert!(!locale(Some("C")).style().unicode);
        assert!(locale(Some("de_DE.utf8")).style().unicode);
        assert!(locale(None).style().unicode);
        let dumb = Output {
            is_dumb: true,
            ..xterm()
        }
        .style();
        assert!(!dumb.unicode && !dumb.colors);
    }
}
