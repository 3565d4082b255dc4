//! Times in words: dates where there are any, else seconds of the boot clock.

use agent_core::time::Timestamp;
use maud::{Markup, html};

use crate::http::Origin;
use crate::timeline::format_duration;

/// A moment with its date and time of day.
pub(super) fn render_date(at: Timestamp, origin: &Origin) -> Markup {
    html! {
        @if let Some(wall) = wall_time(at, origin) {
            time datetime=(wall.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")) data-date { (wall.strftime("%Y-%m-%d %H:%M:%S")) " UTC" }
        } @else {
            span { "boot + " (format_duration(at.since(Timestamp::default()))) }
        }
    }
}

/// A moment with its time of day to a thousandth of a second.
pub(super) fn time_of_day(at: Timestamp, origin: &Origin) -> Markup {
    let micros = at.0 / 1_000;
    html! {
        @if let Some(wall) = wall_time(at, origin) {
            time datetime=(wall.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")) { (wall.strftime("%H:%M:%S%.3f")) }
        } @else {
            (micros / 1_000_000) "." (format!("{:06}", micros % 1_000_000))
        }
    }
}

/// What [`time_of_day`] counts from.
pub(super) const fn clock_name(origin: &Origin) -> &'static str {
    match origin {
        Origin::Agent { .. } => "UTC",
        Origin::Recording { .. } => "s since boot",
    }
}

/// How long before or after T0: `+1.203 s`, `−12 ms`.
pub(super) fn offset(at: Timestamp, start: Timestamp) -> String {
    if at < start {
        format!("−{}", format_duration(start.since(at)))
    } else {
        format!("+{}", format_duration(at.since(start)))
    }
}

fn wall_time(at: Timestamp, origin: &Origin) -> Option<jiff::Timestamp> {
    let nanos = origin.wall_at_boot()?.checked_add(at.0)?;
    jiff::Timestamp::from_nanosecond(i128::from(nanos)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_have_no_dates() {
        let origin = Origin::Recording {
            files: Vec::new(),
            end: Timestamp(0),
        };
        let at = Timestamp(18_929_798_615_916);
        assert_eq!(
            render_date(at, &origin).into_string(),
            "<span>boot + 5 h 15 min</span>"
        );
        assert_eq!(time_of_day(at, &origin).into_string(), "18929.798615");
    }

    #[test]
    fn offsets_have_a_sign() {
        let at = |millis: u64| Timestamp(millis * 1_000_000);
        assert_eq!(offset(at(1500), at(500)), "+1.000 s");
        assert_eq!(offset(at(500), at(512)), "−12.0 ms");
        assert_eq!(offset(at(5), at(5)), "+0 s");
    }
}
