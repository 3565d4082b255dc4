//! Lines of text: painted or not, measured in columns of a terminal, wrapped, cut, made harmless.

use unicode_width::UnicodeWidthChar as _;
use unicode_width::UnicodeWidthStr as _;

use super::{NORMAL, Style};

/// A line in the making, which knows how many columns it has.
#[derive(Debug)]
pub(crate) struct Line {
    text: String,
    width: usize,
    style: Style,
}

impl Line {
    pub(crate) const fn new(style: &Style) -> Self {
        Self {
            text: String::new(),
            width: 0,
            style: *style,
        }
    }

    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn push_plain(&mut self, text: &str) {
        self.painted(NORMAL, text);
    }

    pub(crate) fn painted(&mut self, paint: anstyle::Style, text: &str) {
        let ascii;
        let text = if self.style.unicode || text.is_ascii() {
            text
        } else {
            ascii = plain_ascii(text);
            &ascii
        };
        self.width += display_width(text);
        if !self.style.colors || text.is_empty() || paint == NORMAL {
            self.text.push_str(text);
        } else {
            self.text.push_str(&paint.render().to_string());
            self.text.push_str(text);
            self.text.push_str(&paint.render_reset().to_string());
        }
    }

    /// Blanks up to this column; nothing if it has been reached.
    pub(crate) fn fill_to(&mut self, column: usize) {
        self.push_plain(&" ".repeat(column.saturating_sub(self.width)));
    }

    /// Goes on with this text, wrapped under the column that the line has reached. Ends with a newline.
    pub(crate) fn paragraph(self, text: &str) -> String {
        let indent = self.width;
        let style = self.style;
        let mut line = self;
        let mut out = String::new();
        for part in wrap_lines(&visible(text), style.width.saturating_sub(indent)) {
            line.fill_to(indent);
            line.push_plain(&part);
            out.push_str(&line.finish());
            out.push('\n');
            line = Self::new(&style);
        }
        out
    }

    pub(crate) fn finish(self) -> String {
        self.text.trim_end().to_owned()
    }
}

/// Columns that a text takes in a terminal.
pub(crate) fn display_width(text: &str) -> usize {
    text.width()
}

/// The text with its control characters escaped. Names and command lines come from anybody: what they hold must not
/// reach the terminal as a command.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let escape = character.is_control().then(|| character.escape_default());
            let plain = (!character.is_control()).then_some(character);
            escape.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// The same in ASCII, as well as it goes.
fn plain_ascii(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            'µ' => 'u',
            '·' => '-',
            '…' | '≈' => '~',
            '↑' => '^',
            '↓' => 'v',
            '×' => 'x',
            '●' => 'o',
            '◆' => '*',
            ascii if ascii.is_ascii() => ascii,
            _ => '?',
        })
        .collect()
}

/// The text, shortened to so many columns with an ellipsis.
pub(crate) fn truncate(text: &str, columns: usize, style: &Style) -> String {
    if display_width(text) <= columns {
        return text.to_owned();
    }
    let ellipsis = if style.unicode { "…" } else { "..." };
    let room = columns.saturating_sub(display_width(ellipsis));
    let kept = text.chars().take(fitting(text.chars(), room));
    kept.chain(ellipsis.chars()).collect()
}

/// The text, shortened to so many columns in its middle: of a pod's name the workload's begin and the hash's end stay.
pub(crate) fn cut_middle(text: &str, columns: usize) -> String {
    if display_width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let last = fitting(text.chars().rev(), room / 2);
    let first = fitting(text.chars(), room - room / 2);
    let kept = text.chars().count() - last;
    text.chars()
        .take(first)
        .chain(['…'])
        .chain(text.chars().skip(kept))
        .collect()
}

/// How many characters fit into so many columns.
fn fitting(characters: impl Iterator<Item = char>, columns: usize) -> usize {
    let mut taken = 0;
    characters
        .take_while(|character| {
            taken += character.width().unwrap_or(0);
            taken <= columns
        })
        .count()
}

/// Units, which stay in the line of their number.
const UNITS: [&str; 7] = ["s", "ms", "µs", "ns", "min", "h", "d"];

/// The text in lines of at most so many columns, broken at blanks, but not between a number and its unit. A word longer
/// than a line stays whole.
pub(crate) fn wrap_lines(text: &str, columns: usize) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let unit = UNITS.contains(&word.trim_end_matches(['.', ',', ';', ':', ')']));
        match pieces.last_mut() {
            Some(number) if unit => {
                number.push(' ');
                number.push_str(word);
            }
            Some(_) | None => pieces.push(word.to_owned()),
        }
    }
    let mut lines = Vec::new();
    let mut line = String::new();
    for piece in pieces {
        if !line.is_empty() && display_width(&line) + 1 + display_width(&piece) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&piece);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_seen_and_not_obeyed() {
        assert_eq!(visible("sh\u{1b}[31m\n"), "sh\\u{1b}[31m\\n");
        assert_eq!(visible("naïve 容器"), "naïve 容器");
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(display_width("容器"), 4);
        assert_eq!(truncate("容器容器", 6, &Style::PLAIN), "容器…");
        assert_eq!(cut_middle("容器容器", 6), "容…器");
    }

    #[test]
    fn begin_and_end_of_a_pods_name_stay() {
        assert_eq!(cut_middle("web-7d4b9c6f5-x2x9k", 19), "web-7d4b9c6f5-x2x9k");
        assert_eq!(cut_middle("web-7d4b9c6f5-x2x9k", 12), "web-7d…x2x9k");
        assert_eq!(cut_middle("web-7d4b9c6f5-x2x9k", 2), "w…");
        assert_eq!(cut_middle("web-7d4b9c6f5-x2x9k", 0), "…");
    }

    #[test]
    fn wrapped_lines_fit() {
        assert_eq!(wrap_lines("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap_lines("unbreakable", 4), ["unbreakable"]);
        assert_eq!(
            wrap_lines("it took 3.1 s, no more", 12),
            ["it took", "3.1 s, no", "more"]
        );
    }
}
