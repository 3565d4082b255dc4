//! Events that have a moment and no length, many alike in one row: a sign each, to the scale of the bars.

use agent_core::time::Timestamp;

use super::bar::Scale;

/// What the signs of resets mean, for a display that has no room for a row for each.
pub const LEGEND: &str = "↑ reset sent, ↓ received, × refused";

/// What an event of a moment is. Each has a sign of its own: they are told apart without colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Marker {
    /// The container reset a connection.
    Sent,
    /// The peer reset one.
    Received,
    /// The container, or its pod, refused a connection attempt.
    Refused,
    /// A connection came.
    Arrival,
    /// An endpoint changed.
    Endpoint,
}

impl Marker {
    /// How it is drawn, one column wide.
    pub(crate) const fn symbol(self) -> char {
        match self {
            Self::Sent => '↑',
            Self::Received => '↓',
            Self::Refused => '×',
            Self::Arrival => '●',
            Self::Endpoint => '◆',
        }
    }
}

/// Events of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Markers {
    pub(crate) sign: Marker,
    /// When they were, those whose time is known.
    pub(crate) at: Vec<Timestamp>,
    /// How many there were in all, where that is counted.
    pub(crate) in_all: Option<u64>,
}

impl Markers {
    /// The columns of a bar: a sign where there was one event, a digit where there were several, `+` where there were
    /// more than nine.
    pub(super) fn render_cells(&self, scale: &Scale, columns: usize) -> String {
        let mut counts = vec![0_u32; columns];
        for at in &self.at {
            if let Some(count) = counts.get_mut(scale.column(*at, columns)) {
                *count += 1;
            }
        }
        let cell = |count: u32| match count {
            0 => ' ',
            1 => self.sign.symbol(),
            several => char::from_digit(several, 10).unwrap_or('+'),
        };
        let cells: String = counts.into_iter().map(cell).collect();
        cells.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale {
        from: Timestamp(1000),
        to: Timestamp(2000),
    };

    fn rendered_cells(at: &[u64]) -> String {
        let moments = Markers {
            sign: Marker::Sent,
            at: at.iter().copied().map(Timestamp).collect(),
            in_all: None,
        };
        moments.render_cells(&SCALE, 10)
    }

    #[test]
    fn each_is_where_it_was_and_several_are_a_number() {
        assert_eq!(rendered_cells(&[]), "");
        assert_eq!(rendered_cells(&[1000, 1150, 1310, 1320]), "↑↑ 2");
        assert_eq!(rendered_cells(&[1500; 9]), "     9");
        assert_eq!(rendered_cells(&[1500; 10]), "     +");
    }

    #[test]
    fn those_at_the_end_and_outside_are_in_the_picture() {
        assert_eq!(rendered_cells(&[2000]), "         ↑");
        assert_eq!(rendered_cells(&[0, 9000]), "↑        ↑");
    }
}
