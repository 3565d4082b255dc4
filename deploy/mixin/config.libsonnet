// What a user of the mixin may set. Override it by `(import 'mixin.libsonnet') + { _config+:: { … } }`.
{
  _config+:: {
    // Which scrapes are those of the agents. A PodMonitor's job is `namespace/name`.
    gracewatchSelector: 'job=~"(.+/)?gracewatch"',
    // Which are those of kube-state-metrics; only GracewatchAgentMissing needs them.
    kubeStateMetricsSelector: 'job=~"(.+/)?kube-state-metrics"',
    // Nodes that have no agent on purpose are left out here. The manifests choose Linux on amd64.
    measuredNodesSelector: 'node!=""',
    // The label that tells clusters apart, where several write into one Prometheus. Where it is absent it does no harm.
    clusterLabel: 'cluster',

    // What is called by number: something that happened this often in this time.
    countWindow: '1h',
    countWindowSeconds: 60 * 60,
    // What is called by share: longer, since stops are rare and a share of three is no share.
    shareWindow: '6h',
    shareWindowSeconds: 6 * 60 * 60,
    // How far before a window is looked to tell a series that begins from a scrape that failed.
    birthLookback: '15m',

    // Facts that the kernel told: one is enough.
    signalIgnoredMin: 1,
    hookOverranMin: 1,
    killedWithoutStopSignalMin: 1,
    stuckAfterKillMin: 1,
    // One failed hook may be a pod that was half up.
    hookFailedMin: 2,
    // Shares of terminations, and from how many terminations on.
    graceExceededShareMax: 0.1,
    connectionsResetShareMax: 0.1,
    endpointRaceShareMax: 0.1,
    unattributedShareMax: 0.05,
    terminationsMin: 5,

    severity: {
      // Somebody is losing work or requests, or nothing is measured.
      bad: 'warning',
      // To be mended in working hours.
      advice: 'info',
    },

    // Where the runbooks are, a page for each alert by its name: relative to the repository, since only you know where your
    // people read it. An Alertmanager makes a link of it once it is a whole address.
    runbookUrlPattern: 'docs/runbooks/%s.md',

    dashboardTags: ['gracewatch', 'gracewatch-mixin'],
    dashboardRefresh: '1m',
    dashboardFrom: 'now-6h',
  },
}
