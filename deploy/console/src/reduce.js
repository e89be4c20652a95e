// From a series to one number (Grafana's calculations), and what a dashboard says about one field. No DOM.

const numbers = (series) => series.values.map(([, value]) => value);
const present = (series) => numbers(series).filter((value) => value != null && !Number.isNaN(value));
const sum = (values) => values.reduce((total, value) => total + value, 0);
const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);

function variance(values) {
  const mean = sum(values) / values.length;
  return sum(values.map((value) => (value - mean) ** 2)) / values.length;
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// Each has Grafana's id, the heading that Grafana gives it in a legend, and what it makes of the present values.
const CALCULATIONS = {
  lastNotNull: ['Last *', (values) => values.at(-1)],
  last: ['Last', (_, all) => all.at(-1)],
  firstNotNull: ['First *', (values) => values[0]],
  first: ['First', (_, all) => all[0]],
  min: ['Min', least],
  max: ['Max', most],
  mean: ['Mean', (values) => sum(values) / values.length],
  median: ['Median', median],
  sum: ['Total', sum],
  count: ['Count', (values) => values.length],
  range: ['Range', (values) => most(values) - least(values)],
  delta: ['Delta', (values) => sum(values.slice(1).map((value, i) => Math.max(0, value - values[i])))],
  diff: ['Difference', (values) => values.at(-1) - values[0]],
  variance: ['Variance', variance],
  stdDev: ['StdDev', (values) => Math.sqrt(variance(values))],
};

/** The calculations that stats, gauges and legends may ask for. */
export const KNOWN_CALCULATIONS = Object.freeze(Object.keys(CALCULATIONS));

/** Return the heading of a calculation. */
export const calculationTitle = (id) => CALCULATIONS[id]?.[0] ?? id;

/** Return one number for a series; NaN when it has no value. */
export function reduce(series, calculation = 'lastNotNull') {
  const values = present(series);
  if (!values.length) return NaN;
  return (CALCULATIONS[calculation] ?? CALCULATIONS.lastNotNull)[1](values, numbers(series)) ?? NaN;
}

const MATCHERS = {
  byName: (wanted, { name }) => wanted === name,
  byRegexp: (wanted, { name }) => new RegExp(String(wanted).replace(/^\/(.*)\/[a-z]*$/s, '$1')).test(name),
  byFrameRefID: (wanted, { refId }) => wanted === refId,
  byType: (wanted, { type = 'number' }) => wanted === type,
};

/** The ways in which an override may name its fields. */
export const KNOWN_MATCHERS = Object.freeze(Object.keys(MATCHERS));

/** Return the field configuration of one series or column: the panel's defaults with the overrides that hit it. */
export function fieldFor(panel, of = {}) {
  const field = structuredClone(panel.fieldConfig?.defaults ?? {});
  for (const { matcher, properties } of panel.fieldConfig?.overrides ?? []) {
    if (!MATCHERS[matcher.id]?.(matcher.options, of)) continue;
    for (const { id, value } of properties) {
      const path = id.split('.');
      const last = path.pop();
      path.reduce((at, key) => (at[key] ??= {}), field)[last] = value;
    }
  }
  return field;
}

/** Return the step that holds at a value: `{ color, value }`, or undefined where there are none. */
export function thresholdStep(field, value) {
  const { steps = [], mode } = field.thresholds ?? {};
  let compared = value;
  if (mode === 'percentage') {
    const from = field.min ?? 0;
    compared = (100 * (value - from)) / ((field.max ?? 100) - from);
  }
  return steps.findLast((step, i) => i === 0 || step.value == null || compared >= step.value);
}
