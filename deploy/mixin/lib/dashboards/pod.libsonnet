// A pod's terminations, one by one.
local panels = import '../panels.libsonnet';
local query = import '../query.libsonnet';

{
  local config = $._config,
  local here = query.select(config, '%s=~"$cluster", namespace=~"$namespace", pod=~"$pod", container=~"$container"' % config.clusterLabel),
  local who = 'namespace, pod, container, container_id',
  // The agent drops a termination's series after a while; here they count while they were scraped in the time shown.
  local last(metric, by=who) = 'max by (%s) (last_over_time(%s%s[$__range]))' % [by, metric, here],
  local row = '{{pod}} {{container}} {{container_id}}',

  grafanaDashboards+:: {
    'gracewatch-pod.json': panels.dashboard(
      config,
      'gracewatch-pod',
      'Pod',
      'The terminations of single containers: each in one line, and how its time was spent.',
      [
        panels.variable('namespace', 'Namespace', 'label_values(pod_termination_outcome%s, namespace)' % query.select(config)),
        panels.variable('pod', 'Pod', 'label_values(pod_termination_outcome%s, pod)' % query.select(config, 'namespace=~"$namespace"')),
        panels.variable('container', 'Container', 'label_values(pod_termination_outcome%s, container)' % query.select(config, 'namespace=~"$namespace", pod=~"$pod"')),
      ],
      [
        [24, 10, panels.grid(
          'Terminations',
          'The last termination of each container, as long as it was scraped in the time shown. Incomplete: facts are missing, so that it may have been otherwise. Evidence and advice in words: the Events of the pod, and /api/v1/terminations of the agent on its node.',
          [
            panels.table(last('pod_termination_outcome', who + ', outcome, trigger')),
            panels.table(last('pod_termination_duration_seconds')),
            panels.table(last('pod_termination_prestop_duration_seconds')),
            panels.table(last('pod_termination_signal_to_exit_seconds')),
            panels.table(last('pod_termination_grace_used_ratio')),
            panels.table(last('pod_termination_sigkill_used')),
            panels.table(last('pod_termination_prestop_failed')),
            panels.table('sum by (%s) (last_over_time(pod_termination_connections_reset%s[$__range]))' % [who, here]),
            panels.table(last('pod_termination_incomplete')),
          ],
          [
            { field: 'namespace', title: 'Namespace' },
            { field: 'pod', title: 'Pod', link: {
              title: 'This pod alone',
              url: '/d/gracewatch-pod?${datasource:queryparam}&${cluster:queryparam}&var-namespace=${__data.fields.Namespace}&var-pod=${__value.text}&${__url_time_range}',
            } },
            { field: 'container', title: 'Container' },
            { field: 'container_id', title: 'Id' },
            { field: 'outcome', title: 'Outcome' },
            { field: 'trigger', title: 'Trigger' },
            { field: 'Value #B', title: 'Whole', unit: 's' },
            { field: 'Value #C', title: 'Hook', unit: 's' },
            { field: 'Value #D', title: 'Signal to exit', unit: 's' },
            { field: 'Value #E', title: 'Share of grace', unit: 'percentunit' },
            { field: 'Value #F', title: 'SIGKILL', unit: 'bool_yes_no' },
            { field: 'Value #G', title: 'Hook failed', unit: 'bool_yes_no' },
            { field: 'Value #H', title: 'Resets' },
            { field: 'Value #I', title: 'Incomplete', unit: 'bool_yes_no' },
          ],
        )],
        [12, 10, panels.bars('Whole termination', 'From the deletion, the hook or the stop signal, whichever was seen first, to the exit.', [panels.instant('topk(20, %s)' % last('pod_termination_duration_seconds'), row)], 's')],
        [12, 10, panels.bars('Stop signal to exit', 'How long the program itself took. At the grace period it was killed.', [panels.instant('topk(20, %s)' % last('pod_termination_signal_to_exit_seconds'), row)], 's')],
        [12, 9, panels.bars('preStop hook', 'How long the hook ran; inferred for httpGet and sleep.', [panels.instant('topk(20, %s)' % last('pod_termination_prestop_duration_seconds', who + ', handler, method'), row + ' {{handler}} {{method}}')], 's')],
        [12, 9, panels.bars('Left for the stop signal', "What the hook left of the grace period, by the kubelet's rule. 2 s is its floor.", [panels.instant('bottomk(20, %s)' % last('pod_termination_grace_after_prestop_seconds'), row)], 's')],
        [12, 9, panels.bars('Connections at the stop signal and after', 'open: established when the stop signal came. accepted after, refused: what came later. From the node itself, such as probes, is left out.', [
          panels.instant('topk(10, %s > 0)' % last('pod_termination_connections_at_stop_signal'), row + ' open'),
          panels.instant('topk(10, %s > 0)' % last('pod_termination_connections_accepted_after_stop_signal'), row + ' accepted after'),
          panels.instant('topk(10, %s > 0)' % last('pod_termination_connections_at_exit'), row + ' open at exit'),
        ])],
        [12, 9, panels.bars('Until it was out of the endpoints, and the last connection', 'endpoints: until the EndpointSlices did not show it as ready any more; rules of kube-proxy and load balancers follow later. last connection: when the last one came, accepted or refused.', [
          panels.instant('topk(10, %s)' % last('pod_termination_endpoint_lag_seconds'), row + ' endpoints'),
          panels.instant('topk(10, %s)' % last('pod_termination_last_arrival_seconds'), row + ' last connection'),
        ], 's')],
      ],
    ),
  },
}
