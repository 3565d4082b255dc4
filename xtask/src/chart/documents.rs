//! The objects of a rendered manifest.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Objects by `Kind/name`.
pub(super) type Objects = BTreeMap<String, Value>;

/// Reads YAML of several documents. Two objects of the same kind and name are an error: nothing here makes the same in two
/// namespaces.
pub(super) fn read(yaml: &str) -> Result<Objects> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(yaml).context("what was rendered is no YAML")?;
    let mut objects = Objects::new();
    for object in documents.into_iter().filter(|object| !object.is_null()) {
        let word = |path: &str| object.pointer(path).and_then(Value::as_str);
        let (Some(kind), Some(name)) = (word("/kind"), word("/metadata/name")) else {
            anyhow::bail!("an object without kind or name was rendered: {object}");
        };
        let key = format!("{kind}/{name}");
        let known = objects.insert(key.clone(), object);
        ensure!(known.is_none(), "{key} was rendered twice");
    }
    Ok(objects)
}

/// Where two values differ, each place in one line: its path, and what either has.
pub(super) fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys = ours
                .keys()
                .chain(theirs.keys().filter(|key| !ours.contains_key(*key)));
            for key in keys {
                let of = |object: &serde_json::Map<String, Value>| {
                    object.get(key).cloned().unwrap_or(Value::Null)
                };
                differences(&format!("{path}/{key}"), &of(ours), &of(theirs), found);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                differences(&format!("{path}/{index}"), ours, theirs, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{path}: {ours} and {theirs}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_known_by_kind_and_name() {
        let yaml = "---\n# nothing\n---\nkind: A\nmetadata: {name: x}\n---\nkind: B\nmetadata: {name: x}\n";
        let objects = read(yaml).unwrap();
        assert_eq!(objects.keys().collect::<Vec<_>>(), ["A/x", "B/x"]);
        let twice = "kind: A\nmetadata: {name: x}\n---\nkind: A\nmetadata: {name: x}\n";
        assert!(read(twice).unwrap_err().to_string().contains("A/x"));
        assert!(read("kind: A\n").is_err());
    }

    #[test]
    fn every_place_that_differs_is_told() {
        let ours = json!({"same": 1, "list": [1, 2], "only": true, "short": [1]});
        let theirs = json!({"same": 1, "list": [1, 3], "other": 0, "short": []});
        let mut found = Vec::new();
        differences("", &ours, &theirs, &mut found);
        assert_eq!(
            found,
            [
                "/list/1: 2 and 3",
                "/only: true and null",
                "/short: [1] and []",
                "/other: null and 0"
            ]
        );
    }
}
