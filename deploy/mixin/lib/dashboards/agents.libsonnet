// Are the agents well, and what did they miss?
local panels = import '../panels.libsonnet';
local query = import '../query.libsonnet';

{
  local config = $._config,
  local here = query.select(config, '%s=~"$cluster", node=~"$node"' % config.clusterLabel),
  local sum(by, metric) = 'sum by (%s) (%s%s)' % [by, metric, here],
  local rate(by, metric) = 'sum by (%s) (rate(%s%s[$__rate_interval]))' % [by, metric, here],
  local grown(by, metric, more='') = 'sum by (%s) (increase(%s[$__range]))' % [by, metric + query.select(config, '%s=~"$cluster", node=~"$node"%s' % [config.clusterLabel, more])],
  local must(title, description, expr) =
    panels.stat(title, description, [panels.instant(expr, 'agents')], steps=[{ color: 'green', value: null }, { color: 'red', value: 1 }]),

  grafanaDashboards+:: {
    'gracewatch-agents.json': panels.dashboard(
      config,
      'gracewatch-agents',
      'Agents',
      'Is everything measured, and may what is said be trusted? Look here before you believe a 0 elsewhere.',
      [panels.variable('node', 'Node', 'label_values(gracewatch_build_info%s, node)' % query.select(config))],
      [
        [4, 4, panels.stat('Agents that answer', 'Agents whose last scrape succeeded.', [panels.instant('count(up%s == 1)' % here, 'agents')], colour='blue')],
        [4, 4, must('Down', 'Agents that Prometheus knows and that do not answer. Runbook: GracewatchAgentDown.', 'count(up%s == 0)' % here)],
        [4, 4, must('Not ready', 'Agents whose first scan of the cgroup tree has not ended. Runbook: GracewatchAgentNotReady.', 'count(gracewatch_scans_total%s == 0)' % here)],
        [4, 4, must('Probes not attached', 'Probes that a kernel does not take, of all agents. What they would tell is missing there. Runbook: GracewatchProbeNotAttached.', 'count(gracewatch_probe_attached%s == 0)' % here)],
        [4, 4, must('Records lost', 'Records of the kernel that found no room, in the time shown. Reports that were open then are incomplete. Runbook: GracewatchEventsLost.', 'sum(increase(gracewatch_records_lost_total%s[$__range]))' % here)],
        [4, 4, must('Watches down', 'Watches of the Kubernetes API that do not deliver. Runbook: GracewatchApiWatchDown.', 'count(gracewatch_watch_connected%s == 0)' % here)],
        [24, 8, panels.grid(
          'Agents',
          'Each agent: its version, since when it measures, what it follows, and how long its last scan took.',
          [
            panels.table('max by (node, version) (gracewatch_build_info%s)' % here),
            panels.table('time() - max by (node) (gracewatch_start_time_seconds%s)' % here),
            panels.table(sum('node', 'gracewatch_containers_tracked')),
            panels.table(sum('node', 'gracewatch_pods_known')),
            panels.table(sum('node', 'gracewatch_terminations_open')),
            panels.table(sum('node', 'gracewatch_scan_duration_seconds')),
            panels.table(sum('node', 'gracewatch_scan_cgroups')),
          ],
          [
            { field: 'node', title: 'Node' },
            { field: 'version', title: 'Version' },
            { field: 'Value #B', title: 'Measures for', unit: 's' },
            { field: 'Value #C', title: 'Containers' },
            { field: 'Value #D', title: 'Pods known' },
            { field: 'Value #E', title: 'Terminations open' },
            { field: 'Value #F', title: 'Last scan', unit: 's' },
            { field: 'Value #G', title: 'Cgroups scanned' },
          ],
        )],
        [12, 8, panels.series('Records from the kernel', 'Records a second, by kind. Signals between processes of one container are counted and not told.', [panels.query(rate('kind', 'gracewatch_records_total'), '{{kind}}')], 'ops')],
        [12, 8, panels.series('Records lost', 'Records that found no room in the ring buffer. Anything but 0 is worth a look: --ring-bytes.', [panels.query('sum by (node) (increase(gracewatch_records_lost_total%s[$__rate_interval]))' % here, '{{node}}')])],
        [12, 8, panels.series('Containers followed, terminations open', 'A sum that only grows means that ends are missed.', [
          panels.query(sum('kind', 'gracewatch_containers_tracked'), 'containers of {{kind}}'),
          panels.query('sum(gracewatch_terminations_open%s)' % here, 'terminations open'),
        ])],
        [12, 8, panels.bars('What was missed', "In the time shown: records lost, maps full, things dropped at a limit, terminations without a pod or a container's name.", [
          panels.instant(grown('kind', 'gracewatch_records_lost_total'), 'record lost: {{kind}}'),
          panels.instant(grown('map', 'gracewatch_map_full_total'), 'map full: {{map}}'),
          panels.instant(grown('reason', 'gracewatch_dropped_total'), 'dropped: {{reason}}'),
          panels.instant(grown('reason', 'gracewatch_unattributed_total'), 'unattributed: {{reason}}'),
        ])],
        [8, 8, panels.bars('Probes', '1: attached. 0: this kernel does not take it, see docs/kernels.md. The least of all nodes.', [panels.instant('min by (probe) (gracewatch_probe_attached%s)' % here, '{{probe}}')])],
        [8, 8, panels.bars('TCP features that the kernel offers', '0: not available on some node, and the numbers of connections have a 0 for it there. docs/connections.md.', [panels.instant('min by (feature) (gracewatch_tcp_feature_available%s)' % here, '{{feature}}')])],
        [8, 8, panels.bars('Watches of the Kubernetes API', '1: delivers. Absent: not watched, by option or for want of a right.', [panels.instant('min by (resource) (gracewatch_watch_connected%s)' % here, '{{resource}}')])],
        [8, 8, panels.bars('Requests to the Kubernetes API that failed', 'In the time shown. forbidden: a right is missing, see docs/install.md.', [panels.instant(query.grownBy(config, ['resource', 'reason'], 'gracewatch_api_errors_total', '$__range', '%s=~"$cluster", node=~"$node"' % config.clusterLabel, '$__range_s'), '{{resource}} {{reason}}')])],
        [8, 8, panels.bars('Events put on pods', 'sent; dropped: too many in a short time; failed: the API did not take them.', [panels.instant(grown('result', 'gracewatch_kubernetes_events_total'), '{{result}}')])],
        [8, 8, panels.series('Time in the kernel programs', 'Seconds of a processor a second. Only counted while sysctl kernel.bpf_stats_enabled is 1; else it is flat or missing.', [panels.query(rate('program', 'gracewatch_program_run_seconds_total'), '{{program}}')], 'percentunit')],
      ],
    ),
  },
}
