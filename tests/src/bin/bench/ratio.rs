//! Ratios of paired rounds: their middle, and how far they lie apart.

use std::fmt;

/// The middle of a set of measurements, and the quarter's ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Middle {
    pub(crate) median: f64,
    /// A quarter is below this.
    pub(crate) low: f64,
    /// A quarter is above this.
    pub(crate) high: f64,
}

impl Middle {
    /// Of these measurements; `None` if there are none.
    pub(crate) fn from_values(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            let last = values.len().checked_sub(1)?;
            values.get((last * quarters + 2) / 4).copied()
        };
        Some(Self {
            median: at(2)?,
            low: at(1)?,
            high: at(3)?,
        })
    }
}

/// `1.06 (1.04 to 1.09)`.
impl fmt::Display for Middle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(
            f,
            "{:.digits$} ({:.digits$} to {:.digits$})",
            self.median, self.low, self.high
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Middle;

    #[test]
    fn the_middle_does_not_follow_an_outlier() {
        let middle = Middle::from_values(vec![1.2, 90.0, 1.0, 1.1, 1.3]).unwrap();
        assert_eq!(middle.to_string(), "1.20 (1.10 to 1.30)");
        assert_eq!(format!("{middle:.1}"), "1.2 (1.1 to 1.3)");
        assert!(Middle::from_values(Vec::new()).is_none());
    }
}
