//! The files that the cluster's programs read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::address;
use super::pki::Pki;
use crate::containerd::Containerd;

/// Where the kubeconfig of this user lies.
pub(super) fn kubeconfig(state: &Path, user: &str) -> PathBuf {
    state.join(format!("{user}.kubeconfig"))
}

pub(super) fn write_kubeconfig(state: &Path, pki: &Pki, user: &str) -> Result<()> {
    let (authority, certificate, key) = (
        pki.path("ca.crt"),
        pki.path(&format!("{user}.crt")),
        pki.path(&format!("{user}.key")),
    );
    let address = address();
    write(
        &kubeconfig(state, user),
        &format!(
            r#"apiVersion: v1
kind: Config
clusters:
- name: rig
  cluster:
    server: "https://{address}:6443"
    certificate-authority: "{authority}"
users:
- name: "{user}"
  user:
    client-certificate: "{certificate}"
    client-key: "{key}"
contexts:
- name: rig
  context:
    cluster: rig
    user: "{user}"
current-context: rig
"#
        ),
    )
}

/// Where [`write_kubelet`] writes.
pub(super) fn kubelet(state: &Path) -> PathBuf {
    state.join("kubelet.yaml")
}

/// Field by field: <https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/>. `gates`: the feature gates that
/// are on although they are off by default.
pub(super) fn write_kubelet(
    state: &Path,
    pki: &Pki,
    containerd: &Containerd,
    gates: &[&str],
) -> Result<()> {
    let endpoint = containerd.endpoint();
    let manifests = manifests(state);
    let manifests = manifests.display();
    let (authority, certificate, key) = (
        pki.path("ca.crt"),
        pki.path("kubelet.crt"),
        pki.path("kubelet.key"),
    );
    let gates: Vec<_> = gates.iter().map(|gate| format!("{gate}: true")).collect();
    let gates = gates.join(", ");
    let text = format!(
        r#"apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: "{endpoint}"
staticPodPath: "{manifests}"
volumePluginDir: /var/lib/kubelet/volumeplugins
authentication:
  anonymous: {{ enabled: false }}
  webhook: {{ enabled: true }}
  x509: {{ clientCAFile: "{authority}" }}
authorization: {{ mode: Webhook }}
tlsCertFile: "{certificate}"
tlsPrivateKeyFile: "{key}"
clusterDomain: cluster.local
clusterDNS: [10.96.0.10]
featureGates: {{ {gates} }}
# A machine with cgroup v1 beside v2, or with swap, will do.
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
# CAP_SYS_RESOURCE is missing in many a container or virtual machine.
oomScoreAdj: 0
maxOpenFiles: 20000
# The machine is somebody else's: how full its disk is does not matter, and its resources are not divided.
enforceNodeAllocatable: []
evictionHard: {{ memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%" }}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
"#
    );
    write(&kubelet(state), &text)
}

/// The folder whose manifests the kubelet runs as static pods.
pub(super) fn manifests(state: &Path) -> PathBuf {
    state.join("manifests")
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
