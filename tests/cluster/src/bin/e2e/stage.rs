//! What a scenario acts on: a namespace of its own, the cluster, and what is said of its pods.

mod anew;
pub(crate) mod client;
mod counted;
mod pod;
mod service;
mod told;
mod witness;

use std::thread::sleep;
use std::time::{Duration, Instant};

use agent_core::event::ExitStatus;
use agent_core::report::Report;
use anyhow::{Context as _, Result, ensure};
use gracewatch_cluster::cluster::{Cluster, NODE};
use gracewatch_tests::harness::{OrWrong as _, WrongVerdict};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod as PodObject};

use crate::agent::Agents;
use crate::check::Check;
use crate::klog::Logged;
use crate::metrics::Page;
use crate::place::Place;
use crate::watch::{self, LABEL, Watch};

use counted::json_name;
pub(crate) use pod::Pod;
pub(crate) use witness::Witness;

/// How long a pod may take to run.
const RUN_LIMIT: Duration = Duration::from_mins(2);
/// How long after it was asked for a report may come: with the longest grace period of the scenarios.
const REPORT_LIMIT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(250);
/// How many of a namespace's last Events are shown of a scenario that failed.
const LOG_EVENTS_MAX: usize = 40;
const LOST: &str = "the kubelet does not know any more how the container ended";
/// `finishedAt` is of whole seconds.
const SECOND: Duration = Duration::from_secs(1);

/// Which try of a scenario it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Try {
    First,
    /// The first one's stage failed.
    Second,
}

impl Try {
    /// The namespace of this try of the scenario.
    fn namespace(self, name: &str) -> String {
        let again = match self {
            Self::First => "",
            Self::Second => "-again",
        };
        format!("{LABEL}-{}{again}", name.replace('_', "-"))
    }
}

/// A scenario's part of the cluster.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    namespace: String,
    place: &'a Place,
    watch: &'a Watch,
    agents: &'a Agents<'a>,
}

/// What was said of a container that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pod: Pod,
    container: String,
    pub(crate) report: Report,
    page: Page,
}

impl<'a> Stage<'a> {
    /// Makes the namespace.
    pub(crate) fn create(
        (name, which): (&str, Try),
        place: &'a Place,
        watch: &'a Watch,
        agents: &'a Agents<'a>,
    ) -> Result<Self> {
        let namespace = which.namespace(name);
        place
            .kubectl()
            .output(&["create", "namespace", &namespace])?;
        let stage = Self {
            namespace,
            place,
            watch,
            agents,
        };
        // Without it the first pod may be refused.
        let started = Instant::now();
        while stage
            .kubectl(&["get", "serviceaccount", "default"])
            .is_err()
        {
            watch.check_stopped()?;
            ensure!(
                started.elapsed() < RUN_LIMIT,
                "namespace {} gets no service account",
                stage.namespace
            );
            sleep(POLL);
        }
        Ok(stage)
    }

    /// Removes the namespace with all in it; does not wait.
    pub(crate) fn remove(&self) -> Result<()> {
        let args = ["delete", "namespace", "--wait=false", &self.namespace];
        self.place.kubectl().output(&args).map(drop)
    }

    /// Waits until nothing is left of the scenario's first try.
    pub(crate) fn wait_gone(name: &str, place: &Place) -> Result<()> {
        let namespace = format!("namespace/{}", Try::First.namespace(name));
        let gone = ["wait", "--for=delete", &namespace, "--timeout=180s"];
        place.kubectl().output(&gone).map(drop)
    }

    /// What a person would look at to understand why it failed.
    pub(crate) fn last_words(&self) -> String {
        let said = |args: &[&str]| {
            let said = self.kubectl(args);
            said.unwrap_or_else(|error| format!("{error:#}\n"))
        };
        let events = said(&["get", "events", "--sort-by=.lastTimestamp"]);
        let events: Vec<_> = events.lines().collect();
        let from = events.len().saturating_sub(LOG_EVENTS_MAX);
        let events = events.get(from..).unwrap_or_default().join("\n");
        let pods = said(&["get", "pods", "--output=wide"]);
        format!("{events}\n{pods}\n{}", self.reported().join("\n"))
    }

    /// What the agent of our own node says of the containers here, a line each.
    fn reported(&self) -> Vec<String> {
        let said = self.agents.terminations(NODE).map(|said| said.finished);
        let mine = said.into_iter().flatten().filter(|report| {
            let pod = report.pod.as_ref();
            pod.is_some_and(|pod| pod.namespace == self.namespace)
        });
        mine.filter_map(|report| serde_json::to_string(&report).ok())
            .collect()
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Where all stages are.
    pub(crate) const fn cluster_place(&self) -> &Place {
        self.place
    }

    /// What every pod's labels must have, as YAML.
    #[expect(
        clippy::unused_self,
        reason = "scenarios know their stage, not the watch"
    )]
    pub(crate) fn label_value(&self) -> String {
        format!("{LABEL}: \"yes\"")
    }

    /// `kubectl` in the scenario's namespace.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Result<String> {
        let args = [&["--namespace", &self.namespace], args].concat();
        self.place.kubectl().output(&args)
    }

    /// Applies objects, given as YAML.
    pub(crate) fn apply_yaml(&self, yaml: &str) -> Result<()> {
        self.kubectl_with(&["apply", "-f", "-"], yaml)
    }

    /// Makes a pod of this spec (YAML that begins in the first column) and waits until it is ready.
    pub(crate) fn create_pod(&self, name: &str, spec: &str) -> Result<Pod> {
        self.apply_pod(name, spec)?;
        self.wait_until_ready(name)
    }

    fn apply_pod(&self, name: &str, spec: &str) -> Result<()> {
        let spec = spec.replace('\n', "\n  ");
        let label = self.label_value();
        self.apply_yaml(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{ name: {name}, labels: {{ app: {name}, {label} }} }}\nspec:\n  {spec}\n"
        ))
    }

    /// Makes a pod as [`Self::create_pod`] does, which need not get ready: waits until this container of it has begun.
    pub(crate) fn begun_pod(&self, name: &str, spec: &str, container: &str) -> Result<Pod> {
        self.apply_pod(name, spec)?;
        self.wait_until_started(name, container)
    }

    /// Waits until this container of the pod has begun.
    pub(crate) fn wait_until_started(&self, name: &str, container: &str) -> Result<Pod> {
        let what = format!("container {container} of pod {name}");
        let found = self.watch.wait_for_pod(&what, RUN_LIMIT, |pod, gone| {
            !gone
                && self.is_mine(pod)
                && pod.metadata.name.as_deref() == Some(name)
                && watch::container(pod, container)
                    .is_some_and(|status| status.container_id.is_some())
        })?;
        Pod::from_object(&found)
    }

    /// Waits until the pod of this name is ready.
    pub(crate) fn wait_until_ready(&self, name: &str) -> Result<Pod> {
        let what = format!("pod {name}");
        let found = self.watch.wait_for_pod(&what, RUN_LIMIT, |pod, gone| {
            !gone
                && self.is_mine(pod)
                && pod.metadata.name.as_deref() == Some(name)
                && watch::is_ready(pod)
        })?;
        Pod::from_object(&found)
    }

    /// Our own cluster, whose parts can be stopped.
    pub(crate) fn cluster(&self) -> Result<&Cluster> {
        let own = self
            .place
            .own_cluster()
            .context("this needs a cluster of its own")?;
        Ok(&own.cluster)
    }

    /// The ready pods with the label `app` of this value that are to stay, waited for until there are so many: the watch
    /// may be behind those who say that they are ready.
    pub(crate) fn wait_for_pods(&self, app: &str, count: usize) -> Result<Vec<Pod>> {
        let started = Instant::now();
        loop {
            let found = self.ready_pods(app);
            if found.len() == count {
                return found.iter().map(Pod::from_object).collect();
            }
            self.watch.check_stopped()?;
            ensure!(
                started.elapsed() < RUN_LIMIT,
                "there are {} pods of {app} instead of {count}",
                found.len()
            );
            sleep(POLL);
        }
    }

    fn ready_pods(&self, app: &str) -> Vec<PodObject> {
        self.watch.find_pods(|pod, gone| {
            let labels = pod.metadata.labels.as_ref();
            !gone
                && self.is_mine(pod)
                && watch::is_ready(pod)
                && pod.metadata.deletion_timestamp.is_none()
                && labels
                    .and_then(|labels| labels.get("app"))
                    .map(String::as_str)
                    == Some(app)
        })
    }

    fn is_mine(&self, pod: &PodObject) -> bool {
        pod.metadata.namespace.as_deref() == Some(self.namespace.as_str())
    }

    /// Waits for the agent's report of the container's termination, and reads the metrics after it.
    pub(crate) fn wait_for_report(&self, pod: &Pod, container: &str) -> Result<Ended> {
        let id = pod.container_id(container)?;
        let started = Instant::now();
        let mut trouble = None;
        loop {
            match self.agents.terminations(&pod.node) {
                Ok(said) => {
                    let mut mine = said
                        .finished
                        .into_iter()
                        .filter(|report| report.subject.container_id.as_deref() == Some(id));
                    if let Some(report) = mine.next() {
                        if let Some(second) = mine.next() {
                            let both = (
                                serde_json::to_string(&report)?,
                                serde_json::to_string(&second)?,
                            );
                            let name = &pod.name;
                            let words =
                                format!("two reports of container {container} of {name}: {both:?}");
                            return Err(WrongVerdict(words).into());
                        }
                        return Ok(Ended {
                            pod: pod.clone(),
                            container: container.to_owned(),
                            page: self.agents.metrics_page(&pod.node)?,
                            report,
                        });
                    }
                }
                // An agent that is being replaced does not answer.
                Err(error) => trouble = Some(error),
            }
            self.watch.check_stopped()?;
            if started.elapsed() > REPORT_LIMIT {
                let why = trouble.map(|error| format!(": {error:#}"));
                let words = format!(
                    "no report of container {container} of {} ({id}) within {} s{}",
                    pod.name,
                    REPORT_LIMIT.as_secs(),
                    why.unwrap_or_default()
                );
                // There is none to be had of one that runs.
                ensure!(
                    !self.is_running(pod, container, id),
                    "{words}: it runs still"
                );
                return Err(WrongVerdict(words).into());
            }
            sleep(POLL);
        }
    }

    /// Whether the container runs still, as far as the API knows.
    fn is_running(&self, pod: &Pod, container: &str, id: &str) -> bool {
        let is_it = |seen: &PodObject, gone: bool| {
            let status = watch::container(seen, container);
            !gone
                && seen.metadata.uid.as_deref() == Some(&pod.uid)
                && status.is_some_and(|status| {
                    let running = status
                        .state
                        .as_ref()
                        .is_some_and(|state| state.running.is_some());
                    let same = status
                        .container_id
                        .as_ref()
                        .is_some_and(|known| known.ends_with(id));
                    running && same
                })
        };
        !self.watch.find_pods(is_it).is_empty()
    }

    /// The metrics of the agent on the first of these pods' node.
    pub(crate) fn metrics_page(&self, pods: &[Pod]) -> Result<Page> {
        let pod = pods.first().context("there are no pods")?;
        self.agents.metrics_page(&pod.node)
    }

    /// The exit code by the container's status, waited for.
    pub(crate) fn exit_code(&self, ended: &Ended) -> Result<i32> {
        let terminated = self.terminated(ended)?;
        Ok(terminated.context(LOST)?.exit_code)
    }

    /// Why the container ended, by its status, waited for.
    pub(crate) fn reason(&self, ended: &Ended) -> Result<Option<String>> {
        let terminated = self.terminated(ended)?;
        Ok(terminated.context(LOST)?.reason)
    }

    /// How the container ended by its status, waited for; `None` where the kubelet lost that: now and then it knows of the
    /// container that came after it, and not how the one before ended.
    fn terminated(&self, ended: &Ended) -> Result<Option<ContainerStateTerminated>> {
        let id = ended.pod.container_id(&ended.container)?;
        let state = |pod: &PodObject| {
            watch::terminated(watch::container(pod, &ended.container)?, id).cloned()
        };
        let lost = |pod: &PodObject| {
            watch::container(pod, &ended.container)
                .is_some_and(|status| watch::is_another_without_past(status, id))
        };
        let pod = self
            .watch
            .wait_for_pod("an exit code", RUN_LIMIT, |seen, _gone| {
                seen.metadata.uid.as_deref() == Some(&ended.pod.uid)
                    && (state(seen).is_some() || lost(seen))
            })?;
        Ok(state(&pod))
    }

    /// Compares a report with the container's status, with the metrics, and with the node's own logs where they are ours.
    pub(crate) fn compare(&self, check: &mut Check, ended: &Ended) -> Result<()> {
        compare_names(check, ended, &self.namespace);
        // The object of a static pod goes before the container has ended.
        if ended.pod.uid == ended.pod.node_uid {
            self.compare_exit(check, ended)?;
        }
        self.compare_rest(check, ended)
    }

    /// The same of a container whose status nobody sees: its pod's object went before it ended.
    pub(crate) fn compare_without_status(&self, check: &mut Check, ended: &Ended) -> Result<()> {
        compare_names(check, ended, &self.namespace);
        self.compare_rest(check, ended)
    }

    /// With the metrics, and with the node's own logs where they are ours.
    fn compare_rest(&self, check: &mut Check, ended: &Ended) -> Result<()> {
        if let Some(own) = self.place.own_cluster() {
            let logs = own.cluster.logs_folder();
            let id = ended.pod.container_id(&ended.container)?;
            let logged = Logged::read(logs, &ended.pod.node_uid, &ended.container, id)?;
            check.logged(&ended.report, logged);
        }
        self.compare_metrics(check, ended);
        Ok(())
    }

    /// How it ended, and in which second.
    fn compare_exit(&self, check: &mut Check, ended: &Ended) -> Result<()> {
        let Some(terminated) = self.terminated(ended)? else {
            return Ok(());
        };
        let exit = ended
            .report
            .exit
            .as_ref()
            .or_wrong(|| "the report has no exit".to_owned())?;
        let ours = match exit.status {
            ExitStatus::Code(code) => i64::from(code),
            // As runtimes say it.
            ExitStatus::Signal { signal, .. } => 128 + i64::from(signal.number()),
        };
        check.agrees(
            "exit code (by container status)",
            ours,
            i64::from(terminated.exit_code),
        );
        let ours = Duration::from_nanos(
            self.agents
                .terminations(&ended.pod.node)?
                .wall_time(exit.at),
        );
        let theirs = terminated
            .finished_at
            .context("the container's status does not say when it ended")?;
        let theirs = Duration::from_secs(u64::try_from(theirs.0.as_second())?);
        // The runtime hears of it later on a busy machine.
        let what = "exit before the end of finishedAt's second";
        check.agrees(what, ours <= theirs + SECOND * 3 / 2, true);
        let what = "exit within a second of finishedAt";
        check.staged(what, ours.abs_diff(theirs + SECOND / 2) <= SECOND, true);
        Ok(())
    }
}

/// Whose container it was, by the report.
fn compare_names(check: &mut Check, ended: &Ended, namespace: &str) {
    let said = ended.report.pod.as_ref();
    let got = said.map(|pod| [&pod.namespace, &pod.name, &pod.uid].map(String::as_str));
    let expected = [namespace, &ended.pod.name, &ended.pod.uid];
    check.agrees("pod", got, Some(expected));
    let got = said.and_then(|pod| pod.container.as_deref());
    check.agrees("container", got, Some(ended.container.as_str()));
    let got = said.and_then(|pod| pod.role).map(json_name);
    check.agrees("role", got, ended.pod.container_role(&ended.container));
}
