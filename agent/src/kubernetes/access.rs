//! The way to the Kubernetes API: where the credentials come from, and clients made of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::client::ClientBuilder;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use tokio::sync::Notify;
use tower::util::MapResponseLayer;

use crate::failure::UsageError;
use crate::named_file;

/// Where a pod finds the token of its service account.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the API server may say nothing: more than a watch lasts, so that a connection that died without a word is
/// given up.
const SILENCE: Duration = Duration::from_secs(150);

/// How to reach the API, and which node this is.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where the credentials come from.
    pub origin: Origin,
    /// The name of this machine's Node object.
    pub node: String,
    /// Whether the kubelet's Events are to be watched.
    pub kubelet_events: bool,
    /// Whether the cluster's EndpointSlices are to be watched.
    pub endpoint_slices: bool,
}

/// Where address and credentials come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The pod that the agent runs in.
    InCluster,
    /// A kubeconfig.
    Kubeconfig {
        /// The file, or several as KUBECONFIG lists them.
        path: PathBuf,
        /// The context, if not the current one.
        context: Option<String>,
    },
}

impl Origin {
    /// Whether this process runs in a pod that may ask the API.
    pub(super) fn is_in_cluster() -> bool {
        std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && Path::new(TOKEN).exists()
    }

    /// Its name for people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::InCluster => "the pod's service account".to_owned(),
            Self::Kubeconfig { path, context } => match context {
                Some(context) => format!("{}, context {context}", path.display()),
                None => path.display().to_string(),
            },
        }
    }

    /// Whether it can be read at all.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(super) fn validate(&self) -> Result<(), UsageError> {
        match self {
            Self::InCluster => Ok(()),
            Self::Kubeconfig { path, .. } => read(path).map(drop),
        }
    }

    /// Reads it anew, since credentials are replaced from time to time.
    async fn config(&self) -> anyhow::Result<Config> {
        let mut config = match self {
            Self::InCluster => Config::incluster()?,
            Self::Kubeconfig { path, context } => {
                let options = KubeConfigOptions {
                    context: context.clone(),
                    ..KubeConfigOptions::default()
                };
                Config::from_custom_kubeconfig(read(path)?, &options).await?
            }
        };
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        Ok(config)
    }
}

/// Certificates of some thousand clusters.
const KUBECONFIG_MIB_MAX: u64 = 16;

fn read(paths: &Path) -> Result<Kubeconfig, UsageError> {
    let mut merged: Option<Kubeconfig> = None;
    for path in std::env::split_paths(paths) {
        let refused = |why: &dyn std::fmt::Display| {
            UsageError::new(format!(
                "cannot read the kubeconfig {}: {why}; name another by --kubeconfig",
                path.display()
            ))
        };
        let wrong = |error: kube::config::KubeconfigError| refused(&error);
        named_file::read(&path, KUBECONFIG_MIB_MAX).map_err(|error| refused(&error))?;
        let read = Kubeconfig::read_from(&path).map_err(wrong)?;
        merged = Some(match merged {
            Some(before) => before.merge(read).map_err(wrong)?,
            None => read,
        });
    }
    let merged = merged.ok_or_else(|| UsageError::new("--kubeconfig names no file"))?;
    refuse_what_is_no_file(&merged)?;
    Ok(merged)
}

/// Whoever asks the API reads the files that a kubeconfig names, as a whole and however long that takes. One that is not there is
/// told when it is missed.
fn refuse_what_is_no_file(kubeconfig: &Kubeconfig) -> Result<(), UsageError> {
    let clusters = kubeconfig
        .clusters
        .iter()
        .filter_map(|named| named.cluster.as_ref());
    let authorities = clusters.map(|cluster| &cluster.certificate_authority);
    let users = kubeconfig
        .auth_infos
        .iter()
        .filter_map(|named| named.auth_info.as_ref());
    let credentials =
        users.flat_map(|user| [&user.token_file, &user.client_certificate, &user.client_key]);
    for name in authorities.chain(credentials).flatten() {
        match named_file::read(Path::new(name), KUBECONFIG_MIB_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::Other => {
                return Err(UsageError::new(format!(
                    "the kubeconfig names {name}, and {error}; name another file there"
                )));
            }
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

impl Access {
    /// A client with fresh credentials.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) async fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::try_from(self.origin.config().await?)?)
    }

    /// A client that tells when the API server answered well: a watch that is resumed says nothing otherwise.
    ///
    /// # Errors
    /// If the credentials cannot be read.
    pub(super) async fn telling_client(&self, answered: Arc<Notify>) -> anyhow::Result<Client> {
        let builder = ClientBuilder::try_from(self.origin.config().await?)?;
        let layer = MapResponseLayer::new(move |response: http::Response<_>| {
            if response.status().is_success() {
                answered.notify_one();
            }
            response
        });
        Ok(builder.with_layer(&layer).build())
    }
}
