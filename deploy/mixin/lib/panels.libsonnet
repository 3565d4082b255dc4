// The parts that dashboards are made of: panels, their queries, variables. Grafana's JSON model, and no more of it than is used.
{
  datasource:: { type: 'prometheus', uid: '${datasource}' },

  // A query; `legend` names its series.
  query(expr, legend='__auto', format='time_series', instant=false, exemplar=false):: {
    datasource: $.datasource,
    editorMode: 'code',
    expr: expr,
    legendFormat: legend,
    format: format,
    instant: instant,
    range: !instant,
    exemplar: exemplar,
  },
  instant(expr, legend='__auto', format='time_series'):: $.query(expr, legend, format, instant=true),
  table(expr):: $.query(expr, format='table', instant=true),

  local panel(type, title, description, queries, unit, options, custom={}, more={}) = {
    type: type,
    title: title,
    description: description,
    datasource: $.datasource,
    targets: [queries[index] { refId: std.char(65 + index) } for index in std.range(0, std.length(queries) - 1)],
    fieldConfig: { defaults: { unit: unit, custom: custom }, overrides: [] },
    options: options,
  } + more,

  stat(title, description, queries, unit='short', colour='text', steps=null)::
    panel('stat', title, description, queries, unit, {
      reduceOptions: { calcs: ['lastNotNull'], values: false },
      colorMode: if steps == null then 'none' else 'value',
      graphMode: 'none',
      textMode: 'auto',
    }) + {
      fieldConfig+: { defaults+: {
        // Without an event there is no series, and that is no gap in what is known.
        noValue: '0',
        thresholds: { mode: 'absolute', steps: if steps == null then [{ color: colour, value: null }] else steps },
      } },
    },

  series(title, description, queries, unit='short')::
    panel(
      'timeseries',
      title,
      description,
      queries,
      unit,
      { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
      { fillOpacity: 10, showPoints: 'auto', spanNulls: false },
    ),

  // Counts on top of each other.
  stacked(title, description, queries, unit='short')::
    $.series(title, description, queries, unit) + {
      fieldConfig+: { defaults+: { min: 0, custom: { drawStyle: 'bars', fillOpacity: 80, lineWidth: 0, stacking: { mode: 'normal', group: 'A' } } } },
    },

  bars(title, description, queries, unit='short')::
    panel('bargauge', title, description, queries, unit, {
      orientation: 'horizontal',
      displayMode: 'basic',
      showUnfilled: false,
      reduceOptions: { calcs: ['lastNotNull'], values: false },
    }) + { fieldConfig+: { defaults+: { min: 0, thresholds: { mode: 'absolute', steps: [{ color: 'blue', value: null }] } } } },

  // How often what length: the buckets of a classic histogram. Prometheus' are cumulative, and Grafana takes them apart.
  distribution(title, description, query, unit)::
    $.bars(title, description, [query { format: 'heatmap', legendFormat: '{{le}}' }], 'short') + {
      // In which unit the borders are, for whoever draws them.
      fieldConfig+: { defaults+: { displayName: '≤ ${__field.name} ' + (if unit == 's' then 's' else if unit == 'percentunit' then 'of the grace period' else unit) } },
    },

  // Columns: the name of a field, its title, unit, links.
  grid(title, description, queries, columns)::
    panel('table', title, description, queries, 'short', { cellHeight: 'sm', showHeader: true }) + {
      transformations: [
        { id: 'merge', options: {} },
        {
          id: 'organize',
          options: {
            includeByName: { [column.field]: true for column in columns },
            indexByName: { [columns[index].field]: index for index in std.range(0, std.length(columns) - 1) },
            renameByName: { [column.field]: column.title for column in columns },
          },
        },
      ],
      fieldConfig+: { overrides: [
        {
          matcher: { id: 'byName', options: column.title },
          properties:
            (if std.objectHas(column, 'unit') then [{ id: 'unit', value: column.unit }] else []) +
            (if std.objectHas(column, 'link') then [{ id: 'links', value: [column.link] }] else []),
        }
        for column in columns
        if std.objectHas(column, 'unit') || std.objectHas(column, 'link')
      ] },
    },

  row(title):: { type: 'row', title: title, collapsed: false, panels: [] },

  // A variable whose values are those of a label.
  variable(name, label, query, all=true):: {
    type: 'query',
    name: name,
    label: label,
    datasource: $.datasource,
    query: { query: query, refId: 'values' },
    definition: query,
    refresh: 2,
    sort: 1,
    includeAll: all,
    multi: all,
    allValue: if all then '.*' else null,
    current: if all then { text: 'All', value: '$__all' } else {},
  },

  // Puts panels into rows of 24 columns: [[width, height, panel] …] from left to right, then the next line.
  lay(parts)::
    local place(state, part) =
      local width = part[0], height = part[1];
      local fits = state.x + width <= 24;
      local x = if fits then state.x else 0;
      local y = if fits then state.y else state.y + state.height;
      {
        x: x + width,
        y: y,
        height: if fits then std.max(state.height, height) else height,
        panels: state.panels + [part[2] { id: std.length(state.panels) + 1, gridPos: { x: x, y: y, w: width, h: height } }],
      };
    std.foldl(place, parts, { x: 0, y: 0, height: 0, panels: [] }).panels,

  dashboard(config, uid, title, description, variables, parts):: {
    uid: uid,
    title: 'Gracewatch / ' + title,
    description: description,
    tags: config.dashboardTags,
    schemaVersion: 42,
    version: 1,
    editable: false,
    graphTooltip: 1,
    timezone: 'browser',
    time: { from: config.dashboardFrom, to: 'now' },
    refresh: config.dashboardRefresh,
    annotations: { list: [] },
    templating: { list: [
      { type: 'datasource', name: 'datasource', label: 'Data source', query: 'prometheus', refresh: 1, current: {} },
      $.variable('cluster', 'Cluster', 'label_values(gracewatch_build_info%s, %s)' % ['{%s}' % config.gracewatchSelector, config.clusterLabel]),
    ] + variables },
    links: [
      {
        type: 'dashboards',
        title: 'Gracewatch',
        tags: [config.dashboardTags[0]],
        asDropdown: true,
        includeVars: true,
        keepTime: true,
      },
    ] + (
      // A relative address would lead into Grafana.
      if std.startsWith(config.runbookUrlPattern, 'http') then
        [{ type: 'link', title: 'Runbooks', icon: 'doc', url: config.runbookUrlPattern % 'README', targetBlank: true }]
      else []
    ),
    panels: $.lay(parts),
  },
}
