// Which workloads terminate badly, and why.
local panels = import '../panels.libsonnet';
local query = import '../query.libsonnet';

{
  local config = $._config,
  local here = '%s=~"$cluster", namespace=~"$namespace"' % config.clusterLabel,
  local grown(labels, metric, more='', window='$__range', seconds='$__range_s') =
    query.grownBy(config, labels, metric, window, here + (if more == '' then '' else ', ' + more), seconds),
  local during(labels, metric, more='') = grown(labels, metric, more, '$__rate_interval', null),
  local outcomes = 'workload_termination_outcomes_total',
  local bad = 'outcome=~"signal_ignored|grace_exceeded|force_killed|killed_by_other|oom_killed|exited_early"',
  local workload = ['namespace', 'workload_kind', 'workload', 'container'],
  local red = [{ color: 'green', value: null }, { color: 'red', value: 1 }],

  grafanaDashboards+:: {
    'gracewatch-overview.json': panels.dashboard(
      config,
      'gracewatch-overview',
      'Overview',
      'Which workloads terminate badly, and why.',
      [panels.variable('namespace', 'Namespace', 'label_values(%s%s, namespace)' % [outcomes, query.select(config)])],
      [
        [4, 4, panels.stat(
          'Terminations',
          'Containers that ended in the time shown. Init containers that completed are among them. 0 may also mean that nothing is measured: see Agents.',
          [panels.instant(grown([], outcomes), 'terminations')],
        )],
        [4, 4, panels.stat(
          'Ended badly',
          'Terminations that ended otherwise than by the program itself within its grace period: stop signal ignored, grace exceeded, killed, out of memory, gone before it was asked. Crashes are not among them: nobody stopped them.',
          [panels.instant(grown([], outcomes, bad), 'ended badly')],
          steps=red,
        )],
        [4, 4, panels.stat(
          'Stop signals ignored',
          'Terminations whose stop signal the kernel threw away, since the program has no handler for it. Runbook: TerminationStopSignalIgnored.',
          [panels.instant(grown([], outcomes, 'outcome="signal_ignored"'), 'ignored')],
          steps=red,
        )],
        [4, 4, panels.stat(
          'Hooks failed',
          'Terminations whose preStop hook failed. How httpGet and sleep hooks ended is known only where the agent may watch Events.',
          [panels.instant(grown([], 'workload_termination_prestop_failures_total'), 'failed')],
          steps=red,
        )],
        [4, 4, panels.stat(
          'Resets by shutdowns',
          'TCP resets that were sent from the start of a termination on, without refused attempts. Resets, not connections: a peer that goes on sending gets one for each packet. 0 where the kernel does not show them: see Agents.',
          [panels.instant(grown([], 'workload_connections_reset_total', 'phase!="running", direction="sent", reason!="no_socket"'), 'resets')],
          steps=red,
        )],
        [4, 4, panels.stat(
          'Nodes measured',
          'Nodes whose agent answers. Fewer than the cluster has: GracewatchAgentMissing.',
          [panels.instant('count(count by (node) (up%s == 1))' % query.select(config, '%s=~"$cluster"' % config.clusterLabel), 'nodes')],
          colour='blue',
        )],
        [24, 9, panels.grid(
          'Workloads that terminate badly',
          'Each container of a workload with its terminations in the time shown, and what was found. The name leads to its distributions. One termination can have several findings.',
          [
            panels.table(grown(workload, outcomes)),
            panels.table(grown(workload, outcomes, bad)),
            panels.table(grown(workload, outcomes, 'outcome="signal_ignored"')),
            panels.table(grown(workload, outcomes, 'outcome="grace_exceeded"')),
            panels.table(grown(workload, 'workload_termination_findings_total', 'finding=~"hook_.*"')),
            panels.table(grown(workload, 'workload_termination_findings_total', 'finding="connections_reset"')),
            panels.table(grown(workload, 'workload_termination_findings_total', 'finding="endpoint_race"')),
          ],
          [
            { field: 'namespace', title: 'Namespace' },
            { field: 'workload_kind', title: 'Kind' },
            { field: 'workload', title: 'Workload', link: {
              title: 'Its distributions',
              url: '/d/gracewatch-workload?${datasource:queryparam}&${cluster:queryparam}&var-namespace=${__data.fields.Namespace}&var-workload=${__value.text}&${__url_time_range}',
            } },
            { field: 'container', title: 'Container' },
            { field: 'Value #A', title: 'Terminations' },
            { field: 'Value #B', title: 'Ended badly' },
            { field: 'Value #C', title: 'Signal ignored' },
            { field: 'Value #D', title: 'Grace exceeded' },
            { field: 'Value #E', title: 'Hook' },
            { field: 'Value #F', title: 'Connections reset' },
            { field: 'Value #G', title: 'Endpoint race' },
          ],
        )],
        [12, 8, panels.stacked(
          'Terminations by outcome',
          'How they ended. unknown: facts are missing, see Doubts.',
          [panels.query(during(['outcome'], outcomes), '{{outcome}}')],
        )],
        [12, 8, panels.stacked(
          'Terminations by trigger',
          'Why they were begun. Without the right to watch Events a liveness probe is unknown.',
          [panels.query(during(['trigger'], outcomes), '{{trigger}}')],
        )],
        [8, 8, panels.bars(
          'Findings',
          'The diagnoses in the time shown. One termination can have several. What each means: docs/metrics.md and the runbooks.',
          [panels.instant(grown(['finding'], 'workload_termination_findings_total'), '{{finding}}')],
        )],
        [8, 8, panels.bars(
          'SIGKILL, by why',
          'grace_expired: the time was over. no_stop_signal: it had not been asked. inside: a process of the same container. Repeated SIGKILLs are not counted again.',
          [panels.instant(grown(['cause'], 'workload_termination_sigkills_total'), '{{cause}}')],
        )],
        [8, 8, panels.bars(
          'Doubts',
          'Why verdicts are not certain. Such terminations may have been otherwise; where facts are missing they are in no distribution.',
          [panels.instant(grown(['doubt'], 'workload_termination_doubts_total'), '{{doubt}}')],
        )],
        [24, 8, panels.stacked(
          'Resets by phase and direction',
          'running: before any termination, for comparison. With the answers to refused attempts. Told every few seconds.',
          [panels.query(during(['phase', 'direction'], 'workload_connections_reset_total'), '{{phase}} {{direction}}')],
        )],
      ],
    ),
  },
}
