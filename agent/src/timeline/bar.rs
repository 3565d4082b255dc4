//! Bars to scale, in eighths of a column.

use agent_core::time::Timestamp;

use crate::terminal::Style;

/// The stretch of time that a bar's full width stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// Left parts of a column, from one eighth to seven.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

impl Scale {
    /// Where a time lies, in parts of the whole stretch.
    fn position(&self, at: Timestamp, parts: usize) -> usize {
        let whole = self.to.since(self.from).as_nanos().max(1);
        let passed = at.since(self.from).as_nanos().min(whole);
        let parts = u128::try_from(parts).unwrap_or(u128::MAX);
        usize::try_from(passed * parts / whole).unwrap_or(usize::MAX)
    }

    /// Where a time lies, from 0 at the beginning to 100 at the end.
    pub(crate) fn percent(&self, at: Timestamp) -> f64 {
        let whole = self.to.since(self.from).as_secs_f64();
        if whole == 0.0 {
            return 0.0;
        }
        (at.since(self.from).as_secs_f64() / whole * 100.0).min(100.0)
    }

    /// In which of so many columns a time lies, the last one if it is the end.
    pub(super) fn column(&self, at: Timestamp, columns: usize) -> usize {
        self.position(at, columns).min(columns.saturating_sub(1))
    }
}

/// The columns left of a bar, and the bar. It begins in the column in which the bar of the phase before ended, and
/// can always be seen: it has at least an eighth of a column.
pub(super) fn render_span(
    scale: &Scale,
    (from, to): (Timestamp, Timestamp),
    columns: usize,
    style: &Style,
) -> (usize, String) {
    let begin = scale.column(from, columns);
    if !style.unicode {
        let end = scale.position(to, columns).max(begin + 1);
        return (begin, "#".repeat(end - begin));
    }
    let length = scale
        .position(to, columns * 8)
        .saturating_sub(scale.position(from, columns * 8));
    let end = scale.position(to, columns * 8).max(begin * 8 + 1);
    let eighths = if length < 8 {
        length.max(1)
    } else {
        end - begin * 8
    };
    let part = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    (begin, "█".repeat(eighths / 8) + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale {
        from: Timestamp(1000),
        to: Timestamp(1800),
    };

    fn rendered_span(from: u64, to: u64, unicode: bool) -> String {
        let style = Style {
            unicode,
            ..Style::PLAIN
        };
        let (blank, bar) = render_span(&SCALE, (Timestamp(from), Timestamp(to)), 10, &style);
        " ".repeat(blank) + &bar
    }

    #[test]
    fn bars_are_to_scale() {
        assert_eq!(rendered_span(1000, 1800, true), "██████████");
        assert_eq!(rendered_span(1000, 1400, true), "█████");
        assert_eq!(rendered_span(1400, 1450, true), "     ▋");
        assert_eq!(rendered_span(1400, 1800, false), "     #####");
    }

    #[test]
    fn the_shortest_phase_is_seen_and_inside() {
        assert_eq!(rendered_span(1800, 1800, true), "         ▏");
        assert_eq!(rendered_span(1000, 1000, true), "▏");
        assert_eq!(rendered_span(1800, 1800, false), "         #");
    }

    #[test]
    fn a_share_is_a_percentage() {
        let shares = [1000, 1200, 1800].map(|at| SCALE.percent(Timestamp(at)).to_string());
        assert_eq!(shares, ["0", "25", "100"]);
        let point = Scale {
            to: SCALE.from,
            ..SCALE
        };
        assert_eq!(point.percent(Timestamp(1000)).to_string(), "0");
    }

    #[test]
    fn times_outside_of_the_scale_are_clamped() {
        assert_eq!(rendered_span(0, 5000, true), "██████████");
    }
}
