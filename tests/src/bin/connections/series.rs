//! The exposition, read back: series with their labels and values.

use std::collections::BTreeMap;

use anyhow::Result;
use gracewatch_tests::claim;
use gracewatch_tests::harness::OrWrong as _;
use gracewatch_tests::whole::Whole;

/// One series.
#[derive(Clone, Debug)]
struct One {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// All series of one scrape.
#[derive(Clone, Debug)]
pub(crate) struct Series(Vec<One>);

impl Series {
    /// Scrapes the agent.
    pub(crate) fn scrape(agent: &Whole) -> Result<Self> {
        let (status, text) = agent.get("/metrics")?;
        claim!(status == 200, "/metrics answers {status}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let all = lines.map(|line| parse(line).or_wrong(|| format!("no series: {line}")));
        Ok(Self(all.collect::<Result<_>>()?))
    }

    /// The sum of the series with this name and these labels, among others; none if there is none.
    pub(crate) fn sum_of(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted = |one: &&One| {
            one.name == name
                && labels
                    .iter()
                    .all(|(key, value)| one.labels.get(*key).is_some_and(|found| found == value))
        };
        let mut values = self.0.iter().filter(wanted).map(|one| one.value).peekable();
        values.peek()?;
        Some(values.sum())
    }
}

fn parse(line: &str) -> Option<One> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}')?),
        None => (series, ""),
    };
    let mut found = BTreeMap::new();
    let mut rest = labels;
    // No value of ours has a quotation mark in it.
    while let Some((key, more)) = rest.split_once("=\"") {
        let (text, more) = more.split_once('"')?;
        found.insert(key.trim_start_matches(',').to_owned(), text.to_owned());
        rest = more;
    }
    Some(One {
        name: name.to_owned(),
        labels: found,
        value: value.parse().ok()?,
    })
}
