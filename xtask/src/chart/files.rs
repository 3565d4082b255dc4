//! What of the chart comes from elsewhere in the repository: the tables in its README.md, and copies of the mixin's rules and
//! of the dashboards, since a chart can read nothing outside of its folder.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{FOLDER, tables};
use crate::cache;

/// Where the tables stand in README.md.
const BEGIN: &str = "<!-- tables: written by `cargo xtask chart` from values.yaml -->\n";
const END: &str = "<!-- end of the tables -->\n";

/// Where the mixin's rules are.
pub(super) const RULES: &str = "deploy/mixin/rules";

/// A folder of the chart whose files are copies: where, of what, and by which ending.
const COPIES: [(&str, &str, &str); 2] = [
    ("files/rules", RULES, "yaml"),
    ("files/dashboards", "deploy/dashboards", "json"),
];

/// Files by their paths in the chart.
type Files = BTreeMap<String, String>;

/// A sentence for each file that is not what it comes from.
pub(crate) fn outdated() -> Result<Vec<String>> {
    let (wanted, found) = (wanted()?, read_files()?);
    let says = |path: &String, what: &str| {
        format!("{FOLDER}/{path} {what}; write it anew with `cargo xtask chart`")
    };
    let wrong = wanted
        .iter()
        .filter(|(path, text)| found.get(*path) != Some(text))
        .map(|(path, _)| says(path, "is not what it comes from"));
    let left = found.keys().filter(|path| !wanted.contains_key(*path));
    Ok(wrong
        .chain(left.map(|path| says(path, "comes from nothing")))
        .collect())
}

/// Writes those that are not what they come from, and removes those that come from nothing.
pub(crate) fn write() -> Result<()> {
    let (wanted, found) = (wanted()?, read_files()?);
    let place = |path: &String| cache::workspace().join(FOLDER).join(path);
    for (path, text) in wanted
        .iter()
        .filter(|(path, text)| found.get(*path) != Some(text))
    {
        let file = place(path);
        let written = std::fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))
            .and_then(|()| std::fs::write(&file, text));
        written.with_context(|| format!("cannot write {}", file.display()))?;
        eprintln!("wrote {FOLDER}/{path}");
    }
    for path in found.keys().filter(|path| !wanted.contains_key(*path)) {
        let file = place(path);
        std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        eprintln!("removed {FOLDER}/{path}");
    }
    Ok(())
}

/// The files as they should be.
fn wanted() -> Result<Files> {
    let mut files = Files::new();
    for (folder, source, ending) in COPIES {
        files.extend(read_folder(
            &cache::workspace().join(source),
            folder,
            ending,
        )?);
    }
    let page = read_chart("README.md")?;
    files.insert("README.md".to_owned(), with_tables(&page)?);
    Ok(files)
}

/// The files as they are.
fn read_files() -> Result<Files> {
    let mut files = Files::new();
    for (folder, _, ending) in COPIES {
        let path = cache::workspace().join(FOLDER).join(folder);
        files.extend(read_folder(&path, folder, ending)?);
    }
    files.insert("README.md".to_owned(), read_chart("README.md")?);
    Ok(files)
}

/// The names of the copies in a folder of the chart.
pub(super) fn copies(folder: &str) -> Result<Vec<String>> {
    let prefix = format!("{folder}/");
    let files = read_files()?;
    Ok(files
        .keys()
        .filter_map(|path| path.strip_prefix(&prefix).map(str::to_owned))
        .collect())
}

pub(super) fn read_chart(name: &str) -> Result<String> {
    let path = cache::workspace().join(FOLDER).join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The files with this ending in `folder`, by their paths below `name`; none where there is no such folder.
fn read_folder(folder: &Path, name: &str, ending: &str) -> Result<Files> {
    let failed = || format!("cannot read {}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Files::new()),
        entries => entries.with_context(failed)?,
    };
    let mut files = Files::new();
    for entry in entries {
        let path = entry.with_context(failed)?.path();
        if path.extension().is_some_and(|end| end == ending) {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(format!("{name}/{file}"), text);
        }
    }
    Ok(files)
}

/// The page with the tables in their place.
fn with_tables(page: &str) -> Result<String> {
    let tables = read_chart("values.yaml")
        .and_then(|text| tables::read(&text))
        .map(|sections| tables::render(&sections))
        .with_context(|| format!("{FOLDER}/values.yaml"))?;
    let parts = page
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        parts.with_context(|| format!("{FOLDER}/README.md has no place for the tables"))?;
    Ok(format!("{before}{BEGIN}{tables}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::image;

    fn values() -> Value {
        serde_saphyr::from_str(&read_chart("values.yaml").unwrap()).unwrap()
    }

    #[test]
    fn the_chart_has_the_version_of_the_workspace() {
        let chart: Value = serde_saphyr::from_str(&read_chart("Chart.yaml").unwrap()).unwrap();
        for key in ["version", "appVersion"] {
            let version = chart.get(key).and_then(Value::as_str);
            assert_eq!(version, Some(env!("CARGO_PKG_VERSION")), "{key}");
        }
    }

    #[test]
    fn the_chart_names_the_image_that_is_built() {
        let repository = values().pointer("/image/repository").cloned();
        let (built, _) = image::NAME.rsplit_once(':').unwrap();
        assert_eq!(repository, Some(Value::from(built)));
    }

    #[test]
    fn the_schema_knows_each_value_and_no_other() {
        let schema: Value =
            serde_json::from_str(&read_chart("values.schema.json").unwrap()).unwrap();
        let described: BTreeSet<String> = tables::read(&read_chart("values.yaml").unwrap())
            .unwrap()
            .into_iter()
            .flat_map(|section| section.values)
            .map(|value| value.path)
            .collect();
        let mut known = BTreeSet::new();
        properties(&schema, &schema, "", &described, &mut known);
        // What Helm hands to every chart that another one depends on.
        assert!(known.remove("global"));
        assert_eq!(known, described);
    }

    /// The paths of the schema's properties, down to those that are described as a whole.
    fn properties(
        schema: &Value,
        part: &Value,
        path: &str,
        described: &BTreeSet<String>,
        known: &mut BTreeSet<String>,
    ) {
        let target = part
            .get("$ref")
            .and_then(Value::as_str)
            .map(|target| target.trim_start_matches('#'));
        let part = target.map_or(part, |target| schema.pointer(target).unwrap());
        let inside = part.get("properties").and_then(Value::as_object);
        match inside {
            Some(inside) if !described.contains(path) => {
                assert_eq!(
                    part.get("additionalProperties"),
                    Some(&Value::Bool(false)),
                    "{path}"
                );
                for (key, part) in inside {
                    let path = format!("{path}.{key}");
                    properties(schema, part, path.trim_start_matches('.'), described, known);
                }
            }
            _ => drop(known.insert(path.to_owned())),
        }
    }
}
