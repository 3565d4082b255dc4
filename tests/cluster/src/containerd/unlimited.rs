//! An OCI runtime for a jail that sees the v2 tree alone on a machine whose controllers are bound to cgroup v1: what
//! containerd always asks for, the sandbox's share of the processor, cannot be set there, and no runtime starts a
//! container without it. So the limits are taken out of each container's specification before the runtime reads it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Runtime;
use crate::jail::Jail;

impl Runtime {
    /// The same runtime, for containers without limits. It is started by a shell that becomes it, so that processes and
    /// their names are the usual ones.
    pub fn unlimited(self, jail: &Jail, tools: &Path) -> Result<Self> {
        let binary = jail.state_folder("unlimited")?.join(&self.name);
        fs::write(&binary, script(&tools.join("busybox"), &self.binary))
            .and_then(|()| fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {}", binary.display()))?;
        Ok(Self { binary, ..self })
    }
}

fn script(busybox: &Path, runtime: &Path) -> String {
    let (busybox, runtime) = (busybox.display(), runtime.display());
    format!(
        r#"#!{busybox} sh
before=
for word; do
  case $before in
    --bundle) {busybox} sed -i -E 's/,"(cpu|memory)":\{{[^}}]*\}}//g' "$word/config.json" ;;
  esac
  before=$word
done
exec {runtime} "$@"
"#
    )
}
