// The dashboards, by the names of their files.
(import 'dashboards/overview.libsonnet') +
(import 'dashboards/workload.libsonnet') +
(import 'dashboards/pod.libsonnet') +
(import 'dashboards/agents.libsonnet')
