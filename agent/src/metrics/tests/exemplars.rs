//! From the buckets of a workload to a pod, in the formats that can say it.

use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model as model;
use prost::Message as _;

use super::pods::pod_report;
use super::*;

const POINTS: &str = r#" # {pod="web-7d4b9c6f5-x2x9k",namespace="shop",container="app"} 30 "#;

fn of_a_pod() -> Metrics {
    let metrics = Metrics::new(Retention::default());
    finish(&metrics, pod_report(1), at_second(131));
    metrics
}

#[test]
fn openmetrics_has_them_at_their_buckets() {
    let metrics = of_a_pod();
    let page = render_page(&metrics, Format::OpenMetrics);
    let with_exemplar: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("workload_termination_signal_to_exit_seconds"))
        .filter(|line| line.contains(" # "))
        .collect();
    assert_eq!(with_exemplar.len(), 1, "{page}");
    let (sample, time) = with_exemplar[0].split_once(POINTS).unwrap();
    assert!(sample.ends_with("le=\"30.0\"} 1"), "{sample}");
    let ended = (crate::clock::wall_at_boot() + 130 * SECOND) / SECOND;
    let seconds: u64 = time.split('.').next().unwrap().parse().unwrap();
    assert!(seconds.abs_diff(ended) < 2, "{time}");
    assert!(!render_page(&metrics, Format::Text).contains(" # {"));
}

#[test]
fn protobuf_has_them_beside_the_native_buckets() {
    let metrics = of_a_pod();
    let message = metrics.encode(Format::Protobuf).unwrap();
    let mut rest = message.as_slice();
    let mut exemplars = Vec::new();
    while !rest.is_empty() {
        let family = model::MetricFamily::decode_length_delimited(&mut rest).unwrap();
        if family.name == "workload_termination_signal_to_exit_seconds" {
            let histogram = family.metric[0].histogram.clone().unwrap();
            assert!(!histogram.positive_span.is_empty());
            exemplars.extend(histogram.bucket.into_iter().filter_map(|b| b.exemplar));
        }
    }
    let [exemplar] = exemplars.as_slice() else {
        panic!("not one exemplar: {exemplars:?}");
    };
    assert_eq!(exemplar.label[0].value, "web-7d4b9c6f5-x2x9k");
    assert!(exemplar.timestamp.is_some());
}

#[test]
fn the_last_one_stays_and_an_older_one_does_not_replace_it() {
    let metrics = of_a_pod();
    let mut earlier = pod_report(2);
    if let (Some(pod), Some(exit), Some(stop)) = (
        &mut earlier.pod,
        &mut earlier.exit,
        &mut earlier.stop_signal,
    ) {
        pod.name = "web-earlier".to_owned();
        (stop.at, exit.at) = (at_second(90), at_second(120));
    }
    finish(&metrics, earlier, at_second(131));
    assert!(
        !render_page(&metrics, Format::OpenMetrics)
            .contains("web-earlier\",namespace=\"shop\",container=\"app\"} 30 ")
    );
}

#[test]
fn without_kubernetes_it_is_the_container() {
    let metrics = Metrics::new(Retention::default());
    finish(&metrics, killed(1, "web.service"), at_second(131));
    assert!(
        render_page(&metrics, Format::OpenMetrics).contains(" # {container=\"web.service\"} 30 ")
    );
}
