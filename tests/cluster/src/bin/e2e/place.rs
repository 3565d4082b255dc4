//! Where the scenarios run: a cluster of our own, or somebody's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use gracewatch_cluster::cluster::{self, Cluster, Kubectl};
use gracewatch_cluster::jail::{CgroupView, Interrupted, Jail, catch_signals};
use k8s_openapi::List;
use k8s_openapi::api::core::v1::Node;

use crate::Args;

/// A cluster to run scenarios on.
#[derive(Debug)]
pub(crate) struct Place {
    kubectl: Kubectl,
    kubeconfig: PathBuf,
    manifests: PathBuf,
    chart: PathBuf,
    tools: PathBuf,
    own: Option<Own>,
}

/// One that was started here.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) cluster: Cluster,
    pub(crate) interrupted: Interrupted,
}

impl Place {
    /// Starts a cluster and gives it the images, or takes the one of `--kubeconfig`.
    pub(crate) fn open(args: &Args) -> Result<Self> {
        if let Some(kubeconfig) = &args.kubeconfig {
            let kubectl = Kubectl::with_kubeconfig(args.tools.join("kubectl"), kubeconfig.clone());
            kubectl
                .output(&["get", "--raw", "/readyz"])
                .context("the cluster of --kubeconfig does not answer")?;
            return Ok(Self {
                kubectl,
                kubeconfig: kubeconfig.clone(),
                manifests: args.manifests.clone(),
                chart: args.chart.clone(),
                tools: args.tools.clone(),
                own: None,
            });
        }
        // Namespaces are a thread's, and there is only one yet.
        let jail = Jail::enter("e2e", &args.tools, CgroupView::Machine)?;
        let interrupted = catch_signals(&jail)?;
        println!("starting a cluster; logs in {}", args.logs.display());
        let cluster = Cluster::start(jail, &args.tools, &args.logs)?;
        let kubectl = cluster.kubectl_program();
        println!(
            "cluster ready in {:.1} s: {}",
            cluster.start_duration().as_secs_f64(),
            versions(&kubectl)?.join(", ")
        );
        import(&cluster, &args.images)?;
        Ok(Self {
            kubectl,
            kubeconfig: cluster.kubeconfig(),
            manifests: args.manifests.clone(),
            chart: args.chart.clone(),
            tools: args.tools.clone(),
            own: Some(Own {
                cluster,
                interrupted,
            }),
        })
    }

    /// `kubectl` for it.
    pub(crate) const fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// How the API is reached.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The folder of the agent's manifests.
    pub(crate) fn manifests(&self) -> &Path {
        &self.manifests
    }

    /// The folder of the Helm chart.
    pub(crate) fn chart_folder(&self) -> &Path {
        &self.chart
    }

    /// The folder of the cluster's programs, and of what is applied to it.
    pub(crate) fn tools_folder(&self) -> &Path {
        &self.tools
    }

    /// The cluster, if it is ours: to stop and start its parts, and to read its logs.
    pub(crate) const fn own_cluster(&self) -> Option<&Own> {
        self.own.as_ref()
    }

    /// Starts again what a scenario has stopped and not started, if the cluster is ours.
    pub(crate) fn restart_stopped(&self) -> Result<()> {
        self.own_cluster()
            .map_or(Ok(()), |own| own.cluster.restart_stopped())
    }

    /// What runs there.
    pub(crate) fn versions(&self, args: &Args) -> Result<Vec<String>> {
        let mut versions = versions(&self.kubectl)?;
        if self.own.is_some() {
            for program in ["runc", "etcd"] {
                let said = Command::new(args.tools.join(program))
                    .arg("--version")
                    .output()
                    .with_context(|| format!("cannot start {program}"))?;
                let said = String::from_utf8_lossy(&said.stdout);
                versions.push(said.lines().next().unwrap_or_default().to_owned());
            }
        }
        Ok(versions)
    }

    /// A client for it.
    pub(crate) async fn client(&self) -> Result<kube::Client> {
        cluster::client(&self.kubeconfig).await
    }

    /// Writes a script with which somebody outside of the jail reaches the cluster; its path.
    pub(crate) fn write_shell(&self, logs: &Path, tools: &Path) -> Result<PathBuf> {
        let path = logs.with_file_name("shell");
        let text = format!(
            "#!/bin/sh\n# Runs a command, or a shell, where the cluster is: kubectl, curl to a pod's address …\n\
             export KUBECONFIG={} PATH={}:$PATH\n\
             exec nsenter --target {} --mount --net --wd=\"$PWD\" \"${{@:-sh}}\"\n",
            self.kubeconfig.display(),
            tools.display(),
            std::process::id()
        );
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Ends the cluster, if it is ours.
    pub(crate) fn shut_down(self) -> Result<()> {
        match self.own {
            Some(own) => own.cluster.stop(),
            None => Ok(()),
        }
    }
}

/// What the first node says that it runs.
fn versions(kubectl: &Kubectl) -> Result<Vec<String>> {
    let nodes = kubectl.output(&["get", "--raw", "/api/v1/nodes"])?;
    let nodes: List<Node> = serde_json::from_str(&nodes)?;
    let node = nodes.items.into_iter().next();
    let info = node
        .and_then(|node| node.status?.node_info)
        .context("the cluster has no node that says what it runs")?;
    Ok(vec![
        format!("Kubernetes {}", info.kubelet_version),
        info.container_runtime_version.replace("://", " "),
        format!("Linux {}", info.kernel_version),
    ])
}

/// Gives the cluster the images of all archives in this folder.
pub(crate) fn import(cluster: &Cluster, folder: &Path) -> Result<()> {
    let archives = archives(folder)?;
    archives.iter().try_for_each(|image| cluster.import(image))
}

fn archives(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "tar") {
            found.push(path);
        }
    }
    Ok(found)
}
