//! Writing of SVG: rectangles, lines and text.

use std::fmt::Write as _;

/// Colours that stand out from the background, which is the picture's own: readable on a light page as on a dark one.
const BACKGROUND: &str = "#0d1117";
pub(super) const PANEL: &str = "#161b22";
pub(super) const TEXT: &str = "#e6edf3";
pub(super) const DIM: &str = "#8b949e";
pub(super) const GRID: &str = "#30363d";
/// For series, in their order.
const SERIES: [&str; 8] = [
    "#79c0ff", "#3fb950", "#e3b341", "#ff7b72", "#d2a8ff", "#56d4dd", "#ffa657", "#f778ba",
];
/// The share of its height that a letter is wide, on average.
const LETTER: f64 = 0.56;

pub(super) fn colour(index: usize) -> &'static str {
    SERIES.get(index % SERIES.len()).copied().unwrap_or(TEXT)
}

/// A rectangle, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) w: f64,
    pub(super) h: f64,
}

/// How text is written: its size and colour.
pub(super) type Ink = (f64, &'static str);

#[derive(Debug)]
pub(super) struct Svg(String);

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        let mut svg = Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\">\n"
        ));
        let whole = Area {
            x: 0.0,
            y: 0.0,
            w: width,
            h: height,
        };
        svg.rect(whole, BACKGROUND);
        svg
    }

    pub(super) fn rect(&mut self, area: Area, fill: &str) {
        let Area { x, y, w, h } = area;
        writeln!(
            self.0,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"{fill}\"/>"
        )
        .ok();
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), (size, fill): Ink, text: &str) {
        let text = escaped(text);
        writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{fill}\">{text}</text>"
        )
        .ok();
    }

    /// Text that ends where `width` does.
    pub(super) fn clipped(&mut self, at: (f64, f64), width: f64, ink: Ink, text: &str) {
        let mut fits = String::new();
        let mut used = 0.0;
        for letter in text.chars() {
            used += ink.0 * LETTER;
            if used > width {
                fits.pop();
                fits.push('…');
                break;
            }
            fits.push(letter);
        }
        self.text(at, ink, &fits);
    }

    /// A line through points; each piece between two that are there.
    pub(super) fn line(&mut self, points: &[(f64, f64)], stroke: &str) {
        let points: Vec<_> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        writeln!(
            self.0,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"1.5\"/>",
            points.join(" ")
        )
        .ok();
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

/// About how wide a text of this size is.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().map(|_| size * LETTER).sum()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_cut() {
        let mut svg = Svg::new(100.0, 10.0);
        svg.clipped((0.0, 0.0), 30.0, (10.0, TEXT), "a<bcdefgh");
        let text = svg.finish();
        assert!(text.contains(">a&lt;bc…</text>"), "{text}");
    }
}
