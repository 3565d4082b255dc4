// One workload: how long its stops take, what they cost, and what to change.
local panels = import '../panels.libsonnet';
local query = import '../query.libsonnet';

{
  local config = $._config,
  local here = '%s=~"$cluster", namespace=~"$namespace", workload=~"$workload", container=~"$container"' % config.clusterLabel,
  // What is the pod's as a whole has no container.
  local whole = '%s=~"$cluster", namespace=~"$namespace", workload=~"$workload"' % config.clusterLabel,
  local of(where, labels, metric, more, window, seconds) =
    query.grownBy(config, labels, metric, window, where + (if more == '' then '' else ', ' + more), seconds),
  local grown(labels, metric, more='') = of(here, labels, metric, more, '$__range', '$__range_s'),
  local during(labels, metric, more='') = of(here, labels, metric, more, '$__rate_interval', null),
  local buckets(metric) = panels.instant(grown(['le'], metric + '_bucket')),
  local quantiles(metric) = [
    panels.query('histogram_quantile(%s, %s)' % [share[0], during(['le'], metric + '_bucket')], share[1], exemplar=true)
    for share in [['0.5', 'half'], ['0.99', '99 %']]
  ],
  local quantile(share, metric) = 'histogram_quantile(%s, %s)' % [share, grown(['le'], metric + '_bucket')],
  local gauge(metric) = 'max by (namespace, workload, container, node) (%s)' % (metric + query.select(config, here)),

  grafanaDashboards+:: {
    'gracewatch-workload.json': panels.dashboard(
      config,
      'gracewatch-workload',
      'Workload',
      'How the containers of a workload stop: how long each step takes, which connections it costs, and what to change.',
      [
        panels.variable('namespace', 'Namespace', 'label_values(workload_termination_outcomes_total%s, namespace)' % query.select(config)),
        panels.variable('workload', 'Workload', 'label_values(workload_termination_outcomes_total%s, workload)' % query.select(config, 'namespace=~"$namespace"')),
        panels.variable('container', 'Container', 'label_values(workload_termination_outcomes_total%s, container)' % query.select(config, 'namespace=~"$namespace", workload=~"$workload"')),
      ],
      [
        [4, 4, panels.stat('Terminations', 'Containers of the workload that ended in the time shown, however they did.', [panels.instant(grown([], 'workload_termination_outcomes_total'), 'terminations')])],
        [4, 4, panels.stat('Signal to exit, 99 %', 'How long the program takes from its stop signal to its exit, in 99 % of the stops. Ends at the grace period where SIGKILL ended it: such a program would have needed longer. As exact as the buckets are.', [panels.instant(quantile('0.99', 'workload_termination_signal_to_exit_seconds'), '99 %')], 's', 'blue')],
        [4, 4, panels.stat('preStop hook, 99 %', 'How long the hook ran in 99 % of the stops with one.', [panels.instant(quantile('0.99', 'workload_termination_prestop_duration_seconds'), '99 %')], 's', 'blue')],
        [4, 4, panels.stat('Share of grace, 99 %', 'How much of the grace period the whole stop takes, in 99 % of the stops. Above 1 it was over.', [panels.instant(quantile('0.99', 'workload_termination_grace_used_ratio'), '99 %')], 'percentunit', steps=[{ color: 'green', value: null }, { color: 'orange', value: 0.75 }, { color: 'red', value: 1 }])],
        [4, 4, panels.stat('Advised preStop sleep', 'The sleep that would have covered the last connection that came in 99 % of the stops. Of the node that advises most. No value until a node has seen 20 stops of the workload.', [panels.instant('max(%s)' % gauge('workload_termination_recommended_prestop_sleep_seconds'), 'sleep')], 's', 'blue') + { fieldConfig+: { defaults+: { noValue: 'not yet' } } }],
        [4, 4, panels.stat('Advised grace period', 'The grace period that would have sufficed for 99 % of the stops with that sleep, and a margin. No value until a node has seen 20 stops, or while so many are killed that it is not known what they need.', [panels.instant('max(%s)' % gauge('workload_termination_recommended_grace_seconds'), 'grace')], 's', 'blue') + { fieldConfig+: { defaults+: { noValue: 'not yet' } } }],
        [12, 8, panels.stacked('Outcomes', 'How the containers ended.', [panels.query(during(['outcome'], 'workload_termination_outcomes_total'), '{{outcome}}')])],
        [12, 8, panels.bars('Findings', 'The diagnoses in the time shown, each with its runbook where there is an alert for it.', [panels.instant(grown(['finding'], 'workload_termination_findings_total'), '{{finding}}')])],
        [24, 1, panels.row('How long each step takes')],
        [8, 9, panels.distribution('preStop hook', "Number of stops by how long the hook ran. httpGet and sleep hooks are inferred: from the deletion, or the kubelet's connection, to the stop signal. Complete reports only.", buckets('workload_termination_prestop_duration_seconds'), 's')],
        [8, 9, panels.distribution('Stop signal to exit', 'Number of stops by how long the program took. A heap at the grace period is programs that were killed. Complete reports only.', buckets('workload_termination_signal_to_exit_seconds'), 's')],
        [8, 9, panels.distribution('Share of the grace period', 'Number of stops by which share of the configured grace period the whole stop took. Above 1: killed, a hook that overran, or a sidecar that waited. Complete reports only.', buckets('workload_termination_grace_used_ratio'), 'percentunit')],
        [12, 8, panels.series('Stop signal to exit', 'Half and 99 % of the stops at each time; gaps where there were none. The dots are exemplars and name a pod each.', quantiles('workload_termination_signal_to_exit_seconds'), 's')],
        [12, 8, panels.series('Whole termination', "From the deletion, the hook or the stop signal, whichever was seen first, to the exit. A sidecar's has the wait for the containers before it in it.", quantiles('workload_termination_duration_seconds'), 's')],
        [24, 1, panels.row('Connections')],
        [12, 8, panels.stacked('Resets by phase', 'hook: from the deletion on. stopping: from the stop signal. closing: after the exit. running: before, for comparison. Sent and received.', [panels.query(of(whole, ['phase', 'direction'], 'workload_connections_reset_total', '', '$__rate_interval', null), '{{phase}} {{direction}}')])],
        [12, 8, panels.bars("Resets by the kernel's reason", "Of what was sent in the time shown: tcp_abort_on_close and the like are the program's own death with data unread, no_socket is an attempt that was refused. unknown where the kernel does not tell: see Agents.", [panels.instant(of(whole, ['phase', 'reason'], 'workload_connections_reset_total', 'direction="sent"', '$__range', '$__range_s'), '{{phase}} {{reason}}')])],
        [12, 8, panels.bars('Connections at a stop', 'at exit: still established when the program exited. finished: ended by a FIN between stop signal and exit. accepted after: came after the stop signal. refused: came when nobody listened.', [
          panels.instant(grown([], 'workload_termination_connections_at_exit_total'), 'at exit'),
          panels.instant(grown([], 'workload_termination_connections_finished_total'), 'finished'),
          panels.instant(grown([], 'workload_termination_connections_accepted_after_stop_signal_total'), 'accepted after'),
          panels.instant(of(whole, [], 'workload_termination_connections_refused_total', '', '$__range', '$__range_s'), 'refused'),
        ])],
        [12, 8, panels.distribution('Last connection that came', 'Number of stops by when the last connection came, from the start of the termination. A preStop sleep of this length would have served it. Stops to which none came are not in it. Scrapes count like any other.', buckets('workload_termination_last_arrival_seconds'), 's')],
      ],
    ),
  },
}
