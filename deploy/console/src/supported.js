// What this page knows of Grafana's dashboards, and what a given dashboard uses beyond that. No DOM.
// A test asks it about every shipped dashboard: who uses something new there adds it to the page, or sees the test fail.
import { KNOWN_VARIABLES } from './choices.js';
import { KNOWN_COLOUR_MODES, KNOWN_SCHEMES } from './palette.js';
import { KNOWN_CALCULATIONS, KNOWN_MATCHERS } from './reduce.js';
import { labelValuesQuery, queryText } from './template.js';
import { isKnownUnit } from './units.js';

const ANY = null;
const REDUCE = { calcs: KNOWN_CALCULATIONS, fields: [''], values: [false] };
const LEGEND = {
  calcs: KNOWN_CALCULATIONS,
  displayMode: ['list', 'table', 'hidden'],
  placement: ['bottom', 'right'],
  showLegend: ANY,
  values: ['percent', 'value'],
};
const TOOLTIP = {
  mode: ['single', 'multi'],
  sort: ['none', 'desc'],
  showColorScale: [false],
  yHistogram: ANY,
  hideZeros: [false],
  maxHeight: ANY,
  maxWidth: ANY,
};
const SIZES = { minVizHeight: ANY, maxVizHeight: ANY, minVizWidth: ANY, sizing: ANY, orientation: ANY };

// Per kind of panel: every option, with the values that are drawn as Grafana draws them; ANY where none matters here.
const OPTIONS = {
  stat: {
    colorMode: ['value', 'none'],
    graphMode: ['area', 'none'],
    justifyMode: ANY,
    orientation: ANY,
    percentChangeColorMode: ANY,
    reduceOptions: REDUCE,
    showPercentChange: [false],
    textMode: ['auto', 'value', 'value_and_name'],
    wideLayout: ANY,
  },
  timeseries: { legend: LEGEND, tooltip: TOOLTIP },
  heatmap: {
    calculate: [false],
    cellGap: ANY,
    color: {
      exponent: ANY,
      fill: ANY,
      mode: ['scheme'],
      reverse: [false],
      scale: ['exponential'],
      scheme: KNOWN_SCHEMES,
      steps: ANY,
    },
    exemplars: ANY,
    filterValues: ANY,
    legend: { show: ANY },
    rowsFrame: ANY,
    showValue: ['auto', 'never'],
    tooltip: TOOLTIP,
    yAxis: { axisPlacement: ['left'], reverse: [false], unit: ANY },
  },
  bargauge: {
    ...SIZES,
    orientation: ['horizontal', 'auto'],
    displayMode: ['gradient', 'basic', 'lcd'],
    namePlacement: ['auto', 'left'],
    legend: { ...LEGEND, showLegend: [false] },
    reduceOptions: REDUCE,
    showUnfilled: [true],
    valueMode: ['color'],
  },
  gauge: { ...SIZES, reduceOptions: REDUCE, showThresholdLabels: [false], showThresholdMarkers: ANY },
  piechart: {
    displayLabels: [],
    legend: LEGEND,
    orientation: ANY,
    pieType: ['donut', 'pie'],
    reduceOptions: REDUCE,
    tooltip: TOOLTIP,
  },
  table: {
    cellHeight: ANY,
    footer: { show: [false], countRows: ANY, fields: ANY, reducer: ANY },
    frameIndex: [0],
    showHeader: [true],
    showTypeIcons: ANY,
    sortBy: ANY,
  },
  'state-timeline': {
    alignValue: ANY,
    legend: { ...LEGEND, showLegend: [false] },
    mergeValues: [true],
    perPage: ANY,
    rowHeight: ANY,
    showValue: ['auto', 'never'],
    tooltip: TOOLTIP,
  },
  text: { mode: ['markdown', 'code'], content: ANY, code: ANY },
};

const HIDDEN = { legend: ANY, tooltip: ANY, viz: ANY };
const CUSTOM = {
  align: ANY,
  axisPlacement: ['auto'],
  cellOptions: { type: ['auto', 'color-text'] },
  drawStyle: ['line', 'bars', 'points'],
  fillOpacity: ANY,
  hidden: ANY,
  hideFrom: HIDDEN,
  inspect: [false],
  lineInterpolation: ['linear', 'smooth', 'stepAfter', 'stepBefore'],
  lineStyle: { fill: ['solid', 'dash'], dash: ANY },
  lineWidth: ANY,
  pointSize: ANY,
  scaleDistribution: { type: ['linear'] },
  showPoints: ['auto', 'always', 'never'],
  spanNulls: [true, false],
  stacking: { group: ANY, mode: ['none', 'normal'] },
  thresholdsStyle: { mode: ['off', 'dashed', 'line'] },
};
const FIELD = {
  color: { mode: KNOWN_COLOUR_MODES, fixedColor: ANY, seriesBy: ANY },
  custom: CUSTOM,
  decimals: ANY,
  displayName: ANY,
  links: ANY,
  mappings: ANY,
  max: ANY,
  min: ANY,
  noValue: ANY,
  thresholds: { mode: ['absolute', 'percentage'], steps: ANY },
  unit: ANY,
};
const PANEL = [
  'datasource', 'description', 'fieldConfig', 'gridPos', 'id', 'interval', 'links', 'maxDataPoints', 'options', 'pluginVersion',
  'repeatDirection', 'targets', 'title', 'transformations', 'transparent', 'type',
]; // prettier-ignore

/** The kinds of panels that are drawn. */
export const KNOWN_PANELS = Object.freeze(Object.keys(OPTIONS));

/** Return what a dashboard uses that this page does not know, as sentences; none is what tests ask for. */
export function unknownFeatures(dashboard) {
  const found = [];
  for (const variable of dashboard.templating?.list ?? []) {
    const where = `variable ${variable.name}`;
    if (!KNOWN_VARIABLES.includes(variable.type)) found.push(`${where}: type ${variable.type}`);
    if (variable.type === 'query' && !labelValuesQuery(queryText(variable)))
      found.push(`${where}: query ${queryText(variable)}`);
  }
  if (dashboard.annotations?.list?.length) found.push('annotations');
  const panels = (dashboard.panels ?? []).flatMap((panel) => (panel.type === 'row' ? (panel.panels ?? []) : [panel]));
  return [
    ...found,
    ...panels.flatMap((panel) => unknownOfPanel(panel).map((what) => `panel “${panel.title}”: ${what}`)),
  ];
}

function unknownOfPanel(panel) {
  if (!KNOWN_PANELS.includes(panel.type)) return [`type ${panel.type}`];
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  const found = Object.keys(panel)
    .filter((name) => !PANEL.includes(name))
    .map((name) => `property ${name}`);
  if (panel.transformations?.length) found.push('transformations');
  found.push(...unknownIn(panel.options ?? {}, OPTIONS[panel.type], 'options'));
  found.push(...unknownOfField(defaults, 'defaults'));
  for (const { matcher, properties } of overrides) {
    if (!KNOWN_MATCHERS.includes(matcher.id)) found.push(`override by ${matcher.id}`);
    for (const { id, value } of properties) {
      const field = id.split('.').reduceRight((inner, key) => ({ [key]: inner }), value);
      found.push(...unknownOfField(field, 'override'));
    }
  }
  for (const { expr, format = 'time_series', refId } of panel.targets ?? []) {
    if (!expr) found.push(`query ${refId} has no expression`);
    if (!['time_series', 'table', 'heatmap'].includes(format)) found.push(`query ${refId}: format ${format}`);
  }
  return found;
}

function unknownOfField(field, where) {
  const found = unknownIn(field, FIELD, where);
  if (!isKnownUnit(field.unit)) found.push(`${where}.unit ${field.unit}`);
  for (const { type } of field.mappings ?? [])
    if (!['value', 'range', 'special'].includes(type)) found.push(`mapping ${type}`);
  return found;
}

/** Compare values with what is known of them: a list of allowed ones, an object of further names, or ANY. */
function unknownIn(value, known, path) {
  if (known === ANY) return [];
  if (Array.isArray(known)) {
    return [value]
      .flat()
      .filter((one) => !known.includes(one))
      .map((one) => `${path} ${JSON.stringify(one)}`);
  }
  return Object.entries(value ?? {}).flatMap(([name, inner]) =>
    name in known ? unknownIn(inner, known[name], `${path}.${name}`) : [`${path}.${name}`],
  );
}
