// Alerts, recording rules and dashboards of Gracewatch, for Prometheus and Grafana.
(import 'config.libsonnet') +
(import 'lib/rules.libsonnet') +
(import 'lib/alerts/terminations.libsonnet') +
(import 'lib/alerts/agent.libsonnet') +
(import 'lib/alerts/runbooks.libsonnet') +
(import 'lib/dashboards.libsonnet')
