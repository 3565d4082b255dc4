//! A page of metrics in the text format, taken apart.

use std::collections::BTreeMap;

pub(super) type Labels = BTreeMap<String, String>;

/// A line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) value: String,
}

/// Every sample of a page. Values of labels keep what the format escapes.
pub(super) fn samples(page: &str) -> impl Iterator<Item = Sample> {
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(Sample::parse)
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at_checked(end)?;
        let mut labels = Labels::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            while let Some((label, after)) = rest.split_once("=\"") {
                let (value, after) = after.split_at_checked(value_end(after)?)?;
                labels.insert(label.trim_start_matches(',').to_owned(), value.to_owned());
                rest = after.strip_prefix('"')?;
                if let Some(after) = rest.strip_prefix('}') {
                    rest = after;
                    break;
                }
            }
        }
        Some(Self {
            name: name.to_owned(),
            labels,
            value: rest.split_whitespace().next()?.to_owned(),
        })
    }

    /// A series as promtool reads it.
    pub(super) fn written(name: &str, labels: &Labels) -> String {
        let labels: Vec<_> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        format!("{name}{{{}}}", labels.join(","))
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
    fn a_page_is_taken_apart() {
        let page = "# HELP a x\na{p=\"say \\\"x\\\", y\",q=\"r\"} 2.5 # {e=\"f\"} 1\nb 0\n";
        let samples: Vec<_> = samples(page).collect();
        let written: Vec<_> = samples
            .iter()
            .map(|sample| Sample::written(&sample.name, &sample.labels))
            .collect();
        assert_eq!(written, ["a{p=\"say \\\"x\\\", y\",q=\"r\"}", "b{}"]);
        assert_eq!(samples[0].value, "2.5");
    }
}
