// Every shipped dashboard uses only what the page knows, and the check that says so can fail.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { unknownFeatures } from '../../../deploy/console/src/supported.js';

const FOLDER = new URL('../../../deploy/grafana/dashboards/', import.meta.url);
const dashboards = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json'))
  .map((name) => [name, JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'))]);

test('there are dashboards', () => assert.ok(dashboards.length >= 4));

for (const [name, dashboard] of dashboards) {
  test(`${name} uses only what the page knows`, () => assert.deepEqual(unknownFeatures(dashboard), []));
}

const PLANTED = {
  'a panel of another kind': (panel) => (panel.type = 'candlestick'),
  'a transformation': (panel) => (panel.transformations = [{ id: 'organize', options: {} }]),
  'a repeated panel': (panel) => (panel.repeat = 'model'),
  'an unknown unit': (panel) => (panel.fieldConfig.defaults.unit = 'parsec'),
  'an unknown calculation': (panel) => (panel.options.reduceOptions.calcs = ['p99']),
  'an unknown colour mode': (panel) => (panel.fieldConfig.defaults.color.mode = 'continuous-GrYlRd'),
  'a new option': (panel) => (panel.options.sparkle = true),
  'another value of an option': (panel) => (panel.options.colorMode = 'background'),
  'a new field option': (panel) => (panel.fieldConfig.defaults.custom.axisSoftMin = 1),
  'an unknown matcher': (panel) => panel.fieldConfig.overrides.push({ matcher: { id: 'byValue' }, properties: [] }),
  'an unknown override': (panel) =>
    panel.fieldConfig.overrides.push({
      matcher: { id: 'byName', options: 'a' },
      properties: [{ id: 'custom.axisColorMode', value: 1 }],
    }),
  'another format of a query': (panel) => (panel.targets[0].format = 'logs'),
};

for (const [what, plant] of Object.entries(PLANTED)) {
  test(`${what} is noticed`, () => {
    const dashboard = structuredClone(dashboards.find(([, { uid }]) => uid === 'infermeter-overview')[1]);
    plant(dashboard.panels.find(({ type }) => type === 'stat'));
    assert.equal(unknownFeatures(dashboard).length > 0, true);
  });
}

test('another kind of variable is noticed', () => {
  const dashboard = structuredClone(dashboards[0][1]);
  dashboard.templating.list.push({ name: 'x', type: 'adhoc' });
  dashboard.templating.list.push({ name: 'y', type: 'query', query: 'metrics(foo)' });
  assert.equal(unknownFeatures(dashboard).length, 2);
});
