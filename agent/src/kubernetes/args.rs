//! The options around Kubernetes, shared by `run`, `watch` and `check`.

use std::path::PathBuf;

use super::access::{Access, Origin};
use crate::failure::UsageError;

/// Whether and how to reach the Kubernetes API.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubernetesArgs {
    /// Whether to ask the Kubernetes API whose containers they are, how they are to be stopped, and why
    ///
    /// `auto` asks it where the agent runs in a pod that has a service account's token, or where --kubeconfig (or
    /// KUBECONFIG) names a file; else the agent measures without it. ~/.kube/config is read with `on` only, so that a
    /// person's own cluster is never mistaken for the one that this machine belongs to.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::Auto, env = "GRACEWATCH_KUBERNETES")]
    kubernetes: When,
    /// Reach the API as this file says, instead of as the pod that the agent runs in
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// The context of that file [default: its current one]
    #[arg(long, value_name = "NAME", env = "GRACEWATCH_CONTEXT")]
    context: Option<String>,
    /// The name of this machine's Node object [default: the hostname in lower case]
    ///
    /// In a pod the hostname is the pod's: set it there by the downward API (spec.nodeName).
    #[arg(long, value_name = "NAME", env = "GRACEWATCH_NODE_NAME")]
    node_name: Option<String>,
    /// Do not read the kubelet's Events, which tell why a container is stopped; the trigger is then often `unknown`
    #[arg(long, env = "GRACEWATCH_NO_WATCH_KUBELET_EVENTS")]
    no_watch_kubelet_events: bool,
    /// Do not watch the cluster's EndpointSlices, which tell when a pod is taken out of the traffic
    ///
    /// They cannot be selected by node, so those of the whole cluster come, as to kube-proxy. Without them a report does not
    /// say whether connections still came because the endpoints were late.
    #[arg(long, env = "GRACEWATCH_NO_WATCH_ENDPOINT_SLICES")]
    no_watch_endpoint_slices: bool,
}

/// When to use Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum When {
    /// Where the agent runs in a pod, or a kubeconfig is named
    Auto,
    /// Always; refuse to start where there is no way to the API
    On,
    /// Never
    Off,
}

impl KubernetesArgs {
    /// The way to the API, or `None` for local mode. Nothing is asked yet: the API may be down.
    ///
    /// # Errors
    /// A [`UsageError`] that names the file, or says that there is no way although one was asked for.
    pub fn access(&self) -> Result<Option<Access>, UsageError> {
        let named = self
            .kubeconfig
            .clone()
            .filter(|path| !path.as_os_str().is_empty());
        let kubeconfig = |path| Origin::Kubeconfig {
            path,
            context: self.context.clone(),
        };
        let origin = match named {
            _ if self.kubernetes == When::Off => return Ok(None),
            Some(path) => kubeconfig(path),
            None if Origin::is_in_cluster() => Origin::InCluster,
            None if self.kubernetes == When::Auto => return Ok(None),
            None => kubeconfig(home_config().ok_or_else(|| {
                UsageError::new(
                    "--kubernetes on: this is no pod with a service account's token, and there is no ~/.kube/config; name a file by --kubeconfig",
                )
            })?),
        };
        let node = self.node_name.clone().unwrap_or_else(hostname);
        if node.is_empty() {
            return Err(UsageError::new(
                "this machine's Node object has no name: the hostname is empty; give it by --node-name",
            ));
        }
        let access = Access {
            origin,
            node,
            kubelet_events: !self.no_watch_kubelet_events,
            endpoint_slices: !self.no_watch_endpoint_slices,
        };
        access.origin.validate()?;
        Ok(Some(access))
    }
}

fn home_config() -> Option<PathBuf> {
    let path = std::env::home_dir()?.join(".kube/config");
    path.exists().then_some(path)
}

/// As the kubelet makes a node's name of it: <https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/util/node/node.go>.
fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .trim()
        .to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubernetes_args(kubernetes: When, kubeconfig: Option<&str>) -> KubernetesArgs {
        KubernetesArgs {
            kubernetes,
            kubeconfig: kubeconfig.map(PathBuf::from),
            context: None,
            node_name: Some("node-1".to_owned()),
            no_watch_kubelet_events: false,
            no_watch_endpoint_slices: false,
        }
    }

    #[test]
    fn off_is_local_mode_even_with_a_file() {
        let access = kubernetes_args(When::Off, Some("/nowhere/config")).access();
        assert!(access.unwrap().is_none());
    }

    #[test]
    fn an_empty_variable_names_no_file() {
        assert!(
            kubernetes_args(When::Auto, Some(""))
                .access()
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let error = kubernetes_args(When::Auto, Some("/nowhere/config"))
            .access()
            .unwrap_err();
        assert!(error.to_string().contains("/nowhere/config"), "{error}");
    }
}
