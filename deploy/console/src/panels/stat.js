// One big number per series, coloured by its threshold, over a small curve of its past.
import { el, svg } from '../dom.js';
import { colour, valueColourName, wordColour } from '../palette.js';
import { themeMode } from '../theme.js';
import { itemsOf, replaceIfChanged, seriesLabel } from './common.js';

const WIDTH = 100;
const HEIGHT = 40;

/** Draw; returns what a screen reader is told. */
export function stat(body, { panel, series, context }) {
  const items = itemsOf(panel, series);
  const { textMode = 'auto', graphMode = 'area', colorMode = 'value' } = panel.options ?? {};
  const named = textMode === 'value_and_name' || textMode === 'name' || (textMode === 'auto' && items.length > 1);
  const key = [themeMode(), items.map(({ name, text, value, values }) => [name, text, value, values])];
  replaceIfChanged(body, key, () => [
    el(
      'div',
      { class: 'stats' },
      items.map((item) => one(item, { named, graphMode, colorMode, context })),
    ),
  ]);
  return items.map(({ name, text }) => (named ? `${name}: ${text}` : text)).join(', ');
}

function one(item, { named, graphMode, colorMode, context }) {
  const mode = themeMode();
  const name = valueColourName(item.field, item.value);
  const [text, unit] = splitUnit(item.text);
  const big = el('div', { class: 'big' }, text, unit ? el('span', { class: 'unit' }, unit) : null);
  if (colorMode !== 'none') big.style.color = wordColour(name, mode);
  const curve = graphMode === 'area' ? sparkline(item.values, colour(name === 'text' ? 'gray' : name, mode)) : null;
  const label = named ? seriesLabel(item, context, { class: 'label' }) : null;
  return el('div', { class: 'stat' }, el('div', { class: 'words' }, label, big), curve);
}

/** Separate a number from its unit, which is written smaller. */
function splitUnit(text) {
  const match = /^([-+]?[\d.,]+)(\D*)$/.exec(text);
  return match ? [match[1], match[2]] : [text, ''];
}

function sparkline(values, stroke) {
  const points = values.filter(([, value]) => Number.isFinite(value));
  if (points.length < 2) return null;
  const [from, to] = [points[0][0], points.at(-1)[0]];
  const numbers = points.map(([, value]) => value);
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const x = (at) => (((at - from) / (to - from || 1)) * WIDTH).toFixed(1);
  const y = (value) => (HEIGHT - 2 - (high > low ? (value - low) / (high - low) : 0) * (HEIGHT - 6)).toFixed(1);
  const line = points.map(([at, value]) => `${x(at)},${y(value)}`).join(' ');
  return svg(
    'svg',
    { class: 'sparkline', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('polygon', { points: `0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}`, fill: stroke, opacity: '0.16' }),
    svg('polyline', {
      points: line,
      fill: 'none',
      stroke,
      'stroke-width': '1.5',
      'vector-effect': 'non-scaling-stroke',
    }),
  );
}
