//! What values.yaml says of its values, as Markdown. `## ` begins a section; `# -- ` describes the value below it, as a whole.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Values that belong together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    title: String,
    pub(super) values: Vec<Described>,
}

/// One value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// Its keys, with dots between them.
    pub(super) path: String,
    /// As JSON, on one line.
    default: String,
    about: String,
}

/// Where the reading is in the file.
#[derive(Debug, Default)]
struct Reader {
    sections: Vec<Section>,
    /// The keys around the line, with how far they are indented.
    around: Vec<(usize, String)>,
    /// What was said of the next value.
    about: Option<String>,
    /// How far the value is indented that was described last: what is deeper is part of it.
    within: Option<usize>,
}

/// All values, in their order. A value that nothing describes is an error.
pub(super) fn read(text: &str) -> Result<Vec<Section>> {
    let values: Value = serde_saphyr::from_str(text).context("it is no YAML")?;
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.read_line(line, &values)?;
    }
    Ok(reader.sections)
}

impl Reader {
    fn read_line(&mut self, line: &str, values: &Value) -> Result<()> {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(title) = line.strip_prefix("## ") {
            self.sections.push(Section {
                title: title.to_owned(),
                values: Vec::new(),
            });
        } else if let Some(about) = text.strip_prefix("# -- ") {
            self.about = Some(about.to_owned());
        } else if let Some(comment) = text.strip_prefix("# ") {
            if let Some(about) = &mut self.about {
                write!(about, " {comment}")?;
            }
        } else if !text.is_empty() && !self.is_within(indent, text) {
            self.read_key(indent, text, values)?;
        }
        Ok(())
    }

    fn is_within(&self, indent: usize, text: &str) -> bool {
        let deeper = |outer: usize| indent > outer || indent == outer && text.starts_with("- ");
        self.within.is_some_and(deeper)
    }

    fn read_key(&mut self, indent: usize, text: &str, values: &Value) -> Result<()> {
        let (key, _) = text
            .split_once(':')
            .with_context(|| format!("`{text}` is no key"))?;
        self.around.retain(|(outer, _)| *outer < indent);
        self.around.push((indent, key.to_owned()));
        let keys: Vec<&str> = self.around.iter().map(|(_, key)| key.as_str()).collect();
        let path = keys.join(".");
        let value = values
            .pointer(&format!("/{}", keys.join("/")))
            .with_context(|| format!("`{path}` has no value"))?;
        self.within = None;
        let Some(about) = self.about.take() else {
            let holds_others = value.as_object().is_some_and(|map| !map.is_empty());
            ensure!(
                holds_others,
                "`{path}` is not described: put `# -- …` above it"
            );
            return Ok(());
        };
        self.within = Some(indent);
        let section = self
            .sections
            .last_mut()
            .with_context(|| format!("`{path}` is in no section: put `## …` above it"))?;
        section.values.push(Described {
            path,
            default: value.to_string(),
            about,
        });
        Ok(())
    }
}

/// A table for each section.
pub(super) fn render(sections: &[Section]) -> String {
    let mut text = String::new();
    for Section { title, values } in sections {
        write!(
            text,
            "\n### {title}\n\n| value | default | |\n| --- | --- | --- |\n"
        )
        .ok();
        for Described {
            path,
            default,
            about,
        } in values
        {
            let about = about.replace('|', "\\|");
            writeln!(text, "| `{path}` | `{default}` | {about} |").ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &str = "\
# About the file.
## First

# -- A name,
# in two lines.
name: \"\"
# Not a description.
group:
  # -- A list.
  list:
  - key: x
    # Of the list.
    other: z
  # -- A map.
  map:
    deep: {a: 1}
## Second
# -- One | other.
last: 1
";

    #[test]
    fn each_described_value_is_a_row_of_its_section() {
        let text = render(&read(VALUES).unwrap());
        let expected = r#"
### First

| value | default | |
| --- | --- | --- |
| `name` | `""` | A name, in two lines. |
| `group.list` | `[{"key":"x","other":"z"}]` | A list. |
| `group.map` | `{"deep":{"a":1}}` | A map. |

### Second

| value | default | |
| --- | --- | --- |
| `last` | `1` | One \| other. |
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn a_value_without_a_description_is_named() {
        let error = |text| read(text).unwrap_err().to_string();
        assert!(error("## S\na:\n  b: 1\n").contains("`a.b` is not described"));
        assert!(error("## S\na: {}\n").contains("`a` is not described"));
        assert!(error("# -- It.\na: 1\n").contains("`a` is in no section"));
    }
}
