// One bar per series, longest where the value is highest; the buckets of a histogram are bars as well.
import { bucketsOf, usedBuckets } from '../buckets.js';
import { el } from '../dom.js';
import { colour, valueColourName, wordColour } from '../palette.js';
import { fieldFor } from '../reduce.js';
import { themeMode } from '../theme.js';
import { format } from '../units.js';
import { itemsOf, replaceIfChanged, seriesLabel } from './common.js';

/** Draw; returns what a screen reader is told. */
export function bargauge(body, { panel, series, context }) {
  const mode = themeMode();
  const items = isHistogram(panel, series) ? bucketItems(panel, series) : itemsOf(panel, series);
  const numbers = items.map(({ value }) => value).filter(Number.isFinite);
  const { min = 0, max = Math.max(...numbers, 0) } = panel.fieldConfig?.defaults ?? {};
  const share = (value) =>
    max > min && Number.isFinite(value) ? Math.min(1, Math.max(0, (value - min) / (max - min))) : 0;
  const key = [mode, context.address, items.map(({ name, text, value }) => [name, text, value])];
  replaceIfChanged(body, key, () => [
    el(
      'ul',
      { class: 'bars' },
      items.map((item) => bar(item, share(item.value), { panel, mode, context })),
    ),
  ]);
  return items.map(({ name, text }) => `${name}: ${text}`).join(', ');
}

const isHistogram = (panel, series) =>
  panel.targets.some((target) => target.format === 'heatmap') &&
  series.some((one) => one.labels.le != null || one.histograms?.length);

function bucketItems(panel, series) {
  const field = fieldFor(panel, {});
  return usedBuckets(bucketsOf(series)).flatMap(({ low, high, counts }) => {
    const value = [...counts.values()].at(-1) ?? 0;
    if (!Number.isFinite(high) && value === 0) return [];
    const name = Number.isFinite(high) ? `${number(low)} – ${number(high)}` : `over ${number(low)}`;
    return [{ name, value, text: format(value, field), field, labels: {} }];
  });
}

const number = (value) => String(Number(value.toPrecision(6)));

function bar(item, share, { panel, mode, context }) {
  const name = valueColourName(item.field, item.value);
  const shown = colour(name, mode);
  const fill = el('div', { class: panel.options?.displayMode === 'lcd' ? 'fill lcd' : 'fill' });
  fill.style.width = `${(share * 100).toFixed(2)}%`;
  fill.style.background =
    panel.options?.displayMode === 'gradient' ? `linear-gradient(90deg, ${shown}55, ${shown}CC)` : shown;
  fill.style.borderRightColor = shown;
  const value = el('span', { class: 'value' }, item.text);
  value.style.color = wordColour(name, mode);
  return el(
    'li',
    {},
    seriesLabel(item, context, { class: 'name' }),
    el('div', { class: 'track', 'aria-hidden': 'true' }, fill),
    value,
  );
}
