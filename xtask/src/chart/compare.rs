//! The chart and the manifests of kustomize are two ways to the same objects: what the one makes with a switch, the other
//! makes with a component (docs/decisions/0021).

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::documents::{self, Objects, differences};
use super::helm::{Helm, Release};
use crate::cache;

/// The namespace that kustomize's manifests name.
const NAMESPACE: &str = "gracewatch";
/// Labels that Helm's customs ask for and kustomize's manifests do without.
const HELM_LABELS: [&str; 4] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];

/// A component of kustomize, and the value that does the same.
const SWITCHES: [(&str, &str); 5] = [
    ("name-workloads", "/kubernetes/nameWorkloads"),
    ("watch-events", "/kubernetes/watchEvents"),
    ("watch-endpoint-slices", "/kubernetes/watchEndpointSlices"),
    ("report-events", "/kubernetes/reportEvents"),
    ("old-kernels", "/oldKernels"),
];

/// What is compared: the base alone, with each component, with all, and what either makes if nothing is chosen.
struct Variant {
    name: String,
    components: Vec<&'static str>,
    values: Value,
    /// The folder in the place of base and components.
    folder: Option<&'static str>,
}

/// Compares every variant; how many there are.
pub(super) fn check(helm: &Helm, wrong: &mut Vec<String>) -> Result<usize> {
    let variants = variants();
    for variant in &variants {
        let name = &variant.name;
        let found = compare(helm, variant).with_context(|| format!("variant {name}"))?;
        wrong.extend(
            found
                .into_iter()
                .map(|line| format!("{name}, chart and kustomize: {line}")),
        );
    }
    Ok(variants.len())
}

fn variants() -> Vec<Variant> {
    let of = |name: &str, components: Vec<&'static str>| Variant {
        name: name.to_owned(),
        values: switched(&components),
        components,
        folder: None,
    };
    let mut variants = vec![
        Variant {
            name: "default".to_owned(),
            components: Vec::new(),
            values: json!({}),
            folder: Some(""),
        },
        of("base", Vec::new()),
        of("all", SWITCHES.map(|(component, _)| component).to_vec()),
    ];
    variants.extend(SWITCHES.map(|(component, _)| of(component, vec![component])));
    variants
}

/// The values that do what these components do, and no more.
fn switched(components: &[&str]) -> Value {
    let mut values = json!({"kubernetes": {}});
    for (component, path) in SWITCHES {
        let on = Value::Bool(components.contains(&component));
        let (parent, key) = path.rsplit_once('/').unwrap_or_default();
        if let Some(parent) = values.pointer_mut(parent).and_then(Value::as_object_mut) {
            parent.insert(key.to_owned(), on);
        }
    }
    values
}

fn compare(helm: &Helm, variant: &Variant) -> Result<Vec<String>> {
    let ours = helm.template(&Release {
        name: "gracewatch",
        namespace: NAMESPACE,
        values: &variant.values,
        cluster: None,
    })?;
    let ours = installed(documents::read(&ours)?);
    let mut theirs = documents::read(&kustomized(helm, variant)?)?;
    // A chart is installed into a namespace, and does not make it.
    theirs.remove(&format!("Namespace/{NAMESPACE}"));
    let mut found = Vec::new();
    differences("", &to_value(ours), &to_value(theirs), &mut found);
    Ok(found)
}

/// Without what only `helm test` makes, and without the labels of Helm's customs.
fn installed(mut objects: Objects) -> Objects {
    objects.retain(|_, object| {
        object
            .pointer("/metadata/annotations/helm.sh~1hook")
            .is_none()
    });
    for object in objects.values_mut() {
        remove_helm_labels(object);
    }
    objects
}

fn remove_helm_labels(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !HELM_LABELS.contains(&key.as_str()));
            map.values_mut().for_each(remove_helm_labels);
        }
        Value::Array(list) => list.iter_mut().for_each(remove_helm_labels),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn to_value(objects: Objects) -> Value {
    Value::Object(objects.into_iter().collect())
}

fn kustomized(helm: &Helm, variant: &Variant) -> Result<String> {
    let manifests = cache::workspace().join("deploy/kustomize");
    if let Some(folder) = variant.folder {
        return helm.kustomize(&manifests.join(folder));
    }
    // Kustomize takes relative paths only.
    let manifests = "../../../deploy/kustomize";
    let mut text = format!("resources:\n  - {manifests}/base\ncomponents:\n");
    for component in &variant.components {
        writeln!(text, "  - {manifests}/components/{component}")?;
    }
    let folder = helm.work.join(&variant.name);
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join("kustomization.yaml"), text))
        .with_context(|| format!("cannot write into {}", folder.display()))?;
    helm.kustomize(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_component_has_its_switch() {
        let folder = cache::workspace().join("deploy/kustomize/components");
        let mut components: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        components.sort();
        let mut switched: Vec<_> = SWITCHES.iter().map(|(component, _)| *component).collect();
        switched.sort_unstable();
        assert_eq!(components, switched);
    }

    #[test]
    fn a_variant_switches_its_components_alone() {
        let values = switched(&["watch-events"]);
        let on = json!({"nameWorkloads": false, "watchEvents": true, "watchEndpointSlices": false, "reportEvents": false});
        assert_eq!(values, json!({"oldKernels": false, "kubernetes": on}));
    }
}
