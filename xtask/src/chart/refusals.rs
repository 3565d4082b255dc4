//! Wrong values: each is refused, in words that name it and nothing else.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::helm::{Helm, Release};

/// How Helm begins each complaint about the schema.
const COMPLAINT: &str = "- at '";
const UNKNOWN: &str = "additional properties";

/// What values.schema.json refuses: the place, what is said of it, and the values.
#[rustfmt::skip]
const BY_THE_SCHEMA: &[(&str, &str, &str)] = &[
    // Misspelt, or in the wrong place.
    ("", UNKNOWN, r#"{"toleration": []}"#),
    ("/image", UNKNOWN, r#"{"image": {"name": "gracewatch"}}"#),
    ("/kubernetes", UNKNOWN, r#"{"kubernetes": {"watchPods": true}}"#),
    ("/podMonitor", UNKNOWN, r#"{"podMonitor": {"interval": "30s"}}"#),
    ("/resources", UNKNOWN, r#"{"resources": {"limit": {"memory": "1Gi"}}}"#),
    ("/tolerations/0", UNKNOWN, r#"{"tolerations": [{"operators": "Exists"}]}"#),
    ("/scrape/relabelings/0", UNKNOWN, r#"{"scrape": {"relabelings": [{"source_labels": ["a"]}]}}"#),
    ("/securityContext/capabilities", UNKNOWN, r#"{"securityContext": {"capabilities": {"adds": []}}}"#),
    // Of the wrong type.
    ("/image/tag", "want string", r#"{"image": {"tag": 0.1}}"#),
    ("/listen/port", "want integer", r#"{"listen": {"port": "8637"}}"#),
    ("/oldKernels", "want boolean", r#"{"oldKernels": "yes"}"#),
    ("/extraArgs", "want array", r#"{"extraArgs": "--retention=60"}"#),
    ("/nodeSelector/zone", "want string", r#"{"nodeSelector": {"zone": 1}}"#),
    ("/podAnnotations/a", "want string", r#"{"podAnnotations": {"a": true}}"#),
    // Out of their range.
    ("/listen/port", "maximum", r#"{"listen": {"port": 70000}}"#),
    ("/scrape/sampleLimit", "minimum", r#"{"scrape": {"sampleLimit": -1}}"#),
    ("/networkPolicy/apiServerPorts", "minItems", r#"{"networkPolicy": {"apiServerPorts": []}}"#),
    // Not one of those that there are.
    ("/image/pullPolicy", "must be one of", r#"{"image": {"pullPolicy": "Sometimes"}}"#),
    ("/updateStrategy/type", "must be one of", r#"{"updateStrategy": {"type": "Recreate"}}"#),
    ("/tolerations/0/effect", "must be one of", r#"{"tolerations": [{"effect": "NoEntry"}]}"#),
    ("/scrape/protocols/0", "must be one of", r#"{"scrape": {"protocols": ["protobuf"]}}"#),
    ("/securityContext/capabilities/add/1", "must be one of", r#"{"securityContext": {"capabilities": {"add": ["BPF", "SYS_ADMIN"]}}}"#),
    // Of the wrong form.
    ("/image/repository", "pattern", r#"{"image": {"repository": "localhost/gracewatch:0.1.0"}}"#),
    ("/image/digest", "pattern", r#"{"image": {"digest": "0f0f"}}"#),
    ("/listen/address", "pattern", r#"{"listen": {"address": "::"}}"#),
    ("/extraArgs/0", "pattern", r#"{"extraArgs": ["retention=60"]}"#),
    ("/scrape/interval", "pattern", r#"{"scrape": {"interval": "30"}}"#),
    ("/podLabels/team", "pattern", r#"{"podLabels": {"team": "a b"}}"#),
    ("/fullnameOverride", "pattern", r#"{"fullnameOverride": "Grace_Watch"}"#),
    ("/updateStrategy/rollingUpdate/maxUnavailable", "pattern", r#"{"updateStrategy": {"rollingUpdate": {"maxUnavailable": "10"}}}"#),
    // What the agent cannot do without, or must not have.
    ("/securityContext/privileged", "must be false", r#"{"securityContext": {"privileged": true}}"#),
    ("/securityContext/allowPrivilegeEscalation", "must be false", r#"{"securityContext": {"allowPrivilegeEscalation": true}}"#),
    ("/securityContext/readOnlyRootFilesystem", "must be true", r#"{"securityContext": {"readOnlyRootFilesystem": false}}"#),
    ("/podSecurityContext/runAsUser", "must be 0", r#"{"podSecurityContext": {"runAsUser": 1000}}"#),
    // What the chart says itself.
    ("/commonLabels/app.kubernetes.io~1name", "false schema", r#"{"commonLabels": {"app.kubernetes.io/name": "x"}}"#),
    // A part that is missing.
    ("/image/pullSecrets/0", "missing property 'name'", r#"{"image": {"pullSecrets": [{}]}}"#),
    ("/extraEnv/0", "missing property 'name'", r#"{"extraEnv": [{"value": "x"}]}"#),
];

/// What no schema can tell: what is said, and the values.
const BY_THE_TEMPLATES: [(&str, &str); 3] = [
    (
        "podMonitor.enabled and serviceMonitor.enabled are both true",
        r#"{"podMonitor": {"enabled": true}, "serviceMonitor": {"enabled": true}}"#,
    ),
    (
        "extraEnv cannot set GRACEWATCH_LISTEN; it is set by listen.address",
        r#"{"extraEnv": [{"name": "GRACEWATCH_LISTEN", "value": "[::]:1"}]}"#,
    ),
    (
        "prometheusRule.disabledAlerts names NoSuchAlert, which is no alert",
        r#"{"prometheusRule": {"enabled": true, "disabledAlerts": ["NoSuchAlert"]}}"#,
    ),
];

/// Tries every one; how many there are.
pub(super) fn check(helm: &Helm, wrong: &mut Vec<String>) -> Result<usize> {
    for (place, said, values) in BY_THE_SCHEMA {
        let place = format!("{COMPLAINT}{place}'");
        wrong.extend(try_one(helm, values, &[&place, said])?);
    }
    for (said, values) in BY_THE_TEMPLATES {
        wrong.extend(try_one(helm, values, &[said])?);
    }
    Ok(BY_THE_SCHEMA.len() + BY_THE_TEMPLATES.len())
}

/// What is wrong with how Helm takes these values, if anything.
fn try_one(helm: &Helm, values: &str, says: &[&str]) -> Result<Option<String>> {
    let parsed: Value = serde_json::from_str(values).with_context(|| values.to_owned())?;
    let refusal = helm.refusal(&Release {
        name: "gracewatch",
        namespace: "gracewatch",
        values: &parsed,
        cluster: None,
    })?;
    let Some(text) = refusal else {
        return Ok(Some(format!("{values} was not refused")));
    };
    let is_told = says.iter().all(|words| text.contains(words));
    let is_alone = text.matches(COMPLAINT).count() <= 1;
    let wrong = !is_told || !is_alone;
    Ok(wrong.then(|| format!("{values} was refused without saying {says:?} alone: {text}")))
}
