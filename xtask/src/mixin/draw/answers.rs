//! What Prometheus answered, put together with the panel that asked.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::mixin::board::{Panel, Target};

/// The file that the end-to-end tests leave.
#[derive(Debug, Deserialize)]
pub(super) struct Answers {
    /// From when to when graphs are, in seconds since 1970.
    pub(super) from: f64,
    pub(super) to: f64,
    /// By dashboard and panel, an answer for each query.
    boards: BTreeMap<String, BTreeMap<String, Vec<Answer>>>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(rename = "refId")]
    name: String,
    series: Vec<Series>,
}

/// One series; a value of one moment, or values over the run.
#[derive(Debug, Deserialize)]
pub(super) struct Series {
    #[serde(rename = "metric")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    value: Option<Point>,
    #[serde(default)]
    values: Vec<Point>,
}

/// Its time, and its value as Prometheus writes it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Point(pub(super) f64, String);

impl Point {
    pub(super) fn value(&self) -> f64 {
        self.1.parse().unwrap_or(f64::NAN)
    }
}

impl Series {
    /// Its value, that of one moment or the last.
    pub(super) fn last_value(&self) -> f64 {
        let last = self.value.as_ref().or_else(|| self.values.last());
        last.map_or(f64::NAN, Point::value)
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.values
    }

    /// Its name in a legend: what the template says, else its labels.
    pub(super) fn legend(&self, template: &str) -> String {
        if template == "__auto" {
            let labels: Vec<_> = self.labels.values().map(String::as_str).collect();
            return labels.join(" ");
        }
        self.labels
            .iter()
            .fold(template.to_owned(), |text, (label, value)| {
                text.replace(&format!("{{{{{label}}}}}"), value)
            })
    }
}

impl Answers {
    /// The queries of a panel, each with the series of its answer.
    pub(super) fn answers_of<'a>(
        &'a self,
        uid: &str,
        panel: &'a Panel,
    ) -> Vec<(&'a Target, &'a [Series])> {
        let of_panel = self
            .boards
            .get(uid)
            .and_then(|panels| panels.get(&panel.id.to_string()));
        panel
            .targets
            .iter()
            .map(|target| {
                let answer = of_panel
                    .into_iter()
                    .flatten()
                    .find(|answer| answer.name == target.ref_id);
                (
                    target,
                    answer.map_or(&[][..], |answer| answer.series.as_slice()),
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_is_filled_in() {
        let series: Series = serde_json::from_str(
            r#"{"metric": {"phase": "hook", "direction": "sent"}, "value": [1.5, "3"]}"#,
        )
        .unwrap();
        assert_eq!(series.legend("{{phase}} of {{direction}}"), "hook of sent");
        assert_eq!(series.legend("__auto"), "sent hook");
        assert!((series.last_value() - 3.0).abs() < 1e-9);
    }
}
