// What the page does before it draws: addresses, variables, times, calculations, buckets, lines.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

const source = (name) => import(`../../../deploy/console/src/${name}.js`);
const { internalLink, readAddress, writeAddress } = await source('address');
const { builtinsOf, choiceOf, interpolate, labelValuesQuery, orderedOptions, seriesName } = await source('template');
const { agoText, durationMs, parseTime, rangeLabel, stepSeconds, youngRange } = await source('time');
const { fieldFor, reduce, thresholdStep } = await source('reduce');
const { choicesWithoutOptions } = await source('choices');
const { bucketsOf, usedBuckets } = await source('buckets');
const { axisStart, extentOf, withGaps } = await source('panels/lines');
const { lanesOf } = await source('panels/lanes');
const { AwayError, Prometheus, QueryError } = await source('prometheus');

describe('addresses', () => {
  test('carry Grafana’s names there and back', () => {
    const text = '?d=infermeter-model&from=now-6h&to=now&refresh=5s&var-model=fraud&var-model=a%26b&var-version=3';
    const address = readAddress(text);
    assert.deepEqual(
      [...address.variables],
      [
        ['model', ['fraud', 'a&b']],
        ['version', ['3']],
      ],
    );
    assert.equal(writeAddress(address), text);
  });
  test('tell "refresh off" from "refresh not said"', () => {
    assert.equal(readAddress('?refresh=').refresh, '');
    assert.equal(readAddress('').refresh, null);
    assert.equal(writeAddress(readAddress('?refresh=')), '?refresh=');
  });
  test('of Grafana lead to the same place on the page, others nowhere', () => {
    assert.equal(
      internalLink('/d/infermeter-model?var-datasource=x&var-model=fraud&from=1&to=2'),
      '?d=infermeter-model&from=1&to=2&var-model=fraud',
    );
    assert.equal(internalLink('https://infermeter.example/deploy/runbooks/GPULost.md'), '?view=runbook&alert=GPULost');
    assert.equal(internalLink('javascript:alert(1)'), null);
    assert.equal(internalLink('https://example.com/'), null);
  });
});

describe('variables', () => {
  const choice = (over) => ({
    name: 'model',
    multi: true,
    includeAll: true,
    allValue: null,
    options: ['a', 'b'],
    all: false,
    selected: [],
    ...over,
  });
  const filled = (text, over, builtins) => interpolate(text, new Map([['model', choice(over)]]), builtins);
  test('become patterns, and "All" what the dashboard says', () => {
    assert.equal(filled('x{m=~"$model"}', { selected: ['a'] }), 'x{m=~"a"}');
    assert.equal(filled('x{m=~"$model"}', { selected: ['a', 'b'] }), 'x{m=~"(a|b)"}');
    assert.equal(filled('x{m=~"${model}"}', { all: true, allValue: '.*' }), 'x{m=~".*"}');
    assert.equal(filled('x{m=~"[[model]]"}', { all: true }), 'x{m=~"(a|b)"}');
    assert.equal(filled('x{m=~"$model"}', { all: true, options: [] }), 'x{m=~".*"}');
  });
  test('cannot leave the string they stand in', () => {
    assert.equal(filled('x{m=~"$model"}', { selected: ['a.b"} or up'] }), String.raw`x{m=~"a\\.b\"\\} or up"}`);
    assert.equal(filled('x{m="$model"}', { multi: false, includeAll: false, selected: ['a"b\\'] }), 'x{m="a\\"b\\\\"}');
  });
  test('leave alone what nobody knows', () => assert.equal(filled('$other ${x:csv}', {}), '$other ${x:csv}'));
  test('have formats', () => {
    assert.equal(
      filled('${model:csv} ${model:pipe} ${model:queryparam}', { selected: ['a', 'b'] }),
      'a,b a|b var-model=a&var-model=b',
    );
  });
  test('of Grafana’s own fit the scrape interval', () => {
    const builtins = builtinsOf({ rangeMs: 3600e3, stepS: 15, scrapeS: 15 });
    assert.equal(
      interpolate('rate(x[$__rate_interval]) $__range $__interval', new Map(), builtins),
      'rate(x[60s]) 3600s 15s',
    );
    assert.equal(builtinsOf({ rangeMs: 1, stepS: 300, scrapeS: 15 }).__rate_interval, '315s');
  });
  test('choose what the address asks for, else the default, else All', () => {
    const variable = { name: 'm', multi: true, includeAll: true, current: { value: ['$__all'] } };
    assert.equal(choiceOf(variable, ['a'], []).all, true);
    assert.deepEqual(choiceOf(variable, ['a'], ['gone']).selected, ['gone']);
    assert.deepEqual(choiceOf({ ...variable, includeAll: false, current: {} }, ['a', 'b'], []).selected, ['a']);
  });
  test('are known before their options where these do not matter', () => {
    const all = {
      name: 'm',
      type: 'query',
      multi: true,
      includeAll: true,
      allValue: '.*',
      current: { value: ['$__all'] },
    };
    const list = (variable) => ({ templating: { list: [{ name: 'd', type: 'datasource' }, variable] } });
    const early = (variable, asked = []) => choicesWithoutOptions(list(variable), new Map([['m', asked]]));
    assert.equal(early(all).get('m').all, true);
    assert.deepEqual(early(all, ['a']).get('m').selected, ['a']);
    assert.equal(early({ ...all, allValue: null }), null);
    assert.equal(early({ ...all, includeAll: false, current: {} }), null);
  });
  test('are read from label_values and sorted', () => {
    assert.deepEqual(labelValuesQuery('label_values(x{a=~"$b, c"}, name)'), {
      selector: 'x{a=~"$b, c"}',
      label: 'name',
    });
    assert.deepEqual(labelValuesQuery('label_values(name)'), { selector: null, label: 'name' });
    assert.equal(labelValuesQuery('metrics(x)'), null);
    assert.deepEqual(orderedOptions(['b10', 'b9', 'a', 'a'], { sort: 3, regex: '/^(b\\d+)$/' }), ['b9', 'b10']);
  });
  test('legends name series by their labels', () => {
    assert.equal(seriesName({ legendFormat: '{{a}} {{ b }} {{none}}' }, { a: '1', b: '2' }), '1 2');
    assert.equal(seriesName({ legendFormat: '' }, { __name__: 'up', job: 'x' }), 'up{job="x"}');
  });
});

describe('times', () => {
  const NOW = Date.UTC(2026, 10, 27, 14, 3, 22);
  test('are read in Grafana’s notation', () => {
    assert.equal(parseTime('now-1h-30m', NOW), NOW - 54e5);
    assert.equal(parseTime('now-1d+2h', NOW), NOW - 22 * 36e5);
    assert.equal(parseTime('now/h', NOW) % 36e5, 0);
    assert.equal(parseTime('1764252000000', NOW), 1764252000000);
    assert.ok(Number.isNaN(parseTime('yesterday-ish', NOW)));
  });
  test('durations', () => {
    assert.equal(durationMs('1m30s'), 9e4);
    assert.equal(durationMs(''), 0);
    assert.equal(rangeLabel('now-6h', 'now'), 'Last 6 hours');
    assert.equal(rangeLabel('now-1h', 'now'), 'Last hour');
    assert.deepEqual([agoText(5e3), agoText(5 * 6e4), agoText(3 * 36e5)], ['5 s', '5 min', '3 h 0 min']);
  });
  test('a store that has just begun is shown whole, an older one as the dashboard says', () => {
    const minutes = (count) => youngRange(count * 6e4, 36e5);
    assert.deepEqual([0.1, 4, 5, 12, 15, 60].map(minutes), ['now-5m', 'now-5m', 'now-15m', 'now-15m', null, null]);
    assert.equal(youngRange(10e3, 3e5), null);
    assert.equal(youngRange(10 * 36e5, 7 * 864e5), null);
  });
  test('steps are round and not below the scrape interval', () => {
    assert.equal(stepSeconds(3600e3, 400, 15), 15);
    assert.equal(stepSeconds(24 * 3600e3, 400, 15), 300);
  });
});

describe('numbers of series', () => {
  const series = (...values) => ({ values: values.map((value, i) => [i, value]) });
  test('follow Grafana’s calculations', () => {
    const one = series(1, 5, NaN, 3, NaN);
    assert.equal(reduce(one, 'lastNotNull'), 3);
    assert.ok(Number.isNaN(reduce(one, 'last')));
    const all = ['min', 'max', 'mean', 'sum', 'count', 'range', 'median', 'diff', 'delta', 'firstNotNull'];
    assert.deepEqual(
      all.map((id) => reduce(one, id)),
      [1, 5, 3, 9, 3, 4, 3, 2, 4, 1],
    );
    assert.ok(Number.isNaN(reduce(series(), 'max')));
  });
  test('overrides change one field and leave the panel alone', () => {
    const panel = {
      fieldConfig: {
        defaults: { unit: 's', custom: { lineWidth: 1 } },
        overrides: [
          { matcher: { id: 'byName', options: 'a' }, properties: [{ id: 'custom.lineWidth', value: 3 }] },
          { matcher: { id: 'byRegexp', options: '/^b.*/' }, properties: [{ id: 'unit', value: 'short' }] },
          { matcher: { id: 'byFrameRefID', options: 'C' }, properties: [{ id: 'decimals', value: 2 }] },
        ],
      },
    };
    assert.equal(fieldFor(panel, { name: 'a' }).custom.lineWidth, 3);
    assert.equal(fieldFor(panel, { name: 'bob' }).unit, 'short');
    assert.equal(fieldFor(panel, { name: 'x', refId: 'C' }).decimals, 2);
    assert.equal(panel.fieldConfig.defaults.custom.lineWidth, 1);
  });
  test('thresholds hold from their value on', () => {
    const field = {
      thresholds: {
        mode: 'absolute',
        steps: [
          { color: 'green', value: null },
          { color: 'red', value: 0.5 },
        ],
      },
    };
    assert.deepEqual(
      [0.49, 0.5, -1].map((value) => thresholdStep(field, value).color),
      ['green', 'red', 'green'],
    );
    const share = {
      min: 0,
      max: 200,
      thresholds: {
        mode: 'percentage',
        steps: [
          { color: 'green', value: 0 },
          { color: 'red', value: 50 },
        ],
      },
    };
    assert.equal(thresholdStep(share, 100).color, 'red');
  });
});

describe('histograms', () => {
  const le = (bound, ...counts) => ({ labels: { le: bound }, values: counts.map((count, i) => [i, count]) });
  test('cumulative buckets become counts, both spellings of a bound one, scrape races no negatives', () => {
    const buckets = bucketsOf([le('+Inf', 10), le('0.5', 4), le('1', 5), le('1.0', 2), le('0.1', 6)]);
    assert.deepEqual(
      buckets.map(({ low, high, counts }) => [low, high, counts.get(0)]),
      [
        [0, 0.1, 6],
        [0.1, 0.5, 0],
        [0.5, 1, 3],
        [1, Infinity, 3],
      ],
    );
  });
  test('native histograms are buckets as well', () => {
    const series = [
      {
        labels: {},
        values: [],
        histograms: [
          [
            7,
            {
              buckets: [
                [0, '0.5', '1', '3'],
                [0, '1', '2', '4'],
              ],
            },
          ],
        ],
      },
    ];
    assert.deepEqual(
      bucketsOf(series).map(({ low, high, counts }) => [low, high, counts.get(7)]),
      [
        [0.5, 1, 3],
        [1, 2, 4],
      ],
    );
  });
  test('empty ends are cut off', () => {
    const buckets = bucketsOf([le('1', 0), le('2', 0), le('3', 5), le('4', 5), le('5', 5)]);
    assert.deepEqual(
      usedBuckets(buckets).map(({ high }) => high),
      [2, 3, 4],
    );
  });
});

describe('lines', () => {
  test('have holes where samples are missing', () => {
    const { data, lonely } = withGaps(
      [
        [0, 1],
        [10, 2],
        [40, 3],
      ],
      10,
    );
    assert.deepEqual(data, [
      [0, 1],
      [10, 2],
      [20, null],
      [40, 3],
    ]);
    assert.equal(lonely, true);
    assert.deepEqual(
      withGaps(
        [
          [0, 1],
          [10, NaN],
          [20, 3],
        ],
        10,
        true,
      ).data,
      [
        [0, 1],
        [20, 3],
      ],
    );
  });
  test('stacks add up, and a limit in sight is in the axis', () => {
    const stacked = { custom: { stacking: { mode: 'normal' } } };
    const items = [
      { field: stacked, values: [[0, 2]] },
      { field: stacked, values: [[0, 3]] },
    ];
    assert.deepEqual(extentOf(items), { low: 2, high: 5 });
    assert.equal(extentOf(items, [6]).high > 6, true);
    assert.equal(extentOf(items, [600]).high, 5);
    assert.equal(extentOf(items, [1.9]).low, 1.9);
    assert.equal(extentOf(items, [1]).low, 2);
  });
  test('an axis begins a little below its values, at zero where bars stand on it', () => {
    const field = {};
    const start = axisStart({ low: 0.99, high: 1, field });
    assert.ok(start < 0.99 && start > 0.98);
    assert.equal(axisStart({ low: 0.1, high: 5, field }), 0);
    assert.equal(axisStart({ low: 0, high: 0, field }), 0);
    assert.equal(axisStart({ low: -2, high: 5, field }) < -2, true);
    assert.equal(axisStart({ low: 1, high: 1, field }), 0.9);
    assert.equal(axisStart({ low: 9, high: 10, field: { custom: { drawStyle: 'bars' } } }), 0);
    assert.equal(axisStart({ low: 9, high: 10, field: { custom: { stacking: { mode: 'normal' } } } }), 0);
  });
  test('states of neighbours are one stretch', () => {
    const blocks = lanesOf(
      [
        [0, 1],
        [10, 2],
        [20, 9],
        [50, 9],
      ],
      10,
      (value) => (value > 5 ? 'high' : 'low'),
    );
    assert.deepEqual(
      blocks.map(({ from, to, state }) => [from, to, state]),
      [
        [0, 20, 'low'],
        [20, 30, 'high'],
        [50, 60, 'high'],
      ],
    );
  });
});

describe('answers of Prometheus', () => {
  const answering = (status, content) =>
    new Prometheus('', async () => ({ status, ok: status < 400, text: async () => content }));
  test('numbers, infinities and histograms are read', async () => {
    const vector = {
      status: 'success',
      data: { resultType: 'vector', result: [{ metric: { a: 'b' }, value: [1, '+Inf'] }] },
    };
    assert.deepEqual((await answering(200, JSON.stringify(vector)).instant('x', 1))[0].values, [[1000, Infinity]]);
  });
  test('an error of the query is not "away", an error of the way is', async () => {
    await assert.rejects(
      answering(400, '{"status":"error","errorType":"bad_data","error":"parse"}').instant('('),
      QueryError,
    );
    await assert.rejects(
      answering(503, '{"status":"error","errorType":"timeout","error":"slow"}').instant('x'),
      QueryError,
    );
    await assert.rejects(
      answering(502, '{"status":"error","errorType":"unavailable","error":"no answer"}').instant('x'),
      AwayError,
    );
    await assert.rejects(answering(504, '<html>').instant('x'), AwayError);
    await assert.rejects(
      new Prometheus('', async () => {
        throw new TypeError('network');
      }).instant('x'),
      AwayError,
    );
  });
});
