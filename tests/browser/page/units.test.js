// Values are written as Grafana writes them: over four thousand cases of its own formatter, and what only the page does.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { format, formatTick, tickStep } from '../../../deploy/console/src/units.js';

const { cases } = JSON.parse(readFileSync(new URL('grafana_formats.json', import.meta.url), 'utf8'));

// Unit, value, decimals -> why the page writes something else. None is known.
const DIFFERENCES = new Map();

test('every case of Grafana’s formatter gives the same text', () => {
  assert.ok(cases.length >= 1000);
  const different = cases.filter(([unit, value, decimals, text]) => {
    const known = DIFFERENCES.has(JSON.stringify([unit, value, decimals]));
    return format(value, { unit, decimals }) !== text && !known;
  });
  assert.deepEqual(different, []);
});

// Not Grafana's texts, on purpose: "NaN" tells a reader nothing, and both infinities look alike as "∞" in small print.
test('what is no number is said', () => {
  assert.equal(format(NaN, { unit: 's' }), 'No data');
  assert.equal(format(null), 'No data');
  assert.equal(format(Infinity, { unit: 'bytes' }), '+Inf');
  assert.equal(format(-Infinity), '-Inf');
});

test('value mappings come before units', () => {
  const mappings = [
    { type: 'value', options: { 1: { text: 'up', color: 'green' } } },
    { type: 'range', options: { from: 5, to: 9, result: { text: 'many' } } },
    { type: 'special', options: { match: 'nan', result: { text: 'unknown' } } },
  ];
  assert.equal(format(1, { mappings }), 'up');
  assert.equal(format(7, { mappings }), 'many');
  assert.equal(format(NaN, { mappings }), 'unknown');
  assert.equal(format(2, { mappings, unit: 'percentunit' }), '200%');
});

test('ticks are round in their unit', () => {
  assert.equal(tickStep(1, 5), 0.2);
  assert.equal(tickStep(100 * 2 ** 30, 4, 'bytes'), 32 * 2 ** 30);
  assert.equal(tickStep(3600, 5, 's'), 900);
  assert.equal(tickStep(0, 5), 1);
});

test('ticks have as many decimals as they need', () => {
  const ticks = (from, step, count, field) =>
    Array.from({ length: count }, (_, i) => formatTick(from + i * step, step, field));
  assert.deepEqual(ticks(0, 0.25, 5, { unit: 'percentunit' }), ['0%', '25%', '50%', '75%', '100%']);
  assert.deepEqual(ticks(0, 0.005, 4, { unit: 's' }), ['0 s', '5 ms', '10 ms', '15 ms']);
  assert.deepEqual(ticks(0, 250, 6, { unit: 'short' }), ['0', '250', '500', '750', '1 K', '1.25 K']);
  assert.deepEqual(ticks(0, 2 ** 36, 3, { unit: 'bytes' }), ['0 B', '64 GiB', '128 GiB']);
});
