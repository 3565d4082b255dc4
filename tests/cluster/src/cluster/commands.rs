//! The command lines of the cluster's programs. What is not said here is as upstream's defaults have it, since that is
//! what other clusters have too.

use std::path::Path;

use super::config::kubeconfig;
use super::pki::Pki;
use super::{NODE, address};

const ETCD: &str = "http://127.0.0.1:2379";

fn flags(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs
        .iter()
        .map(|(name, value)| format!("--{name}={value}"))
        .collect()
}

pub(super) fn etcd_args(state: &Path) -> Vec<String> {
    flags(&[
        ("data-dir", &file_path(state, "etcd")),
        ("listen-client-urls", ETCD),
        ("advertise-client-urls", ETCD),
        ("listen-peer-urls", "http://127.0.0.1:2380"),
        // The cluster does not outlive its machine's memory.
        ("unsafe-no-fsync", "true"),
    ])
}

/// `gates`: the feature gates that are on although they are off by default.
pub(super) fn apiserver(state: &Path, pki: &Pki, gates: &[&str]) -> Vec<String> {
    let mut all = flags(&[
        ("etcd-servers", ETCD),
        ("advertise-address", address()),
        ("secure-port", "6443"),
        ("service-cluster-ip-range", "10.96.0.0/16"),
        ("client-ca-file", &pki.path("ca.crt")),
        // There is no aggregated API, but the other programs wait for this.
        ("requestheader-client-ca-file", &pki.path("ca.crt")),
        ("requestheader-allowed-names", "front-proxy-client"),
        ("tls-cert-file", &pki.path("apiserver.crt")),
        ("tls-private-key-file", &pki.path("apiserver.key")),
        ("cert-dir", &file_path(state, "apiserver")),
        ("authorization-mode", "Node,RBAC"),
        ("enable-admission-plugins", "NodeRestriction"),
        ("allow-privileged", "true"),
        (
            "service-account-issuer",
            "https://kubernetes.default.svc.cluster.local",
        ),
        ("service-account-key-file", &pki.path("tokens.pub")),
        ("service-account-signing-key-file", &pki.path("tokens.key")),
        ("kubelet-client-certificate", &pki.path("admin.crt")),
        ("kubelet-client-key", &pki.path("admin.key")),
        ("kubelet-certificate-authority", &pki.path("ca.crt")),
        ("kubelet-preferred-address-types", "InternalIP"),
    ]);
    if !gates.is_empty() {
        let on: Vec<_> = gates.iter().map(|gate| format!("{gate}=true")).collect();
        all.extend(flags(&[("feature-gates", &on.join(","))]));
    }
    all
}

pub(super) fn controllers(state: &Path, pki: &Pki) -> Vec<String> {
    let mut all = with_api(state, "controller-manager");
    all.extend(flags(&[
        ("use-service-account-credentials", "true"),
        ("service-account-private-key-file", &pki.path("tokens.key")),
        ("root-ca-file", &pki.path("ca.crt")),
    ]));
    all
}

pub(super) fn scheduler(state: &Path) -> Vec<String> {
    with_api(state, "scheduler")
}

/// Of each there is one, so nobody has to be elected.
fn with_api(state: &Path, user: &str) -> Vec<String> {
    let kubeconfig = kubeconfig(state, user).display().to_string();
    flags(&[
        ("kubeconfig", &kubeconfig),
        ("authentication-kubeconfig", &kubeconfig),
        ("authorization-kubeconfig", &kubeconfig),
        ("leader-elect", "false"),
        ("cert-dir", &file_path(state, user)),
    ])
}

pub(super) fn kubelet(state: &Path, config: &Path) -> Vec<String> {
    flags(&[
        ("config", &config.display().to_string()),
        (
            "kubeconfig",
            &kubeconfig(state, "node").display().to_string(),
        ),
        ("node-ip", address()),
        ("hostname-override", NODE),
        // From here on it says when it ran a hook and killed a container.
        ("v", "3"),
    ])
}

/// Limits of connection tracking are the whole machine's, and stay as they are.
pub(super) fn proxy_args(state: &Path) -> Vec<String> {
    flags(&[
        (
            "kubeconfig",
            &kubeconfig(state, "proxy").display().to_string(),
        ),
        ("proxy-mode", "nftables"),
        ("hostname-override", NODE),
        ("conntrack-max-per-core", "0"),
        ("conntrack-min", "0"),
        ("conntrack-tcp-timeout-established", "0"),
        ("conntrack-tcp-timeout-close-wait", "0"),
        ("oom-score-adj", "0"),
    ])
}

fn file_path(state: &Path, name: &str) -> String {
    state.join(name).display().to_string()
}
