// Gives each alert the address of its runbook.
{
  local config = $._config,
  prometheusAlerts+:: {
    groups: [
      group {
        rules: [
          rule { annotations+: { runbook_url: config.runbookUrlPattern % rule.alert } }
          for rule in group.rules
        ],
      }
      for group in super.groups
    ],
  },
}
