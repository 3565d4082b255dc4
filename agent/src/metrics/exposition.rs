//! What a scrape gets: the metrics in the format that it prefers among the three we have.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::prometheus_protobuf::{
    self, EncodeError, prometheus_data_model as model,
};
use prometheus_client::encoding::text;

use super::Metrics;

/// A format of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4, which everything reads.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus' protobuf, the only one that carries native histograms.
    Protobuf,
}

/// In the order of our preference where the scraper has none.
const FORMATS: [Format; 3] = [Format::Text, Format::OpenMetrics, Format::Protobuf];

impl Format {
    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The format that an `Accept` header prefers; text if it names none that we have.
    pub fn negotiate(accept: &str) -> Self {
        let mut best = (Self::Text, 0.0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let parameters: Vec<&str> = parts.collect();
            let quality = parameters
                .iter()
                .find_map(|parameter| parameter.strip_prefix("q=")?.parse().ok())
                .unwrap_or(1.0_f32);
            let wanted = FORMATS
                .into_iter()
                .find(|format| format.is_meant_by(media, &parameters));
            if let Some(format) = wanted
                && quality > best.1
            {
                best = (format, quality);
            }
        }
        best.0
    }

    fn is_meant_by(self, media: &str, parameters: &[&str]) -> bool {
        match self {
            Self::Text => matches!(media, "text/plain" | "text/*" | "*/*"),
            Self::OpenMetrics => media == "application/openmetrics-text",
            Self::Protobuf => {
                media == "application/vnd.google.protobuf"
                    && parameters.contains(&"proto=io.prometheus.client.MetricFamily")
                    && parameters.contains(&"encoding=delimited")
            }
        }
    }
}

impl Metrics {
    /// The metrics as they stand.
    ///
    /// # Errors
    /// If a value cannot be written in the format; none of ours is such.
    pub fn encode(&self, format: Format) -> Result<Vec<u8>, EncodeError> {
        match format {
            Format::Protobuf => prometheus_protobuf::encode_to_vec(&self.registry),
            Format::OpenMetrics => {
                let mut page = String::new();
                text::encode(&mut page, &self.registry)?;
                Ok(page.into_bytes())
            }
            Format::Text => {
                let mut page = String::new();
                for family in prometheus_protobuf::encode(&self.registry)? {
                    write_family(&mut page, &family)?;
                }
                Ok(page.into_bytes())
            }
        }
    }
}

/// A family in the text format 0.0.4
/// (<https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md>), from the same model as the
/// protobuf format, so that names, types and suffixes cannot differ.
fn write_family(page: &mut String, family: &model::MetricFamily) -> fmt::Result {
    let name = &family.name;
    let kind = match family.r#type() {
        model::MetricType::Counter => "counter",
        model::MetricType::Gauge => "gauge",
        model::MetricType::Histogram | model::MetricType::GaugeHistogram => "histogram",
        model::MetricType::Summary => "summary",
        model::MetricType::Untyped => "untyped",
    };
    let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
    writeln!(page, "# HELP {name} {help}")?;
    writeln!(page, "# TYPE {name} {kind}")?;
    for metric in &family.metric {
        let value = metric
            .counter
            .as_ref()
            .map(|counter| counter.value)
            .or(metric.gauge.as_ref().map(|gauge| gauge.value));
        if let Some(value) = value {
            write_sample(page, name, &metric.label, None, value)?;
        }
        if let Some(histogram) = &metric.histogram {
            write_histogram(page, name, &metric.label, histogram)?;
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the format's numbers are floats; counts stay exact up to 2^53"
)]
fn write_histogram(
    page: &mut String,
    name: &str,
    labels: &[model::LabelPair],
    histogram: &model::Histogram,
) -> fmt::Result {
    let bucket_name = format!("{name}_bucket");
    for bucket in &histogram.bucket {
        let bound = number(bucket.upper_bound);
        write_sample(
            page,
            &bucket_name,
            labels,
            Some(&bound),
            bucket.cumulative_count as f64,
        )?;
    }
    write_sample(
        page,
        &format!("{name}_sum"),
        labels,
        None,
        histogram.sample_sum,
    )?;
    write_sample(
        page,
        &format!("{name}_count"),
        labels,
        None,
        histogram.sample_count as f64,
    )
}

fn write_sample(
    page: &mut String,
    name: &str,
    labels: &[model::LabelPair],
    bound: Option<&str>,
    value: f64,
) -> fmt::Result {
    page.push_str(name);
    let pairs = labels
        .iter()
        .map(|pair| (pair.name.as_str(), pair.value.as_str()))
        .chain(bound.map(|bound| ("le", bound)));
    let mut opening = '{';
    for (label, text) in pairs {
        let text = text
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        write!(page, "{opening}{label}=\"{text}\"")?;
        opening = ',';
    }
    if opening == ',' {
        page.push('}');
    }
    writeln!(page, " {}", number(value))
}

/// A float as Go's `strconv.ParseFloat` reads it.
fn number(value: f64) -> String {
    if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scraper_gets_what_it_prefers() {
        let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
            application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(Format::negotiate(prometheus), Format::Protobuf);
        let openmetrics =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
        assert_eq!(Format::negotiate(openmetrics), Format::OpenMetrics);
        assert_eq!(
            Format::negotiate("application/vnd.google.protobuf;proto=other"),
            Format::Text
        );
        for text in [
            "",
            "*/*",
            "text/html",
            "text/plain",
            "application/openmetrics-text;q=0",
        ] {
            assert_eq!(Format::negotiate(text), Format::Text, "{text}");
        }
    }

    #[test]
    fn floats_are_what_prometheus_reads() {
        assert_eq!(number(f64::INFINITY), "+Inf");
        assert_eq!(number(3.0), "3");
        assert_eq!(number(0.1), "0.1");
        assert_eq!(number(f64::NAN), "NaN");
    }

    #[test]
    fn label_values_are_escaped() {
        let labels = [model::LabelPair {
            name: "cgroup".to_owned(),
            value: "a\"b\\c\nd".to_owned(),
        }];
        let mut page = String::new();
        write_sample(&mut page, "x", &labels, None, 1.0).unwrap();
        assert_eq!(page, "x{cgroup=\"a\\\"b\\\\c\\nd\"} 1\n");
    }
}
