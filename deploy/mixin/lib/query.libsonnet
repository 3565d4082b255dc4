// Expressions that are needed more than once.
{
  // The labels that name a workload's container.
  levels(config):: [config.clusterLabel, 'namespace', 'workload_kind', 'workload', 'container', 'role'],

  // A selector with the agents' own first.
  select(config, more='')::
    '{%s}' % std.join(', ', std.filter(function(part) part != '', [config.gracewatchSelector, more])),

  // By how much a counter grew within the window, also where its series began within it. A workload's counter begins with
  // its first event, and increase() sees no step from nothing to 1: the event that matters most would be missed.
  // What was not there before the window is worth what it shows. `seconds` (the same window) keeps that from being said of
  // counters that were only not scraped at that time: the agent must have started since, or have been scraped before.
  grown(config, metric, window, more='', seconds=null)::
    local vars = {
      series: metric + $.select(config, more),
      agents: $.select(config),
      window: window,
      seconds: seconds,
      lookback: config.birthLookback,
    };
    local born = 'last_over_time(%(series)s[%(window)s]) unless last_over_time(%(series)s[%(lookback)s] offset %(window)s)';
    local trusted = |||
      (
        (%s)
        and on (job, instance) (
          last_over_time(gracewatch_start_time_seconds%%(agents)s[%%(window)s]) > time() - %%(seconds)s
          or last_over_time(up%%(agents)s[%%(lookback)s] offset %%(window)s) == 1
        )
      )
      or increase(%%(series)s[%%(window)s])
    ||| % born;
    (if seconds == null then '(%s) or increase(%%(series)s[%%(window)s])' % born else trusted) % vars,

  // The same, of all agents together.
  grownBy(config, labels, metric, window, more='', seconds=null)::
    local inner = $.grown(config, metric, window, more, seconds);
    local by = 'sum by (%s) ' % std.join(', ', labels);
    if seconds == null then
      '%s(%s)' % [by, inner]
    else
      '%s(\n  %s\n)\n' % [by, std.strReplace(std.rstripChars(inner, '\n'), '\n', '\n  ')],
}
