//! What a scrape gets: the metrics in the format that it prefers among the three we have.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::prometheus_protobuf::{
    self, EncodeError, prometheus_data_model as model,
};
use prost::Message as _;

use super::Metrics;
use super::definition::{ALL, Kind};

/// A format of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
        let mut families = prometheus_protobuf::encode(&self.registry)?;
        self.workload.attach_exemplars(&mut families);
        if format == Format::Protobuf {
            let mut message = Vec::new();
            for family in families {
                family.encode_length_delimited(&mut message)?;
            }
            return Ok(message);
        }
        let mut page = Page {
            text: String::new(),
            open: format == Format::OpenMetrics,
        };
        for family in &families {
            page.family(family)?;
        }
        if page.open {
            page.text.push_str("# EOF\n");
        }
        Ok(page.text.into_bytes())
    }
}

/// A page of text, written from the same model as the protobuf format, so that names, values and exemplars cannot differ.
struct Page {
    text: String,
    /// OpenMetrics 1.0.0 (<https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>), else the
    /// text format 0.0.4
    /// (<https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md>).
    open: bool,
}

impl Page {
    fn family(&mut self, family: &model::MetricFamily) -> fmt::Result {
        let (name, kind) = if self.open {
            open_name_and_kind(family)
        } else {
            (family.name.as_str(), kind_name(family))
        };
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        writeln!(self.text, "# HELP {name} {help}")?;
        writeln!(self.text, "# TYPE {name} {kind}")?;
        if self.open && !family.unit.is_empty() {
            writeln!(self.text, "# UNIT {name} {}", family.unit)?;
        }
        for metric in &family.metric {
            let value = metric
                .counter
                .as_ref()
                .map(|counter| counter.value)
                .or(metric.gauge.as_ref().map(|gauge| gauge.value));
            if let Some(value) = value {
                self.sample(&family.name, &metric.label, None, value)?;
                self.text.push('\n');
            }
            if let Some(histogram) = &metric.histogram {
                self.histogram(&family.name, &metric.label, histogram)?;
            }
        }
        Ok(())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the formats' numbers are floats; counts stay exact up to 2^53"
    )]
    fn histogram(
        &mut self,
        name: &str,
        labels: &[model::LabelPair],
        histogram: &model::Histogram,
    ) -> fmt::Result {
        let bucket_name = format!("{name}_bucket");
        for bucket in &histogram.bucket {
            let bound = self.format_bound(bucket.upper_bound);
            let count = bucket.cumulative_count as f64;
            self.sample(&bucket_name, labels, Some(&bound), count)?;
            if let Some(exemplar) = bucket.exemplar.as_ref().filter(|_| self.open) {
                self.exemplar(exemplar)?;
            }
            self.text.push('\n');
        }
        self.sample(&format!("{name}_sum"), labels, None, histogram.sample_sum)?;
        self.text.push('\n');
        let count = histogram.sample_count as f64;
        self.sample(&format!("{name}_count"), labels, None, count)?;
        self.text.push('\n');
        Ok(())
    }

    /// ` # {pod="web-0"} 2.02 1790000000.123456789`
    fn exemplar(&mut self, exemplar: &model::Exemplar) -> fmt::Result {
        self.text.push_str(" # ");
        self.labels(&exemplar.label, None)?;
        write!(self.text, " {}", number(exemplar.value))?;
        match &exemplar.timestamp {
            Some(at) => write!(self.text, " {}.{:09}", at.seconds, at.nanos),
            None => Ok(()),
        }
    }

    /// A bound as a label; OpenMetrics has one way to write each number.
    fn format_bound(&self, bound: f64) -> String {
        let text = number(bound);
        if self.open && bound.is_finite() && !text.contains('.') {
            text + ".0"
        } else {
            text
        }
    }

    /// Name, labels and value, without a newline.
    fn sample(
        &mut self,
        name: &str,
        labels: &[model::LabelPair],
        bound: Option<&str>,
        value: f64,
    ) -> fmt::Result {
        self.text.push_str(name);
        if !labels.is_empty() || bound.is_some() {
            self.labels(labels, bound)?;
        }
        write!(self.text, " {}", number(value))
    }

    fn labels(&mut self, labels: &[model::LabelPair], bound: Option<&str>) -> fmt::Result {
        let pairs = labels
            .iter()
            .map(|pair| (pair.name.as_str(), pair.value.as_str()))
            .chain(bound.map(|bound| ("le", bound)));
        self.text.push('{');
        for (position, (label, text)) in pairs.enumerate() {
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let comma = if position > 0 { "," } else { "" };
            write!(self.text, "{comma}{label}=\"{text}\"")?;
        }
        self.text.push('}');
        Ok(())
    }
}

fn kind_name(family: &model::MetricFamily) -> &'static str {
    match family.r#type() {
        model::MetricType::Counter => "counter",
        model::MetricType::Gauge => "gauge",
        model::MetricType::Histogram | model::MetricType::GaugeHistogram => "histogram",
        model::MetricType::Summary => "summary",
        model::MetricType::Untyped => "untyped",
    }
}

/// OpenMetrics names a family without the suffix of its samples, and knows infos, which the model has as gauges.
fn open_name_and_kind(family: &model::MetricFamily) -> (&str, &'static str) {
    let name = family.name.as_str();
    let is_info = ALL
        .iter()
        .any(|definition| definition.kind == Kind::Info && definition.full_name() == family.name);
    if is_info {
        return (name.strip_suffix("_info").unwrap_or(name), "info");
    }
    (
        name.strip_suffix("_total").unwrap_or(name),
        kind_name(family),
    )
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
        let mut page = Page {
            text: String::new(),
            open: false,
        };
        page.sample("x", &labels, None, 1.0).unwrap();
        assert_eq!(page.text, "x{cgroup=\"a\\\"b\\\\c\\nd\"} 1");
    }
}
