// Recording rules: what happened to each workload in the alerts' windows, with all agents together.
local query = import 'query.libsonnet';

local windows(config) = [
  { name: config.countWindow, seconds: config.countWindowSeconds },
  { name: config.shareWindow, seconds: config.shareWindowSeconds },
];

local counters = [
  { metric: 'workload_termination_outcomes_total', record: 'outcomes', labels: ['outcome', 'trigger'], more: '' },
  { metric: 'workload_termination_findings_total', record: 'findings', labels: ['finding'], more: '' },
  { metric: 'workload_termination_sigkills_total', record: 'sigkills', labels: ['cause'], more: '' },
  { metric: 'workload_termination_prestop_failures_total', record: 'prestop_failures', labels: ['handler', 'failure'], more: '' },
];

{
  local config = $._config,
  local levels = query.levels(config),

  prometheusRules+:: {
    groups+: [
      {
        name: 'gracewatch-%s.rules' % window.name,
        interval: '1m',
        rules: [
          {
            record: 'workload:workload_termination_%s:increase%s' % [counter.record, window.name],
            expr: query.grownBy(config, levels + counter.labels, counter.metric, window.name, counter.more, window.seconds),
          }
          for counter in counters
        ] + [
          {
            // What the program was asked to do and had time for, be it too little: the whole that shares are of.
            record: 'workload:workload_terminations_stopped:increase%s' % window.name,
            expr: |||
              sum by (%s) (
                workload:workload_termination_outcomes:increase%s{outcome=~"graceful|grace_exceeded|signal_ignored|exited_early"}
              )
            ||| % [std.join(', ', levels), window.name],
          },
          {
            record: 'workload:workload_connections_reset_shutdown:increase%s' % window.name,
            expr: query.grownBy(
              config,
              levels + ['direction'],
              'workload_connections_reset_total',
              window.name,
              'phase!="running", reason!="no_socket"',
              window.seconds,
            ),
          },
        ],
      }
      for window in windows(config)
    ],
  },
}
