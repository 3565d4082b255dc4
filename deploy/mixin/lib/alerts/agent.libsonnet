// Alerts on the agents: is everything measured, and may what is said be trusted?
local query = import '../query.libsonnet';

{
  local config = $._config,
  local agents = query.select(config),
  local metric(name, more='') = name + query.select(config, more),
  local where = 'The agent on node {{ $labels.node }} ({{ $labels.instance }})',
  local agent = [config.clusterLabel, 'node', 'instance'],
  local terminations = query.grownBy(config, agent, 'workload_termination_outcomes_total', config.shareWindow, '', config.shareWindowSeconds),

  local begun(counter) = std.strReplace(std.rstripChars(query.grown(config, counter, '15m', '', 15 * 60), '\n'), '\n', '\n    '),

  prometheusAlerts+:: {
    groups+: [
      {
        name: 'gracewatch-agents',
        rules: [
          {
            alert: 'GracewatchAbsent',
            expr: 'absent(up%s == 1)' % agents,
            'for': '15m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'No agent is scraped: terminations are not measured at all.',
              description: 'Prometheus has had no agent that answers for 15 minutes. None of the other alerts can fire meanwhile.',
            },
          },
          {
            alert: 'GracewatchAgentDown',
            expr: 'up%s == 0' % agents,
            'for': '15m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'An agent does not answer: terminations on its node are not measured.',
              description: '%s has not answered Prometheus for 15 minutes.' % where,
            },
          },
          {
            alert: 'GracewatchAgentMissing',
            // Without kube-state-metrics there is nothing on the left, and it never fires.
            expr: |||
              group by (%(cluster)s, node) (kube_node_info{%(nodes)s})
              unless on (%(cluster)s, node)
              up%(agents)s == 1
            ||| % {
              cluster: config.clusterLabel,
              nodes: config.kubeStateMetricsSelector + ', ' + config.measuredNodesSelector,
              agents: agents,
            },
            'for': '15m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'A node has no agent: terminations on it are not measured.',
              description: 'Node {{ $labels.node }} has been without an agent that answers for 15 minutes.',
            },
          },
          {
            alert: 'GracewatchAgentNotReady',
            expr: '%s == 0' % metric('gracewatch_scans_total'),
            'for': '10m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'An agent runs, but has not got to measuring.',
              description: '%s has not finished its first scan of the cgroup tree for 10 minutes, and is not ready.' % where,
            },
          },
          {
            alert: 'GracewatchProbeNotAttached',
            expr: '%s == 0' % metric('gracewatch_probe_attached'),
            'for': '15m',
            labels: { severity: config.severity.advice },
            annotations: {
              summary: 'The kernel of a node does not take one of the probes: part of the facts is missing there.',
              description: '%s could not attach the probe {{ $labels.probe }}. What it would tell is not measured on this node.' % where,
            },
          },
          {
            alert: 'GracewatchEventsLost',
            expr: 'sum by (%s, node, instance) (increase(%s[15m])) > 0' % [config.clusterLabel, metric('gracewatch_records_lost_total')],
            'for': '0m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'An agent loses what the kernel tells: some reports are incomplete.',
              description: '%s lost {{ $value | printf "%%.0f" }} records of the kernel in the last 15 minutes. Terminations that were open then are marked incomplete and are in no histogram.' % where,
            },
          },
          {
            alert: 'GracewatchLimitReached',
            expr: |||
              sum by (%(cluster)s, node, instance, limit) (
                label_replace(increase(%(full)s[15m]), "limit", "$1", "map", "(.*)")
                or
                label_replace(increase(%(dropped)s[15m]), "limit", "$1", "reason", "(.*)")
              ) > 0
            ||| % {
              cluster: config.clusterLabel,
              full: metric('gracewatch_map_full_total'),
              dropped: metric('gracewatch_dropped_total', 'reason=~".+_full"'),
            },
            'for': '0m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'An agent has reached one of its limits: what is beyond is not measured.',
              description: '%s had no room {{ $value | printf "%%.0f" }} times in the last 15 minutes ({{ $labels.limit }}).' % where,
            },
          },
          {
            alert: 'GracewatchInternalErrors',
            // These begin with the first error.
            expr: |||
              sum by (%s) (
                (
                  %s
                )
                or
                (
                  %s
                )
              ) > 0
            ||| % [std.join(', ', agent), begun('gracewatch_decode_errors_total'), begun('gracewatch_kernel_updates_failed_total')],
            'for': '0m',
            labels: { severity: config.severity.advice },
            annotations: {
              summary: 'An agent could not read or could not set what its probes need.',
              description: '%s had {{ $value | printf "%%.0f" }} records that it could not decode, or containers that it could not tell to the kernel, in the last 15 minutes.' % where,
            },
          },
          {
            alert: 'GracewatchApiWatchDown',
            expr: '%s == 0' % metric('gracewatch_watch_connected'),
            'for': '10m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'An agent does not hear from the Kubernetes API: names, grace periods and reasons go missing.',
              description: '%s has had no connection for its watch of {{ $labels.resource }} for 10 minutes.' % where,
            },
          },
          {
            alert: 'GracewatchPodsUnattributed',
            expr: |||
              (
                sum by (%(by)s) (increase(%(unattributed)s[%(window)s]))
                / on (%(by)s)
                %(all)s
              ) > %(most)g
              and on (%(by)s)
              %(all)s >= %(least)d
            ||| % {
              by: std.join(', ', agent),
              unattributed: metric('gracewatch_unattributed_total'),
              all: std.strReplace(std.rstripChars(terminations, '\n'), '\n', '\n  '),
              window: config.shareWindow,
              most: config.unattributedShareMax,
              least: config.terminationsMin,
            },
            'for': '10m',
            labels: { severity: config.severity.advice },
            annotations: {
              summary: 'An agent cannot tell whose containers were terminated.',
              description: '%s did not learn in time which pod, or which container of it, {{ $value | humanizePercentage }} of the terminations of the last %s were of. They are under the workload unknown.' % [where, config.shareWindow],
            },
          },
        ],
      },
    ],
  },
}
