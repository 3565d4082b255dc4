// Alerts on workloads: how their containers were stopped.
local query = import '../query.libsonnet';

{
  local config = $._config,
  local levels = std.join(', ', query.levels(config)),
  local record(name, window, more='') = 'workload:workload_%s:increase%s%s' % [name, window, if more == '' then '' else '{%s}' % more],
  local who = '{{ $labels.namespace }}/{{ $labels.workload }} ({{ $labels.workload_kind }}), container {{ $labels.container }}',
  local times = '{{ $value | printf "%.0f" }}',
  local percent = '{{ $value | humanizePercentage }}',

  // Something that happened at least so often in the window for counts.
  local counted(expr, least) = |||
    sum by (%s) (
      %s
    ) >= %d
  ||| % [levels, expr, least],

  // The share of its stops in which this was found, once there were enough of them.
  local shared(expr, most) = |||
    (
      sum by (%(levels)s) (
        %(expr)s
      )
      /
      %(stops)s
    ) > %(most)g
    and
    %(stops)s >= %(least)d
  ||| % {
    levels: levels,
    expr: expr,
    stops: record('terminations_stopped', config.shareWindow),
    most: most,
    least: config.terminationsMin,
  },
  local finding(kind, window) = record('termination_findings', window, 'finding="%s"' % kind),

  prometheusAlerts+:: {
    groups+: [
      {
        name: 'gracewatch-terminations',
        rules: [
          {
            alert: 'TerminationStopSignalIgnored',
            expr: counted(record('termination_outcomes', config.countWindow, 'outcome="signal_ignored"'), config.signalIgnoredMin),
            'for': '5m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'A container ignores its stop signal and is killed after the whole grace period.',
              description: '%s: the kernel threw the stop signal away in %s terminations of the last %s. Each waited for the whole grace period and was then killed, with what it had in memory and in flight.' % [who, times, config.countWindow],
            },
          },
          {
            alert: 'TerminationGraceExceeded',
            expr: shared(record('termination_outcomes', config.shareWindow, 'outcome="grace_exceeded"'), config.graceExceededShareMax),
            'for': '10m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'A container handles its stop signal, but is often killed before it is done.',
              description: '%s: %s of the terminations of the last %s ended by SIGKILL at the end of the grace period, though the process had received the stop signal.' % [who, percent, config.shareWindow],
            },
          },
          {
            alert: 'TerminationPreStopHookOverran',
            expr: counted(finding('hook_overran', config.countWindow), config.hookOverranMin),
            'for': '5m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'A preStop hook uses the grace period up, so that the program is left two seconds.',
              description: '%s: in %s terminations of the last %s the preStop hook ran until the grace period was over. The stop signal came then, and SIGKILL two seconds later.' % [who, times, config.countWindow],
            },
          },
          {
            alert: 'TerminationPreStopHookFailed',
            expr: |||
              sum by (%s, handler, failure) (
                %s
              ) >= %d
            ||| % [levels, record('termination_prestop_failures', config.countWindow), config.hookFailedMin],
            'for': '5m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'A preStop hook fails, so what it should do before the stop does not happen.',
              description: '%s: the preStop hook ({{ $labels.hook }}) failed in %s terminations of the last %s ({{ $labels.failure }}).' % [who, times, config.countWindow],
            },
          },
          {
            alert: 'TerminationKilledWithoutStopSignal',
            expr: counted(record('termination_sigkills', config.countWindow, 'cause="no_stop_signal"'), config.killedWithoutStopSignalMin),
            'for': '5m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'A container is killed from outside without having been asked to stop.',
              description: '%s: SIGKILL came without a stop signal before it in %s terminations of the last %s. Kubelet and runtime do that only where the stop signal itself is SIGKILL.' % [who, times, config.countWindow],
            },
          },
          {
            alert: 'TerminationStuckAfterKill',
            expr: counted(finding('stuck_after_kill', config.countWindow), config.stuckAfterKillMin),
            'for': '0m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'A process did not die of SIGKILL for seconds: it hangs in the kernel.',
              description: '%s: in %s terminations of the last %s the main process was still there seconds after SIGKILL. It waits in the kernel, mostly for a disk or a network file system of its node.' % [who, times, config.countWindow],
            },
          },
          {
            alert: 'TerminationConnectionsReset',
            expr: shared(finding('connections_reset', config.shareWindow), config.connectionsResetShareMax),
            'for': '10m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'Connections are reset when a container is stopped: its clients see errors.',
              description: '%s: in %s of the terminations of the last %s connections were reset by the shutdown.' % [who, percent, config.shareWindow],
            },
          },
          {
            alert: 'TerminationEndpointRace',
            expr: shared(finding('endpoint_race', config.shareWindow), config.endpointRaceShareMax),
            'for': '10m',
            labels: { severity: config.severity.bad },
            annotations: {
              summary: 'Connections still come to a container that has begun to stop: its clients see 502 and refused connections.',
              description: '%s: in %s of the terminations of the last %s connections came after the stop signal, or were refused. It stops faster than the cluster takes it out of the traffic.' % [who, percent, config.shareWindow],
            },
          },
        ],
      },
    ],
  },
}
