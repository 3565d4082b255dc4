//! Durations as people write them: `812 µs`, `1.23 ms`, `10.008 s`, `2 min 03 s`.

use std::time::Duration;

const MICRO: u128 = 1_000;
const MILLI: u128 = 1_000_000;
const SECOND: u128 = 1_000_000_000;

/// A duration with three digits that matter below a second, milliseconds below a minute, whole seconds above.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0 s".to_owned();
    }
    let rounded = three_digits(nanos);
    if rounded < MICRO {
        return format!("{nanos} ns");
    }
    if rounded < MILLI {
        return scaled(rounded, MICRO, "µs");
    }
    if rounded < SECOND {
        return scaled(rounded, MILLI, "ms");
    }
    let millis = (nanos + MILLI / 2) / MILLI;
    if millis < 60_000 {
        return format!("{}.{:03} s", millis / 1000, millis % 1000);
    }
    let seconds = (nanos + SECOND / 2) / SECOND;
    let (minutes, rest) = (seconds / 60, seconds % 60);
    if minutes < 60 {
        return format!("{minutes} min {rest:02} s");
    }
    let (hours, minutes) = (minutes / 60, minutes % 60);
    if hours < 48 {
        return format!("{hours} h {minutes:02} min");
    }
    format!("{} d {:02} h", hours / 24, hours % 24)
}

/// A duration that somebody set, which is whole as a rule: `30 s`, `1.500 s`.
pub(crate) fn configured(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 && duration.as_secs() < 60 {
        format!("{} s", duration.as_secs())
    } else {
        format_duration(duration)
    }
}

/// Rounded to three digits: 1 234 500 becomes 1 230 000.
fn three_digits(nanos: u128) -> u128 {
    let mut unit = 1;
    while nanos / unit >= 1000 {
        unit *= 10;
    }
    (nanos + unit / 2) / unit * unit
}

/// `1.23 ms`, `12.3 ms`, `123 ms` from a number rounded to three digits.
fn scaled(rounded: u128, unit: u128, name: &str) -> String {
    let whole = rounded / unit;
    let thousandths = rounded % unit * 1000 / unit;
    match whole {
        0..10 => format!("{whole}.{:02} {name}", thousandths / 10),
        10..100 => format!("{whole}.{} {name}", thousandths / 100),
        _ => format!("{whole} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_magnitude_reads_well() {
        let cases = [
            (0, "0 s"),
            (7, "7 ns"),
            (999, "999 ns"),
            (1_234, "1.23 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (1_200_000, "1.20 ms"),
            (12_345_678, "12.3 ms"),
            (123_456_789, "123 ms"),
            (999_600_000, "1.000 s"),
            (10_008_400_000, "10.008 s"),
            (59_999_600_000, "1 min 00 s"),
            (123_000_000_000, "2 min 03 s"),
            (3_720_000_000_000, "1 h 02 min"),
            (604_800_000_000_000, "7 d 00 h"),
        ];
        for (nanos, text) in cases {
            assert_eq!(
                format_duration(Duration::from_nanos(nanos)),
                text,
                "{nanos} ns"
            );
        }
    }

    #[test]
    fn what_was_set_is_whole() {
        assert_eq!(configured(Duration::from_secs(30)), "30 s");
        assert_eq!(configured(Duration::from_millis(1500)), "1.500 s");
        assert_eq!(configured(Duration::from_secs(90)), "1 min 30 s");
    }
}
