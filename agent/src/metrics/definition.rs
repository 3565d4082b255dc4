//! Every metric: name, unit, help, labels, buckets, lifetime. The one place; registration and docs/metrics.md come from it.

use prometheus_client::registry::{Metric, Registry, Unit};

use self::Caveat::{Holds, Like, Misleads};

/// What a metric is and for how long its series live.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Without the unit and without `_total`.
    pub(crate) name: &'static str,
    pub(crate) unit: Measure,
    pub(crate) kind: Kind,
    /// Beside those that name the subject or the workload.
    pub(crate) labels: &'static [&'static str],
    /// Without a full stop: the exposition adds it.
    pub(crate) help: &'static str,
    /// How it is to be read.
    pub(crate) care: Caveat,
}

/// How far a metric can be taken at its word. Each text is without a full stop, as the help.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caveat {
    /// When it says something else than one would think.
    Misleads(&'static str),
    /// What is said of that one goes for this, too; and what is to be added, or nothing.
    Like(&'static Definition, &'static str),
    /// It says what it says, for this reason.
    Holds(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// A count, a state.
    None,
    Seconds,
    Bytes,
    Ratio,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Info,
    Histogram(&'static [f64]),
}

impl Definition {
    pub(crate) fn register(&self, registry: &mut Registry, metric: impl Metric) {
        match self.unit {
            Measure::None => registry.register(self.name, self.help, metric),
            Measure::Seconds => self.with_unit(registry, Unit::Seconds, metric),
            Measure::Bytes => self.with_unit(registry, Unit::Bytes, metric),
            Measure::Ratio => self.with_unit(registry, Unit::Other("ratio".to_owned()), metric),
        }
    }

    fn with_unit(&self, registry: &mut Registry, unit: Unit, metric: impl Metric) {
        registry.register_with_unit(self.name, self.help, unit, metric);
    }

    /// The name under which it is scraped and asked for.
    pub(crate) fn full_name(&self) -> String {
        let unit = match self.unit {
            Measure::None => "",
            Measure::Seconds => "_seconds",
            Measure::Bytes => "_bytes",
            Measure::Ratio => "_ratio",
        };
        let kind = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram(_) => "",
        };
        format!("{}{unit}{kind}", self.name)
    }

    pub(crate) fn buckets(&self) -> &'static [f64] {
        match self.kind {
            Kind::Histogram(buckets) => buckets,
            Kind::Counter | Kind::Gauge | Kind::Info => &[],
        }
    }
}

/// From a handler's milliseconds over the usual grace of 30 s to the long ones of databases.
const SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 45.0,
    60.0, 120.0, 300.0, 600.0,
];
/// Close around 1, where a grace period ends.
const SHARES: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.5, 2.0];

/// From the floor of 2 s over the usual grace of 30 s.
const SECONDS_LEFT: &[f64] = &[
    2.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 45.0, 60.0, 120.0, 300.0, 600.0,
];

/// Connections of one container: from a few kept alive to a busy proxy.
const CONNECTIONS: &[f64] = &[
    0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0,
];

macro_rules! definitions {
    ($($constant:ident = $name:literal, $unit:ident, $kind:expr, $labels:expr, $help:literal, $care:expr;)*) => {
        $(pub(crate) const $constant: Definition = Definition {
            name: $name, unit: Measure::$unit, kind: $kind, labels: $labels, help: $help, care: $care,
        };)*
        /// Every metric, in the order of the reference page.
        pub(crate) const ALL: &[&Definition] = &[$(&$constant),*];
    };
}

definitions! {
    // Gauges for each open termination, and for each finished one.
    OPEN_DURATION = "pod_termination_open_duration", Seconds, Kind::Gauge, &["phase"],
        "How long a termination that is not finished has lasted, and how far it is: in the hook (phase=\"hook\"), after the stop signal (stopping), after the exit (closing)",
        Misleads("Up to a second old. A signal that a program outlives opens one, too, and it stays for the grace period and an hour. One that ends within a second of its exit may never be scraped");
    OPEN_FINDING = "pod_termination_open_finding", None, Kind::Gauge, &["finding"],
        "1 for each finding that a termination which is not finished has already",
        Misleads("More may come, and one may go, until it is finished; the end alone is in workload_termination_findings_total");
    POD_HOOK = "pod_termination_prestop_duration", Seconds, Kind::Gauge, &["handler", "method"],
        "How long the preStop hook of the termination ran",
        Misleads("With method=\"inferred\" it was not seen to run: the time is that from the deletion, or from the kubelet's connection, to the stop signal. With method=\"observed\" it begins at the exec in the container: what the runtime does before is not in it. Absent if the hook's end is not known");
    POD_HOOK_FAILED = "pod_termination_prestop_failed", None, Kind::Gauge, &["handler"],
        "Whether the preStop hook of the termination failed: 1 yes, 0 not as far as is known",
        Misleads("How an httpGet or sleep hook ended is told only by the kubelet's Event, if the agent may watch Events; an answer with an HTTP error is no failure to the kubelet. A hook that is killed because its container ended has not failed");
    POD_SIGNAL_TO_EXIT = "pod_termination_signal_to_exit", Seconds, Kind::Gauge, &[],
        "Time from the stop signal to the exit of the main process in the termination",
        Misleads("Of the main process alone: its children can live on. Where SIGKILL ended it, it is the time that was given and not the time that was needed");
    POD_DURATION = "pod_termination_duration", Seconds, Kind::Gauge, &[],
        "Time from the start of the termination (deletion, hook, stop signal; the first that was seen) to the exit of the main process",
        Misleads("The start is the agent's sight of the deletion, which a slow API server delays; where no deletion is told it is the hook or the stop signal. A sidecar's includes the wait for the containers that are stopped before it");
    POD_SIGKILL = "pod_termination_sigkill_used", None, Kind::Gauge, &[],
        "Whether SIGKILL was sent to the main process in the termination: 1 yes, 0 no",
        Misleads("A SIGKILL for a process that has exited is none. One of the OOM killer is: see cause in workload_termination_sigkills_total");
    POD_GRACE_USED = "pod_termination_grace_used", Ratio, Kind::Gauge, &[],
        "Duration of the termination divided by the configured grace period",
        Misleads("Above 1 without a SIGKILL for a hook that overran, for a sidecar that waited, and after a slow delivery of the deletion. Absent where no grace period is known: without Kubernetes what --subjects does not tell, with it evictions and shutdowns by the kubelet");
    POD_GRACE_AFTER_HOOK = "pod_termination_grace_after_prestop", Seconds, Kind::Gauge, &[],
        "What the hook left of the grace period for the stop signal; 2 is the kubelet's floor",
        Misleads("By the kubelet's rule from the hook's time as measured here, not told by the kubelet: its own measure has the runtime's work in it, so that it can be a second less");
    POD_INCOMPLETE = "pod_termination_incomplete", None, Kind::Gauge, &[],
        "Whether facts of the termination are missing, so that it may have been otherwise: 1 yes, 0 no",
        Misleads("0 does not say that the verdict is certain: facts can be complete and be read in two ways, see workload_termination_doubts_total");
    POD_OUTCOME = "pod_termination_outcome", None, Kind::Gauge, &["outcome", "trigger"],
        "How the termination ended, and why it was begun: 1 for what it was",
        Misleads("trigger=\"unknown\" where nothing tells: without the right to watch Events a liveness kill is such a one");
    POD_RESETS = "pod_termination_connections_reset", None, Kind::Gauge, &["direction"],
        "TCP resets of the container's connections from the start of the termination until it was released, by who reset",
        Misleads("Resets, not connections: a peer that goes on sending to a closed one gets another for each packet. Without the answers to attempts, which are in pod_termination_connections_refused, and without what is only known to be the pod's: see scope in workload_connections_reset_total");
    POD_AT_STOP_SIGNAL = "pod_termination_connections_at_stop_signal", None, Kind::Gauge, &[],
        "Connections that were established when the stop signal came, or SIGKILL if that came alone",
        Misleads("With connections that the container itself made, such as to a database. Concluded from what became of them: those that outlive the container's cgroup are missing");
    POD_AT_EXIT = "pod_termination_connections_at_exit", None, Kind::Gauge, &[],
        "Connections that were still established when the main process exited",
        Like(&POD_AT_STOP_SIGNAL, "Other processes of the container may still serve them");
    POD_FINISHED = "pod_termination_connections_finished", None, Kind::Gauge, &[],
        "Connections that were ended by the FIN of either side between the stop signal and the exit",
        Misleads("A FIN does not tell whether the answer was complete");
    POD_ACCEPTED_AFTER = "pod_termination_connections_accepted_after_stop_signal", None, Kind::Gauge, &[],
        "Connections that were accepted after the stop signal",
        Misleads("Accepted by the kernel, whether or not the program took them. Without those of pod_termination_connections_from_node; scrapes count like any other");
    POD_REFUSED = "pod_termination_connections_refused", None, Kind::Gauge, &["scope"],
        "Connection attempts (SYN) that were refused from the start of the termination on",
        Misleads("An attempt that is made again counts again. scope=\"container\": at a port that the container had listened on; scope=\"pod\": at a port on which no container of the pod was seen to listen, so that container and role are absent. Without those of pod_termination_connections_from_node. 0 where gracewatch_tcp_feature_available{feature=\"refusals\"} is 0");
    POD_FROM_NODE = "pod_termination_connections_from_node", None, Kind::Gauge, &[],
        "Connections that came from an address of the node from the start of the termination on, accepted or refused, and are in no other number of arrivals: the pod has probes, which go on meanwhile, and these are most likely theirs",
        Misleads("0 for a pod without probes, where such a connection counts like any other");
    POD_LAST_ARRIVAL = "pod_termination_last_arrival", Seconds, Kind::Gauge, &[],
        "Time from the start of the termination to the last connection that came, accepted or refused: a preStop sleep of this length would have served it",
        Misleads("Absent if none came. What comes more than about a second after the release is not seen, so of a server that exits at once it is the last that was seen. Without those of pod_termination_connections_from_node, and of those who come at a regular interval, as scrapes and health checks do; one that came fewer than four times counts like any other");
    POD_ENDPOINT_LAG = "pod_termination_endpoint_lag", Seconds, Kind::Gauge, &[],
        "Time from the start of the termination until the EndpointSlices did not show the pod as ready any more, as this agent saw it",
        Misleads("Rules of kube-proxy and of load balancers follow later. 0 if it was not ready before. Absent if it stayed ready or is in no EndpointSlice");
    // What lives on.
    WORKLOAD_OUTCOMES = "workload_termination_outcomes", None, Kind::Counter, &["outcome", "trigger"],
        "Finished terminations by how they ended and why they were begun; init containers that completed are counted here and have no other series",
        Misleads("Containers that were not stopped but ended are here, too: outcome=\"completed\" and \"crashed\"");
    WORKLOAD_FINDINGS = "workload_termination_findings", None, Kind::Counter, &["finding"],
        "Diagnoses made in finished terminations",
        Misleads("One termination can have several. None is no proof that all is well: what the agent is not told (a hook, a grace period) or this kernel does not show is not diagnosed");
    WORKLOAD_SIGKILLS = "workload_termination_sigkills", None, Kind::Counter, &["cause"],
        "Terminations in which SIGKILL was sent to the main process, by why; repeated SIGKILLs are not counted again",
        Like(&POD_SIGKILL, "cause=\"grace_expired\" is concluded where the grace period is not known: from whole seconds since the stop signal, or from who sent that");
    WORKLOAD_DOUBTS = "workload_termination_doubts", None, Kind::Counter, &["doubt"],
        "Finished terminations whose verdict is not certain, by why",
        Misleads("One termination can have several, and more are doubted than are wrong");
    WORKLOAD_HOOK = "workload_termination_prestop_duration", Seconds, Kind::Histogram(SECONDS), &["handler", "method"],
        "How long preStop hooks ran; complete reports only",
        Like(&POD_HOOK, "A program that could not be executed never ran and is not in it");
    WORKLOAD_HOOK_FAILURES = "workload_termination_prestop_failures", None, Kind::Counter, &["handler", "failure"],
        "Terminations whose preStop hook failed, by how",
        Like(&POD_HOOK_FAILED, "");
    WORKLOAD_SIGNAL_TO_EXIT = "workload_termination_signal_to_exit", Seconds, Kind::Histogram(SECONDS), &[],
        "Time from the stop signal to the exit of the main process; complete reports only",
        Like(&POD_SIGNAL_TO_EXIT, "So a quantile that lies at the grace period is a lower bound");
    WORKLOAD_DURATION = "workload_termination_duration", Seconds, Kind::Histogram(SECONDS), &[],
        "Time from the start of the termination (deletion, hook, stop signal; the first that was seen) to the exit of the main process; complete reports only",
        Like(&POD_DURATION, "");
    WORKLOAD_GRACE_USED = "workload_termination_grace_used", Ratio, Kind::Histogram(SHARES), &[],
        "Duration of the termination divided by the configured grace period, where that is known; complete reports only",
        Like(&POD_GRACE_USED, "");
    WORKLOAD_GRACE_AFTER_HOOK = "workload_termination_grace_after_prestop", Seconds, Kind::Histogram(SECONDS_LEFT), &[],
        "What hooks left of the grace period for the stop signal; complete reports with a hook only",
        Like(&POD_GRACE_AFTER_HOOK, "");
    WORKLOAD_FLOOR_USED = "workload_termination_grace_floor_used", None, Kind::Counter, &[],
        "Terminations whose hook used the grace period up, so that the stop signal got the kubelet's floor of 2 s",
        Like(&POD_GRACE_AFTER_HOOK, "");
    WORKLOAD_AT_STOP_SIGNAL = "workload_termination_connections_at_stop_signal", None, Kind::Histogram(CONNECTIONS), &[],
        "Connections that were established when the stop signal came, or SIGKILL if that came alone; complete reports only",
        Like(&POD_AT_STOP_SIGNAL, "");
    WORKLOAD_AT_EXIT = "workload_termination_connections_at_exit", None, Kind::Counter, &[],
        "Connections that were still established when the main process exited",
        Like(&POD_AT_STOP_SIGNAL, "Other processes of the container may still serve them");
    WORKLOAD_FINISHED = "workload_termination_connections_finished", None, Kind::Counter, &[],
        "Connections that were ended by the FIN of either side between the stop signal and the exit",
        Like(&POD_FINISHED, "");
    WORKLOAD_ACCEPTED_AFTER = "workload_termination_connections_accepted_after_stop_signal", None, Kind::Counter, &[],
        "Connections that were accepted after the stop signal",
        Like(&POD_ACCEPTED_AFTER, "");
    WORKLOAD_REFUSED = "workload_termination_connections_refused", None, Kind::Counter, &["scope"],
        "Connection attempts (SYN) that were refused from the start of the termination on",
        Like(&POD_REFUSED, "Those at scope=\"pod\" are of all its containers together");
    WORKLOAD_LAST_ARRIVAL = "workload_termination_last_arrival", Seconds, Kind::Histogram(SECONDS), &[],
        "Time from the start of the termination to the last connection that came, accepted or refused; complete reports only",
        Like(&POD_LAST_ARRIVAL, "Terminations to which none came are not in it");
    WORKLOAD_ENDPOINT_LAG = "workload_termination_endpoint_lag", Seconds, Kind::Histogram(SECONDS), &[],
        "Time from the start of the termination until the EndpointSlices did not show the pod as ready any more; complete reports only",
        Like(&POD_ENDPOINT_LAG, "");
    WORKLOAD_RECOMMENDED_SLEEP = "workload_termination_recommended_prestop_sleep", Seconds, Kind::Gauge, &[],
        "The preStop sleep that would have covered the last connection that came in 99 % of the terminations",
        Misleads("Absent until there are enough terminations, and for workload=\"other\". From the terminations of this node that workload_termination_recommendation_terminations counts; where connections came to the very end it is the least that helps");
    WORKLOAD_RECOMMENDED_GRACE = "workload_termination_recommended_grace", Seconds, Kind::Gauge, &[],
        "The grace period that would have sufficed for 99 % of the terminations with that sleep, and a margin",
        Like(&WORKLOAD_RECOMMENDED_SLEEP, "Absent also while so many were killed that it is not known what they need");
    WORKLOAD_RECOMMENDATION_TERMINATIONS = "workload_termination_recommendation_terminations", None, Kind::Gauge, &[],
        "Terminations that the recommendation is made from",
        Misleads("The last 512 at the most, and only those that the agent of this node saw since it started");
    WORKLOAD_RESETS = "workload_connections_reset", None, Kind::Counter, &["phase", "direction", "mode", "reason", "scope"],
        "TCP resets by when (phase), by who reset (direction), and for those sent by what made them (mode: active if the program or its death ended the connection, passive if a packet was answered) and by the kernel's reason",
        Misleads("With the answers to attempts that were refused (reason no_socket). scope=\"pod\": there was no socket, only the pod is known, and container and role are absent. reason is unknown where gracewatch_tcp_feature_available{feature=\"reset_reasons\"} is 0. Told every few seconds");
    // The agent itself.
    BUILD = "gracewatch_build", None, Kind::Info, &["version"],
        "The agent's version",
        Holds("it is compiled in");
    START_TIME = "gracewatch_start_time", Seconds, Kind::Gauge, &[],
        "When the agent began to measure, since 1970; its counters began then",
        Misleads("By the node's clock, as it was then");
    PROBE_ATTACHED = "gracewatch_probe_attached", None, Kind::Gauge, &["probe"],
        "Whether the kernel program is attached: 1 yes, 0 no (an optional one that this kernel cannot attach)",
        Misleads("One that this kernel does not need, since its hooks have another form, has no series, so their number differs between kernels. A required one is never 0: the agent does not start without it");
    TCP_FEATURE_AVAILABLE = "gracewatch_tcp_feature_available", None, Kind::Gauge, &["feature"],
        "Whether this kernel offers what the feature of TCP connections is counted by: 1 yes, 0 no",
        Misleads("What is not available is not counted, and that is a 0 in the numbers of connections: look here first");
    RECORDS = "gracewatch_records", None, Kind::Counter, &["kind"],
        "Records that the kernel side put into the ring buffer",
        Misleads("Not the events of the machine: most are passed over in the kernel, and connections are counted there. Read about once a second");
    RECORDS_LOST = "gracewatch_records_lost", None, Kind::Counter, &["kind"],
        "Records that found no room in the ring buffer, or that one container caused beyond its share; reports that are open at that time and that they may concern are incomplete",
        Misleads("The records that one container caused beyond its share concern that container and those in it, and no other report is called incomplete for them. Where the records of a container are lost, more of its reports are called incomplete than are wrong. Read about once a second");
    MAP_FULL = "gracewatch_map_full", None, Kind::Counter, &["map"],
        "Insertions by the kernel side that found a map full, or the share of one container used up; what was not inserted is not measured",
        Misleads("map=\"share\" concerns the containers alone that used up their shares");
    DECODE_ERRORS = "gracewatch_decode_errors", None, Kind::Counter, &["reason"],
        "Records that could not be decoded",
        Holds("each is counted where it is thrown away, and each is a defect of the agent");
    DROPPED = "gracewatch_dropped", None, Kind::Counter, &["reason"],
        "What the engine threw away because a limit was reached or nothing is known of the container",
        Misleads("reason=\"container_unknown\" is ordinary in small numbers: events of a container that has just gone, or that is not tracked yet. With reason=\"containers_share\" one container, or one place such as a user's session, holds more containers than its share. The others mean that a bound is too small for this node");
    UPDATES_FAILED = "gracewatch_kernel_updates_failed", None, Kind::Counter, &["update"],
        "Containers or processes that could not be told to the kernel side; they are not measured",
        Misleads("What update=\"node_address\" costs is another: probes of the kubelet then count as connections of others");
    UNATTRIBUTED = "gracewatch_unattributed", None, Kind::Counter, &["reason"],
        "Reports of pods' containers whose pod was not known or did not name them in its status in time (pod_unknown), or whose name in it was not (container_unknown)",
        Misleads("Without the API it rises with every stop of a pod's container. A pod that lived for less than its way through the API is such a one, too");
    PODS_KNOWN = "gracewatch_pods_known", None, Kind::Gauge, &[],
        "Pods of this node that the agent knows from the API; 0 without Kubernetes",
        Misleads("Changes with the watch of pods: while that is broken it is the number of before");
    WATCH_CONNECTED = "gracewatch_watch_connected", None, Kind::Gauge, &["resource"],
        "Whether the watch of the resource in the Kubernetes API delivers: 1 yes, 0 no; absent where it is not watched",
        Misleads("0 for some seconds is ordinary, when a connection broke. One that died without a word stays 1 until the watch is resumed, after two minutes at the most");
    API_ERRORS = "gracewatch_api_errors", None, Kind::Counter, &["resource", "reason"],
        "Requests to the Kubernetes API that failed",
        Misleads("A few are ordinary: reason=\"gone\" is the API server's word for a watch that has to begin anew, reason=\"unreachable\" every restart of it");
    KUBERNETES_EVENTS = "gracewatch_kubernetes_events", None, Kind::Counter, &["result"],
        "Kubernetes Events for pods: sent, dropped (too many in a short time), failed (the API did not take them)",
        Misleads("Fewer than findings: a report with a doubt that could make a finding wrong gives no Event of it. One that only counts another one up is sent, too");
    TRACKED = "gracewatch_containers_tracked", None, Kind::Gauge, &["kind"],
        "Containers that are tracked",
        Misleads("Pause containers of pods are among them");
    UNREPORTED = "gracewatch_containers_unreported", None, Kind::Counter, &["reason"],
        "Containers that are gone and of which there is no report, since no main process of theirs was seen",
        Misleads("reason=\"empty\" is no loss: a cgroup in which no process was seen for as long as it was tracked. With reason=\"gone\" it was gone before the agent knew of it, with reason=\"records_lost\" the ring buffer was full");
    OPEN = "gracewatch_terminations_open", None, Kind::Gauge, &[],
        "Terminations that began and are not finished",
        Like(&OPEN_DURATION, "");
    SERIES_EVICTED = "gracewatch_series_evicted", None, Kind::Counter, &["family"],
        "Series taken away (pod_termination) or put under the workload 'other' (workload_termination) because of the bound on their number",
        Misleads("Of workloads it counts each termination, and each time that resets were told, that went to 'other', not the series");
    SCANS = "gracewatch_scans", None, Kind::Counter, &[],
        "Scans of the cgroup tree: one at the start, and one after each loss",
        Holds("each is counted when it ended");
    SCAN_DURATION = "gracewatch_scan_duration", Seconds, Kind::Gauge, &[],
        "How long the last scan of the cgroup tree took",
        Misleads("With all that followed from it, such as the look into /proc for each container; the last one can be hours old");
    SCAN_CGROUPS = "gracewatch_scan_cgroups", None, Kind::Gauge, &[],
        "Cgroups that the last scan found",
        Misleads("All cgroups of the machine, not only containers, and as of the last scan, which can be hours old");
    PROGRAM_RUNS = "gracewatch_program_runs", None, Kind::Counter, &["program"],
        "Runs of the kernel program; only counted while sysctl kernel.bpf_stats_enabled is 1",
        Misleads("Stands still while the sysctl is 0, with what was counted before");
    PROGRAM_SECONDS = "gracewatch_program_run", Seconds, Kind::Counter, &["program"],
        "Time spent in the kernel program; only counted while sysctl kernel.bpf_stats_enabled is 1",
        Like(&PROGRAM_RUNS, "The accounting itself is in it, and is most of a short program's time: docs/overhead.md");
    JOURNAL_BYTES = "gracewatch_journal", Bytes, Kind::Gauge, &[],
        "Size of the journal that is recorded; 0 without one",
        Holds("the agent counts what it writes");
    JOURNAL_STOPPED = "gracewatch_journal_stopped", None, Kind::Gauge, &[],
        "Whether recording stopped because the journal reached its size or could not be written: 1 yes, 0 no",
        Misleads("Measuring goes on; the journal ends before what went wrong after it");
}
