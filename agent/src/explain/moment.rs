//! Moments as they are told: counted from T0.

use agent_core::time::Timestamp;

use crate::timeline::format_duration;

/// `+10.003 s`, `−1 min 00 s`, `0 s`: how long after T0.
pub(super) fn format_offset(start: Timestamp, at: Timestamp) -> String {
    match at.cmp(&start) {
        std::cmp::Ordering::Less => format!("−{}", format_duration(start.since(at))),
        std::cmp::Ordering::Equal => "0 s".to_owned(),
        std::cmp::Ordering::Greater => format!("+{}", format_duration(at.since(start))),
    }
}

/// The moment on the wall clock, in UTC.
pub(super) fn format_date(at: Timestamp, wall_at_boot: u64) -> Option<String> {
    let nanoseconds = i128::from(wall_at_boot) + i128::from(at.0);
    let moment = jiff::Timestamp::from_nanosecond(nanoseconds).ok()?;
    Some(format!("{moment:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_counted_from_the_start() {
        let start = Timestamp(5_000_000_000);
        assert_eq!(format_offset(start, Timestamp(5_000_000_000)), "0 s");
        assert_eq!(format_offset(start, Timestamp(6_500_000_000)), "+1.500 s");
        assert_eq!(format_offset(start, Timestamp(4_999_000_000)), "−1.00 ms");
    }

    #[test]
    fn dates_are_of_the_wall_clock() {
        let date = format_date(Timestamp(1_500_000_000), 1_700_000_000_000_000_000);
        assert_eq!(date.as_deref(), Some("2023-11-14T22:13:21.500Z"));
    }
}
