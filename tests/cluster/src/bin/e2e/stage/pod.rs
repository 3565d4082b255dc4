//! A pod, as it was when it ran.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Pod as PodObject, PodSpec};

/// Where the object of a static pod says which UID the node knows it by.
const STATIC_UID: &str = "kubernetes.io/config.hash";

/// A pod that ran.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(super) uid: String,
    /// As the kubelet and the cgroups have it: a static pod's is another one.
    pub(super) node_uid: String,
    pub(super) node: String,
    /// Names and ids of its containers, as they were when it ran.
    pub(super) ids: Vec<(String, String)>,
    /// Names of its containers and what they are in it, as the agent calls it.
    pub(super) roles: Vec<(String, &'static str)>,
}

impl Pod {
    pub(super) fn from_object(pod: &PodObject) -> Result<Self> {
        let name = pod.metadata.name.clone().context("a pod without a name")?;
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        let status = pod.status.as_ref().context("a pod without a status")?;
        let statuses = [
            &status.container_statuses,
            &status.init_container_statuses,
            &status.ephemeral_container_statuses,
        ];
        let ids = statuses
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|status| {
                let id = status.container_id.as_deref()?;
                let (_runtime, id) = id.split_once("://")?;
                Some((status.name.clone(), id.to_owned()))
            });
        let uid = pod.metadata.uid.clone().context("a pod without a UID")?;
        let annotations = pod.metadata.annotations.as_ref();
        let hash = annotations.and_then(|all| all.get(STATIC_UID)).cloned();
        Ok(Self {
            node_uid: hash.unwrap_or_else(|| uid.clone()),
            uid,
            node: node.with_context(|| format!("pod {name} is on no node"))?,
            ids: ids.collect(),
            roles: container_roles(pod.spec.as_ref().context("a pod without a spec")?),
            name,
        })
    }

    /// The runtime's id of a container.
    pub(crate) fn container_id(&self, container: &str) -> Result<&str> {
        let found = self.ids.iter().find(|(name, _)| name == container);
        let (_, id) = found.with_context(|| format!("pod {} has no {container}", self.name))?;
        Ok(id)
    }

    pub(super) fn container_role(&self, container: &str) -> Option<String> {
        let found = self.roles.iter().find(|(name, _)| name == container);
        found.map(|(_, role)| (*role).to_owned())
    }
}

/// What each container is in its pod, by its place in the spec.
fn container_roles(spec: &PodSpec) -> Vec<(String, &'static str)> {
    let is_sidecar = |policy: Option<&String>| policy.is_some_and(|policy| policy == "Always");
    let main = spec.containers.iter().map(|one| (one.name.clone(), "main"));
    let init = spec.init_containers.iter().flatten().map(|one| {
        let sidecar = is_sidecar(one.restart_policy.as_ref());
        (one.name.clone(), if sidecar { "sidecar" } else { "init" })
    });
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    let ephemeral = ephemeral.map(|one| (one.name.clone(), "ephemeral"));
    main.chain(init).chain(ephemeral).collect()
}
