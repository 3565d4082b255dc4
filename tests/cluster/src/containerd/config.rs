//! The configuration of containerd and of its network, as text.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{PAUSE_IMAGE, Setup};

/// Who makes the cgroups of containers, and what their paths look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The OCI runtime.
    Cgroupfs,
    /// systemd.
    Systemd,
}

/// An OCI runtime under the name by which pods ask for it.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// The name of its handler.
    pub name: String,
    /// Its program.
    pub binary: PathBuf,
}

/// config.toml, version 3: <https://github.com/containerd/containerd/blob/v2.1.4/docs/cri/config.md>.
pub(super) fn render(setup: &Setup, state: &Path) -> String {
    let registries = registries(state);
    let (registries, state) = (registries.display(), state.display());
    let tools = setup.tools.display();
    let default = setup.runtimes.first().map_or("", |runtime| &runtime.name);
    let mut text = format!(
        r#"version = 3
root = "{state}/root"
state = "{state}/run"
# Registries, tracing and other runtimes are not needed; some of them would make folders outside of the jail.
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]

[grpc]
address = "{state}/containerd.sock"

[plugins.'io.containerd.internal.v1.opt']
path = "{state}/opt"

[plugins.'io.containerd.cri.v1.images']
snapshotter = "overlayfs"

[plugins.'io.containerd.cri.v1.images'.registry]
config_path = "{registries}"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{PAUSE_IMAGE}"

[plugins.'io.containerd.cri.v1.runtime']
# CAP_SYS_RESOURCE is missing in many a container or virtual machine.
restrict_oom_score_adj = true
disable_apparmor = true
tolerate_missing_hugetlb_controller = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["{tools}"]
conf_dir = "{state}/cni"

[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = "{default}"
"#
    );
    for runtime in &setup.runtimes {
        let (name, binary) = (&runtime.name, runtime.binary.display());
        let systemd = setup.driver == Driver::Systemd;
        write!(
            text,
            "\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.{name}]\n\
             runtime_type = \"io.containerd.runc.v2\"\n\
             [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.{name}.options]\n\
             BinaryName = \"{binary}\"\n\
             SystemdCgroup = {systemd}\n"
        )
        .ok();
    }
    text
}

/// The folder that tells where images are pulled from.
/// <https://github.com/containerd/containerd/blob/v2.1.4/docs/hosts.md>
pub(super) fn registries(state: &Path) -> PathBuf {
    state.join("registries")
}

/// The pods' network: a bridge in the jail, no way out of it.
pub(super) fn cni_config(state: &Path) -> String {
    let state = state.display();
    format!(
        r#"{{
  "cniVersion": "1.0.0",
  "name": "rig",
  "plugins": [{{
    "type": "bridge",
    "bridge": "cni0",
    "isGateway": true,
    "ipMasq": false,
    "ipam": {{
      "type": "host-local",
      "dataDir": "{state}/cni-leases",
      "ranges": [[{{ "subnet": "10.88.0.0/16" }}]],
      "routes": [{{ "dst": "0.0.0.0/0" }}]
    }}
  }}]
}}
"#
    )
}
