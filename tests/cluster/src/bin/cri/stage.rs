//! What a case plays on: its pod, made as the case wants it, and what takes it away again.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use gracewatch_tests::whole::Whole;

use crate::case::Case;
use crate::pod::{Container, ContainerSpec, Namespaces, Pod, PodSpec};
use crate::rig::{self, Rig};

/// How long containers run before they are stopped: as old as those that are stopped usually are at the least.
pub(crate) const WARM_UP: Duration = Duration::from_millis(1500);

/// The stage of one case.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) case: &'a Case,
    pub(crate) rig: &'a Rig,
    pub(crate) agent: &'a Whole,
}

impl<'a> Stage<'a> {
    /// The case's pod.
    pub(crate) fn create_pod(&self, namespaces: Namespaces) -> Result<Pod<'a>> {
        let uid = rig::pod_uid(self.case);
        let logs = self.rig.pod_logs(self.case.name)?;
        Pod::run(
            &self.rig.cri,
            PodSpec {
                name: self.case.name.to_owned(),
                cgroup_parent: self.rig.cgroup_parent(&uid),
                uid,
                logs: logs.to_string_lossy().into_owned(),
                runtime: self.rig.runtime.clone(),
                namespaces,
            },
        )
    }

    /// A pod with one container that has run for a while.
    pub(crate) fn run_container(
        &self,
        spec: ContainerSpec<'_>,
    ) -> Result<(Pod<'a>, Container<'a>)> {
        self.one_in(Namespaces::Usual, spec)
    }

    /// The same with these namespaces.
    pub(crate) fn one_in(
        &self,
        namespaces: Namespaces,
        spec: ContainerSpec<'_>,
    ) -> Result<(Pod<'a>, Container<'a>)> {
        let pod = self.create_pod(namespaces)?;
        let container = pod.start(spec)?;
        sleep(WARM_UP);
        Ok((pod, container))
    }
}
