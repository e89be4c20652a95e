// What the page knows of alerts before it draws them: their rules taken apart, the range of a chart, the diagnosis.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

const source = (name) => import(`../../../deploy/console/src/${name}.js`);
const { comparisonsOf, constantOf, isAbout, selector } = await source('promql');
const { caseOf } = await source('diagnosis');
const { alertChart, rangeAround, unitOf } = await source('alert_chart');
const { pagesAbout } = await source('pages_about');
const { filledIn } = await source('runbook_places');

describe('rules taken apart', () => {
  test('value, operator and limit', () => {
    assert.deepEqual(comparisonsOf('up == 0'), [{ value: 'up', operator: '==', threshold: '0' }]);
    assert.deepEqual(comparisonsOf('a{x="> b"} > on (m) group_left () b and c < 3'), [
      { value: 'a{x="> b"}', operator: '>', threshold: 'b' },
    ]);
    assert.deepEqual(comparisonsOf('(rate(a[5m]) > 1) or (b <= bool 2) # > 7'), [
      { value: 'rate(a[5m])', operator: '>', threshold: '1' },
      { value: 'b', operator: '<=', threshold: '2' },
    ]);
  });
  test('the value of "a and b" is a', () => {
    assert.deepEqual(comparisonsOf('p99 and ((x - 1) / y > 3)'), [{ value: 'p99', operator: null, threshold: null }]);
    assert.deepEqual(comparisonsOf('((a > 1 and b > 2) or (c > 3 and d > 4)) unless e'), [
      { value: 'a', operator: '>', threshold: '1' },
      { value: 'c', operator: '>', threshold: '3' },
    ]);
    assert.deepEqual(comparisonsOf('standard_model_or_not unless (b > 1)'), [
      { value: 'standard_model_or_not', operator: null, threshold: null },
    ]);
  });
  test('constants, labels, selectors', () => {
    assert.deepEqual(['0.3', 'vector(2)', '1e-3', 'x'].map(constantOf), [0.3, 2, 0.001, null]);
    assert.equal(isAbout({ __name__: 'x', model: 'a', le: '1' }, { model: 'a', severity: 'critical' }), true);
    assert.equal(isAbout({ model: 'b' }, { model: 'a' }), false);
    assert.equal(selector({ a: 'x"y\\' }), '{a="x\\"y\\\\"}');
  });
  test('units of the shipped alerts', () => {
    assert.equal(unitOf('model_version:model_inference_latency_seconds:p99_rate5m'), 's');
    assert.equal(unitOf('max by (gpu) (gpu:utilization_ratio:avg5m{x="1"})'), 'percentunit');
    assert.equal(unitOf('pipeline:pipeline_run_duration_seconds:last'), 's');
    assert.equal(unitOf('rate(infermeter_dropped_total[5m])'), 'short');
    assert.equal(unitOf('model_version:canary_errors:difference'), 'percentunit');
    assert.equal(unitOf('model_version:canary_latency:ks'), 'percentunit');
    assert.equal(unitOf('model_version:canary_latency:ks_score'), 'short');
  });
});

test('the chart of an alert ends at this moment and begins before the alert', () => {
  const range = rangeAround(1000, 1303, 300, 1);
  assert.equal(range.end, 1303);
  assert.ok(range.start <= 1000 - 1200 && range.start > 1000 - 1200 - range.step);
  assert.equal((range.end - range.start) % range.step, 0);
  assert.equal(rangeAround(1000, 1001, 4, 1).start <= 1000 - 120, true);
});

describe('the chart of an alert', () => {
  const alert = { labels: { model_name: 'm' }, activeAt: '2026-01-01T00:00:00Z' };
  const now = Date.parse('2026-01-01T00:01:00Z');
  const answering = (values) => ({ range: async (query) => (query === 'a' ? [{ labels: {}, values }] : []) });

  test('has the limit beside the value, also where it is a number', async () => {
    const prometheus = answering([[now - 1000, 0.4]]);
    const { series } = await alertChart({ name: 'A', query: 'a > 0.2' }, alert, { prometheus, scrapeS: 1, now });
    assert.deepEqual(
      series.map(({ name }) => name),
      ['value', 'limit'],
    );
    assert.deepEqual(series[1].values.at(-1), [now, 0.2]);
    assert.ok(series[1].values[0][0] <= Date.parse(alert.activeAt) - 120_000);
  });
  test('begins at zero unless something lies below', async () => {
    const rule = { name: 'A', query: 'a > 0.2' };
    const of = async (value) =>
      (await alertChart(rule, alert, { prometheus: answering([[now, value]]), scrapeS: 1, now })).panel.fieldConfig
        .defaults.min;
    assert.equal(await of(0.4), 0);
    assert.equal(await of(-0.4), undefined);
  });
});

test('an alert leads to the pages about what it names', () => {
  const leads = (name, labels) => pagesAbout(name, labels).map(([, address]) => address);
  const model = { model_name: 'fraud & co', model_version: '3', namespace: 'prod' };
  assert.deepEqual(leads('HighInferenceLatency', model), [
    '?d=infermeter-model&var-namespace=prod&var-model=fraud+%26+co&var-version=3',
  ]);
  assert.deepEqual(leads('GPUHot', { gpu: '0', host: 'node-a' }), ['?d=infermeter-gpu-fleet&var-host=node-a']);
  assert.deepEqual(leads('PipelineSlow', { pipeline: 'features' }), ['?d=infermeter-overview']);
  assert.deepEqual(leads('TelemetryTargetDown', { job: 'x' }), ['?d=infermeter-telemetry-health']);
  assert.deepEqual(leads('SomebodyElses', {}), []);
});

test('the queries of a runbook get the names of the alert, and only those that it has', () => {
  const labels = { model_name: 'a"b', namespace: '', gpu: '0' };
  assert.equal(
    filledIn('x{namespace="NAMESPACE",model_name="MODEL",gpu="GPU",y="OTHER"} MODEL', labels),
    'x{namespace="NAMESPACE",model_name="a\\"b",gpu="0",y="OTHER"} MODEL',
  );
});

test('the diagnosis follows the rules', () => {
  const slow = { p99: 1, sla: 0.5, gpu: 0.1, queue: 40, batch: 2, limit: 32 };
  assert.equal(caseOf(slow), 'batching');
  assert.equal(caseOf({ ...slow, queue: 0.2 }), 'host-bound');
  assert.equal(caseOf({ ...slow, queue: 1 }), 'unclear');
  assert.equal(caseOf({ ...slow, queue: null }), 'no-queue');
  assert.equal(caseOf({ ...slow, gpu: 0.9 }), 'busy');
  assert.equal(caseOf({ ...slow, gpu: null }), 'no-gpu');
  assert.equal(caseOf({ ...slow, p99: 0.2 }), 'in-time');
  assert.equal(caseOf({ ...slow, p99: null }), 'unknown');
});
