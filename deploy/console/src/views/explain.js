// Why one model is slow: latency, queue, batches and GPU side by side, and what that combination means.
import { caseOf, EXPLAINED, judge, panelsOf } from '../diagnosis.js';
import { el } from '../dom.js';
import { Loop } from '../loop.js';
import { modelPage } from '../pages_about.js';
import { replaceIfChanged } from '../panels/common.js';
import { AwayError, QueryError } from '../prometheus.js';
import { format } from '../units.js';
import { dashboardView } from './dashboard.js';

const JUDGED_EVERY_MS = 30000;

/** Show the view; the address names the model by its labels. */
export function explainView(root, page) {
  const { labels, alert } = page.address;
  const of = Object.fromEntries(
    [...labels].filter(([name]) => ['namespace', 'model_name', 'model_version'].includes(name)),
  );
  const model = [of.model_name, of.model_version].filter(Boolean).join(' ') || 'every model';
  const verdict = el(
    'section',
    { class: 'verdict', 'aria-live': 'polite' },
    el('p', {}, 'Looking at latency, queue, batches and GPUs …'),
  );
  const dashboard = {
    title: `Why is ${model} slow?`,
    uid: '',
    panels: panelsOf(of),
    time: { from: 'now-1h', to: 'now' },
    refresh: '30s',
  };
  const view = dashboardView(root, page, dashboard, { before: verdict });
  const judging = new Loop(async (signal) => {
    try {
      const found = await judge(page.prometheus, of, signal);
      replaceIfChanged(verdict, found, () => sentences(found, { of, alert }));
    } catch (error) {
      if (!(error instanceof AwayError || error instanceof QueryError)) throw error; // banner and panels say it
    }
    judging.every(JUDGED_EVERY_MS);
  });
  judging.now();
  return {
    changed: () => view.changed(),
    redraw: () => view.redraw(),
    stop() {
      judging.stop();
      view.stop();
    },
  };
}

const CASES = {
  unknown: [
    'No verdict',
    'Latency or SLA of this model is not known: no request in five minutes, or the rules are not loaded.',
  ],
  'in-time': ['In time', 'p99 is within the SLA at the moment. Choose a longer range to see when it was not.'],
  'no-gpu': [
    'Slow, and no GPU is known',
    'The GPUs of this model are not known, so batching cannot be judged. Look at replicas, traffic and dependencies in the runbook.',
  ],
  busy: [
    'Slow, with busy GPUs',
    'The GPUs work: this is load or a heavier model, not batching. Add replicas, or look for a new version in the runbook.',
  ],
  batching: [
    'Batches are too small or formed too late',
    'Requests wait while the GPUs idle. Where batches are full, raise the batch limit; where they are not, raise the time that a batch may wait.',
  ],
  'no-queue': [
    'Slow while the GPUs idle',
    'Most often batches are too small, or the time goes elsewhere than the GPU. This model exports no queue depth that would tell which (infermeter.batcher).',
  ],
  'host-bound': [
    'The time goes before or after the GPU',
    'Nothing waits for a batch and the GPUs idle: look at preprocessing, the feature store and the network. Larger batches would not help.',
  ],
  unclear: [
    'Slow while the GPUs idle',
    'A few requests wait, fewer than one batch: between the two known cases. Watch the queue below.',
  ],
};

function sentences(found, { of, alert }) {
  const [title, text] = CASES[caseOf(found)];
  const shown = [
    ['p99', found.p99, 's'],
    ['SLA', found.sla, 's'],
    ['GPU', found.gpu, 'percentunit'],
    ['waiting per replica', found.queue, 'short'],
    ['requests in a batch', found.batch, 'short'],
    ['batch limit', found.limit, 'short'],
  ].map(([name, value, unit]) =>
    el('div', {}, el('dt', {}, name), el('dd', {}, value == null ? 'not exported' : format(value, { unit }))),
  );
  const runbook = EXPLAINED.includes(alert) ? alert : 'HighInferenceLatency';
  return [
    el('h2', {}, title),
    el('p', {}, text),
    el('dl', { class: 'facts' }, shown),
    el(
      'p',
      {},
      el('a', { href: `?view=runbook&alert=${runbook}` }, `Runbook ${runbook}`),
      ' · ',
      el('a', { href: modelPage(of) }, 'The model’s dashboard'),
    ),
  ];
}
