// The small chart of an alert: the value that its rule compares, and what it is compared with, around the time it began.
import { stepSeconds } from './time.js';
import { comparisonsOf, constantOf, isAbout } from './promql.js';

const LEAST_BEFORE_S = 120;
const MOST_BEFORE_S = 1800;
const POINTS = 120;

// Where the left side of a rule compares nothing, the limit stands deeper inside: here is which series it is.
const LIMITS = {
  HighInferenceLatency: 'model:model_inference_sla_seconds:max',
  InferenceBatchingMisconfigured: '0.3',
  InferenceHostBound: '0.3',
};
// How the values of an alert are written; the rest are plain numbers.
const UNITS = [
  [/(^|[_:])ratio|:canary_(errors:difference|latency:ks)$/, 'percentunit'],
  [/:p\d+_rate|_seconds(:(max|min|avg|last))?$/, 's'],
  [/_bytes/, 'bytes'],
  [/celsius|_TEMP/i, 'celsius'],
];

/** Return the unit in which the value of an expression is written: that of the first series it names. */
export function unitOf(expression) {
  const names =
    expression.replace(/"[^"]*"|\{[^}]*\}|\b(by|without|on|ignoring)\s*\([^)]*\)/g, ' ').match(/[a-zA-Z_:][\w:]*/g) ??
    [];
  const name =
    names.find(
      (one) => /[_:]/.test(one) && !/^(histogram_quantile|\w+_over_time|clamp_\w+|label_replace)$/.test(one),
    ) ?? '';
  return UNITS.find(([pattern]) => pattern.test(name))?.[1] ?? 'short';
}

/**
 * Return a panel and its series for one alert; null when nothing of the rule's value is left.
 *
 * @param {{ name: string, query: string }} rule
 * @param {{ labels: Record<string, string>, activeAt: string }} alert
 */
export async function alertChart(rule, alert, { prometheus, scrapeS, now, signal }) {
  const range = rangeAround(Date.parse(alert.activeAt) / 1000, now / 1000, rule.duration ?? 0, scrapeS);
  for (const { value, threshold } of comparisonsOf(rule.query)) {
    const series = about(await prometheus.range(value, range, signal), alert.labels);
    if (!series.length) continue;
    const limit = threshold ?? LIMITS[rule.name] ?? null;
    const shown = [...named(series, 'value'), ...(await limits(limit, alert, { prometheus, range, signal }))];
    return { panel: panelOf(rule, value, shown), range, series: shown };
  }
  return null;
}

/**
 * Return the range of the chart: four times as long before the alert began as it waits to fire, up to this moment.
 *
 * It ends now and at no round time, so that the last point is the value that fires.
 */
export function rangeAround(sinceS, nowS, waitS, scrapeS) {
  const before = Math.min(MOST_BEFORE_S, Math.max(LEAST_BEFORE_S, 4 * waitS));
  const end = Math.floor(nowS / scrapeS) * scrapeS;
  const length = end - (sinceS - before);
  const step = stepSeconds(length * 1000, POINTS, scrapeS);
  return { start: end - Math.ceil(length / step) * step, end, step };
}

const about = (series, labels) => series.filter((one) => isAbout(one.labels, labels) && one.values.length);
const named = (series, name) => series.map((one) => ({ ...one, refId: name, name }));

async function limits(expression, alert, { prometheus, range, signal }) {
  if (expression == null) return [];
  const constant = constantOf(expression);
  if (constant != null) return named([{ labels: {}, values: constantly(constant, range) }], 'limit');
  const found = about(await prometheus.range(expression, range, signal), alert.labels);
  return named(found, 'limit').slice(0, 1);
}

function constantly(value, { start, end, step }) {
  const count = Math.floor((end - start) / step) + 1;
  return Array.from({ length: count }, (_, i) => [(start + i * step) * 1000, value]);
}

function panelOf(rule, value, series) {
  const negative = series.some(({ values }) => values.some(([, one]) => one < 0));
  return {
    type: 'timeseries',
    title: `Value of ${rule.name} against its limit`,
    options: { legend: { showLegend: true, displayMode: 'list', calcs: ['lastNotNull'] } },
    fieldConfig: {
      defaults: {
        unit: unitOf(value),
        min: negative ? undefined : 0,
        custom: { fillOpacity: 8 },
      },
      overrides: [
        {
          matcher: { id: 'byName', options: 'limit' },
          properties: [
            { id: 'color', value: { mode: 'fixed', fixedColor: 'red' } },
            { id: 'custom.fillOpacity', value: 0 },
            { id: 'custom.lineStyle', value: { fill: 'dash' } },
          ],
        },
        {
          matcher: { id: 'byName', options: 'value' },
          properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: 'blue' } }],
        },
      ],
    },
    targets: [{ expr: value, refId: 'A' }],
  };
}
