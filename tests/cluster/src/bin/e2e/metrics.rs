//! A page of metrics, asked for single values.

use std::collections::BTreeMap;

/// Samples by name and labels, from the text format.
#[derive(Debug)]
pub(crate) struct Page(Vec<Sample>);

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Page {
    pub(crate) fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(Sample::parse)
                .collect(),
        )
    }

    /// The values of all samples of this name.
    pub(crate) fn values(&self, name: &str) -> Vec<f64> {
        let found = self.0.iter().filter(|sample| sample.name == name);
        found.map(|sample| sample.value).collect()
    }

    /// The sum of all samples of this name that have these labels; none if there is no such sample.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self
            .0
            .iter()
            .filter(|sample| sample.name == name && sample.has_labels(labels))
            .map(|sample| sample.value)
            .peekable();
        found.peek()?;
        Some(found.sum())
    }
}

impl Sample {
    /// `name{label="value",…} value`, perhaps with an exemplar behind ` # `.
    fn parse(line: &str) -> Option<Self> {
        let name_end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at_checked(name_end)?;
        let mut labels = BTreeMap::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            while let Some((label, after)) = rest.split_once("=\"") {
                let end = value_end(after)?;
                labels.insert(
                    label.trim_start_matches(',').to_owned(),
                    after.get(..end)?.to_owned(),
                );
                rest = after.get(end + 1..)?;
                if let Some(after) = rest.strip_prefix('}') {
                    rest = after;
                    break;
                }
            }
        }
        let value = rest.split_whitespace().next()?.parse().ok()?;
        Some(Self {
            name: name.to_owned(),
            labels,
            value,
        })
    }

    fn has_labels(&self, wanted: &[(&str, &str)]) -> bool {
        wanted
            .iter()
            .all(|(name, value)| self.labels.get(*name).is_some_and(|found| found == value))
    }
}

/// Where the quoted text ends: at the first quote that is not escaped.
fn value_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, mark)| {
        let ends = mark == '"' && !escaped;
        escaped = mark == '\\' && !escaped;
        ends.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_their_labels() {
        let page = Page::parse(
            "# HELP a_total x\na_total{pod=\"p\",why=\"say \\\"x\\\"\"} 2 # {pod=\"q\"} 1\na_total{pod=\"r\"} 3\nb 0.5\n",
        );
        assert_eq!(page.sum("a_total", &[("pod", "p")]), Some(2.0));
        assert_eq!(page.sum("a_total", &[]), Some(5.0));
        assert_eq!(page.sum("b", &[]), Some(0.5));
        assert_eq!(page.values("a_total"), [2.0, 3.0]);
        assert_eq!(page.sum("b", &[("pod", "p")]), None);
    }
}
