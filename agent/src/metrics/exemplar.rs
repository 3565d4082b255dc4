//! Exemplars: from a bucket of a workload's histogram to a container that was counted in it.
//!
//! The library's own type for them has no native histograms, so they are kept here and put into what is encoded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use agent_core::report::Report;
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model as model;

use super::definition::Definition;
use super::label::Labels;
use crate::clock;
use crate::terminal::text::visible;

/// Characters of all names and values together:
/// <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md#exemplars>.
const CHARACTERS_MAX: usize = 128;

/// What an exemplar points to, and when that ended. Clones are cheap.
#[derive(Clone, Debug)]
pub(super) struct Pointer {
    labels: Arc<[(&'static str, String)]>,
    /// Nanoseconds since 1970. Taken once, so that each scrape shows the same exemplar.
    at: u64,
}

impl Pointer {
    /// The container of a report, if its name fits: shortened it would point to nothing.
    pub(super) fn from_report(report: &Report) -> Option<Self> {
        let ended = report.exit.as_ref()?.at;
        Some(Self {
            labels: fitting(container_labels(report))?.into(),
            at: clock::wall_at_boot().saturating_add(ended.0),
        })
    }
}

fn container_labels(report: &Report) -> Vec<(&'static str, String)> {
    let Some(pod) = &report.pod else {
        return vec![("container", visible(&report.subject.name))];
    };
    // What a pod has most need of comes first.
    let mut names = vec![
        ("pod", pod.name.clone()),
        ("namespace", pod.namespace.clone()),
    ];
    names.extend(pod.container.clone().map(|name| ("container", name)));
    names
}

/// As many of the names as fit, the last going first: namespace and container are labels of the histogram, too.
fn fitting(mut names: Vec<(&'static str, String)>) -> Option<Vec<(&'static str, String)>> {
    let length = |(name, value): &(&str, String)| name.len() + value.chars().count();
    while names.iter().map(length).sum::<usize>() > CHARACTERS_MAX {
        names.pop();
    }
    (!names.is_empty()).then_some(names)
}

#[derive(Clone, Debug)]
struct Exemplar {
    pointer: Pointer,
    value: f64,
}

/// Exemplars of a series by the number of the bucket.
type Buckets = BTreeMap<usize, Exemplar>;
/// Names and values in the order of the series.
type Series = Vec<(String, String)>;

/// The last exemplar of each bucket, by metric and series. As bounded as the histograms.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<BTreeMap<String, BTreeMap<Series, Buckets>>>);

impl Exemplars {
    /// Takes note of a value that was observed. An exemplar that is older than the bucket's is none: Prometheus
    /// refuses it.
    pub(super) fn observe(
        &self,
        definition: &Definition,
        labels: &Labels,
        value: f64,
        pointer: &Pointer,
    ) {
        let bounds = definition.buckets();
        let bucket = bounds
            .iter()
            .position(|bound| value <= *bound)
            .unwrap_or(bounds.len());
        let mut metrics = self.metrics();
        let buckets = metrics
            .entry(definition.full_name())
            .or_default()
            .entry(series_of(labels))
            .or_default();
        if buckets
            .get(&bucket)
            .is_none_or(|old| old.pointer.at <= pointer.at)
        {
            let pointer = pointer.clone();
            buckets.insert(bucket, Exemplar { pointer, value });
        }
    }

    /// Takes away those of a series.
    pub(super) fn remove(&self, labels: &Labels) {
        let series = series_of(labels);
        for all in self.metrics().values_mut() {
            all.remove(&series);
        }
    }

    /// Puts them into the buckets of what is encoded.
    pub(super) fn attach(&self, families: &mut [model::MetricFamily]) {
        let metrics = self.metrics();
        for family in families {
            let Some(all) = metrics.get(&family.name) else {
                continue;
            };
            for metric in &mut family.metric {
                let series: Series = metric
                    .label
                    .iter()
                    .map(|pair| (pair.name.clone(), pair.value.clone()))
                    .collect();
                let (Some(exemplars), Some(histogram)) = (all.get(&series), &mut metric.histogram)
                else {
                    continue;
                };
                for (number, bucket) in histogram.bucket.iter_mut().enumerate() {
                    bucket.exemplar = exemplars.get(&number).map(encoded);
                }
            }
        }
    }

    fn metrics(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<Series, Buckets>>> {
        // A panic elsewhere leaves whole exemplars.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn series_of(labels: &Labels) -> Series {
    let pairs = labels.pairs();
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn encoded(exemplar: &Exemplar) -> model::Exemplar {
    let at = UNIX_EPOCH + Duration::from_nanos(exemplar.pointer.at);
    model::Exemplar {
        label: exemplar
            .pointer
            .labels
            .iter()
            .map(|(name, value)| model::LabelPair {
                name: (*name).to_owned(),
                value: value.clone(),
            })
            .collect(),
        value: exemplar.value,
        timestamp: Some(at.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitting_names(pod: usize, namespace: usize, container: usize) -> Option<Vec<&'static str>> {
        let names = vec![
            ("pod", "p".repeat(pod)),
            ("namespace", "ä".repeat(namespace)),
            ("container", "c".repeat(container)),
        ];
        let fitting = fitting(names)?;
        Some(fitting.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_labels_of_the_histogram() {
        let all = vec!["pod", "namespace", "container"];
        assert_eq!(fitting_names(60, 30, 17), Some(all));
        assert_eq!(fitting_names(60, 30, 18), Some(vec!["pod", "namespace"]));
        assert_eq!(fitting_names(63, 63, 63), Some(vec!["pod"]));
        assert_eq!(fitting_names(125, 1, 1), Some(vec!["pod"]));
        assert_eq!(fitting_names(126, 1, 1), None);
    }
}
