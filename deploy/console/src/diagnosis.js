// What tells the causes of slow answers apart: which numbers, which charts, which case. No DOM.
import { selector } from './promql.js';

/** Alerts whose cause this view shows. */
export const EXPLAINED = Object.freeze([
  'HighInferenceLatency',
  'InferenceBatchingMisconfigured',
  'InferenceHostBound',
  'LowGPUUtilization',
]);

const VERSION = 'namespace, model_name, model_version';
// The GPU share per model, as the recording rule has it where the rules of batching are loaded, else from the pods.
const gpuOf = (of) =>
  `model_version:gpu_utilization_ratio:avg5m${of} or avg by (${VERSION}) (group by (namespace, pod, model_name, model_version) ` +
  `(model_inference_requests_total${of}) * on (namespace, pod) group_left () avg by (namespace, pod) (gpu:utilization_ratio:avg5m{pod!=""}))`;
const batchOf = (of) =>
  `sum by (${VERSION}) (rate(model_inference_batch_size_sum${of}[5m])) / (sum by (${VERSION}) (rate(model_inference_batch_size_count${of}[5m])) > 0)`;
const limitOf = (of) => `max by (${VERSION}) (model_inference_batch_limit${of} > 0)`;

/** Return the charts of the view, as panels of a dashboard; `of` are the labels of the model. */
export function panelsOf(of) {
  const { namespace, model_name } = of;
  const model = selector(Object.fromEntries(Object.entries({ namespace, model_name }).filter(([, value]) => value)));
  const one = selector(of);
  const name = '{{model_version}}';
  const sla = `model:model_inference_sla_seconds:max${model}`;
  return [
    chart(
      1,
      'Latency: how slow is p99, and what was promised?',
      'Above the dashed SLA the model is too slow. A p99 at the largest bucket of the histogram means that much or more.',
      's',
      [
        [`model_version:model_inference_latency_seconds:p50_rate5m${one}`, `p50 ${name}`],
        [`model_version:model_inference_latency_seconds:p99_rate5m${one}`, `p99 ${name}`],
        [sla, 'SLA'],
      ],
    ),
    chart(
      2,
      'Queue: how many requests wait, per replica?',
      'More waiting than one batch takes means that batches are too small or formed too late; none waiting means that ' +
        'the time goes elsewhere. Means of five minutes.',
      'short',
      [
        [`avg by (${VERSION}) (avg_over_time(model_inference_queue_depth${one}[5m]))`, `waiting ${name}`],
        [batchOf(one), `one batch ${name}`],
      ],
    ),
    chart(
      3,
      'Batches: how full are they?',
      'Requests in a batch as a share of the batch limit. Full batches and a queue: raise the limit. Empty ones and a ' +
        'queue: raise the time that a batch may wait.',
      'percentunit',
      [[`(${batchOf(one)}) / (${limitOf(one)})`, `fill ${name}`]],
      { max: 1 },
    ),
    chart(
      4,
      'GPU: how busy are those of this model?',
      'Below the dashed 30 % a GPU counts as idle: slow answers are then not for want of GPUs. Means of five minutes.',
      'percentunit',
      [[gpuOf(one), `utilisation ${name}`]],
      {
        max: 1,
        thresholds: {
          mode: 'absolute',
          steps: [
            { color: 'orange', value: null },
            { color: 'green', value: 0.3 },
          ],
        },
        custom: { thresholdsStyle: { mode: 'dashed' }, fillOpacity: 8 },
      },
    ),
  ];
}

// What was promised is a limit, and looks like one.
const PROMISED = {
  matcher: { id: 'byName', options: 'SLA' },
  properties: [
    { id: 'color', value: { mode: 'fixed', fixedColor: 'red' } },
    { id: 'custom.fillOpacity', value: 0 },
    { id: 'custom.lineStyle', value: { fill: 'dash' } },
  ],
};

const chart = (id, title, description, unit, queries, field = {}) => ({
  id,
  title,
  description,
  type: 'timeseries',
  gridPos: { x: ((id - 1) % 4) * 6, y: 0, w: 6, h: 9 },
  options: { legend: { showLegend: true, displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'] } },
  fieldConfig: {
    defaults: { unit, min: 0, custom: { fillOpacity: 8 }, noValue: 'Not exported by this model', ...field },
    overrides: [PROMISED],
  },
  targets: queries.map(([expr, legendFormat], i) => ({ expr, legendFormat, refId: String.fromCharCode(65 + i) })),
});

/** Ask for the numbers that tell the cases apart; each is null where the model does not export it. */
export async function judge(prometheus, of, signal) {
  const one = selector(of);
  const sla = selector(Object.fromEntries(Object.entries(of).filter(([name]) => name !== 'model_version')));
  const questions = {
    p99: `max(model_version:model_inference_latency_seconds:p99_rate5m${one})`,
    sla: `min(model:model_inference_sla_seconds:max${sla})`,
    gpu: `avg(${gpuOf(one)})`,
    queue: `max(avg by (${VERSION}) (avg_over_time(model_inference_queue_depth${one}[5m])))`,
    batch: `avg(${batchOf(one)})`,
    limit: `max(${limitOf(one)})`,
  };
  const answers = await Promise.all(
    Object.entries(questions).map(async ([name, query]) => {
      const [first] = await prometheus.instant(query, Date.now() / 1000, signal);
      const value = first?.values[0]?.[1];
      return [name, Number.isFinite(value) ? value : null];
    }),
  );
  return Object.fromEntries(answers);
}

/** Return which case the numbers make; the limits are those of the alert rules. */
export function caseOf({ p99, sla, gpu, queue, batch }) {
  if (p99 == null || sla == null) return 'unknown';
  if (p99 <= sla) return 'in-time';
  if (gpu == null) return 'no-gpu';
  if (gpu >= 0.3) return 'busy';
  if (queue == null) return 'no-queue';
  if (queue > (batch ?? 1)) return 'batching';
  return queue < 0.5 ? 'host-bound' : 'unclear';
}

/** Return the address of this view about the model of an alert. */
export function explainAddress(alert, labels) {
  const parameters = new URLSearchParams({ view: 'explain', alert });
  for (const name of ['namespace', 'model_name', 'model_version'])
    if (labels[name]) parameters.set(`label-${name}`, labels[name]);
  return `?${parameters}`;
}
