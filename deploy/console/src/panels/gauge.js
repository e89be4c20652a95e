// A dial per series: how far a value is between its ends, in its threshold's colour, inside a ring of all thresholds.
import { drawChart } from '../chart.js';
import { el } from '../dom.js';
import { colour, valueColourName, wordColour } from '../palette.js';
import { styled, themeMode } from '../theme.js';
import { itemsOf, seriesLabel } from './common.js';

const MOST = 12;

/** Draw; returns what a screen reader is told. */
export function gauge(body, { panel, series, context }) {
  const items = itemsOf(panel, series).slice(0, MOST);
  const names = JSON.stringify(items.map(({ name }) => name));
  if (body.dataset.dials !== names) {
    body.dataset.dials = names;
    body.replaceChildren(
      el(
        'div',
        { class: 'gauges' },
        items.map((item) => frame(item, items.length > 1, context)),
      ),
    );
  }
  const dials = body.querySelectorAll('.gauge');
  items.forEach((item, i) => dial(dials[i], item, panel.options?.showThresholdMarkers !== false));
  return items.map(({ name, text }) => (items.length > 1 ? `${name}: ${text}` : text)).join(', ');
}

const frame = (item, named, context) =>
  el(
    'div',
    { class: 'gauge' },
    el('div', { class: 'plot', 'aria-hidden': 'true' }),
    el('div', { class: 'big' }),
    named ? seriesLabel(item, context, { class: 'label' }) : null,
  );

/** Return the ends of a dial: the field's, else those of its unit. */
function ends({ unit, min, max }) {
  return { low: min ?? 0, high: max ?? (unit === 'percentunit' ? 1 : 100) };
}

function dial(node, { field, value, text }, markers) {
  const mode = themeMode();
  const { low, high } = ends(field);
  const share = (at) => Math.min(1, Math.max(0, (at - low) / (high - low)));
  const name = valueColourName(field, value);
  const big = node.querySelector('.big');
  big.textContent = text;
  big.style.color = wordColour(name, mode);
  const steps = field.thresholds?.steps ?? [];
  const ring = steps.map(({ color }, i) => [steps[i + 1] ? share(steps[i + 1].value) : 1, colour(color, mode)]);
  const arc = (radius, width, colours) => ({
    type: 'gauge',
    startAngle: 205,
    endAngle: -25,
    center: ['50%', '62%'],
    radius,
    min: 0,
    max: 1,
    axisLine: { lineStyle: { width, color: colours } },
    splitLine: { show: false },
    axisTick: { show: false },
    axisLabel: { show: false },
    pointer: { show: false },
    detail: { show: false },
    silent: true,
  });
  const thick = Math.max(10, Math.min(26, node.clientHeight / 7));
  const main = {
    ...arc('96%', thick, [[1, styled('grid')]]),
    progress: { show: Number.isFinite(value), width: thick, itemStyle: { color: colour(name, mode) } },
    data: [{ value: Number.isFinite(value) ? share(value) : 0 }],
  };
  const rim = { ...arc('108%', 4, ring), data: [] };
  drawChart(node.querySelector('.plot'), { series: markers && ring.length > 1 ? [rim, main] : [main] });
}
