// How a histogram changes over time: one column per step, one row per bucket, darker or lighter by count.
import { bucketsOf, usedBuckets } from '../buckets.js';
import { drawChart, timeAxis, tooltip } from '../chart.js';
import { el } from '../dom.js';
import { heatScale } from '../palette.js';
import { styled, themeMode } from '../theme.js';
import { clockText } from '../time.js';
import { linkTimeline } from '../timeline.js';
import { format } from '../units.js';

/** Draw; returns what a screen reader is told. */
export function heatmap(body, { panel, series, range, context }) {
  const rows = usedBuckets(bucketsOf(series).filter(({ low }) => Number.isFinite(low)));
  const options = panel.options ?? {};
  const unit = { unit: options.yAxis?.unit ?? panel.fieldConfig?.defaults?.unit };
  const least = options.filterValues?.le ?? 0;
  const cells = rows.flatMap(({ counts }, y) =>
    [...counts].filter(([, count]) => count > least).map(([at, count]) => [at, y, count]),
  );
  const most = cells.reduce((top, [, , count]) => Math.max(top, count), 0);
  if (!body.querySelector('.plot')) {
    body.replaceChildren(
      el('div', { class: 'plot', role: 'img' }),
      el('div', { class: 'scale', 'aria-hidden': 'true' }),
    );
  }
  const plot = body.querySelector('.plot');
  const colours = heatScale(options.color?.scheme, themeMode());
  const shade = shader(colours, options.color?.exponent ?? 0.5, most);
  const bound = (value) => (Number.isFinite(value) ? exactly(value, unit) : '∞');
  const chart = drawChart(plot, {
    grid: { left: 10, right: 16, top: 12, bottom: 4, containLabel: true },
    xAxis: {
      ...timeAxis({ start: range.start * 1000, end: range.end * 1000 }, plot.clientWidth),
      splitLine: { show: false },
    },
    yAxis: {
      type: 'category',
      data: rows.map(({ high }) => bound(high)),
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { color: styled('weak'), fontSize: 11 },
    },
    tooltip: {
      ...tooltip(),
      formatter: ({ value: [at, y, count] }) =>
        el(
          'div',
          {},
          `${clockText(at)}: ${bound(rows[y].low)} to ${bound(rows[y].high)}: ${format(count, { unit: 'short' })}`,
        ),
    },
    series: [cellSeries(cells, { stepMs: range.step * 1000, gap: options.cellGap ?? 1, shade })],
  });
  linkTimeline(chart, plot, context.zoom);
  drawScale(body.querySelector('.scale'), colours, most, options.legend?.show !== false);
  const text = summary(rows, bound);
  plot.setAttribute('aria-label', `${panel.title} Heatmap. ${text}`);
  return text;
}

/** A bucket's bound has as many decimals as it was written with. */
function exactly(value, { unit }) {
  return format(value, { unit })
    .replace(/(\.\d*?)0+(?=\D|$)/, '$1')
    .replace(/\.(?=\D|$)/, '');
}

const cellSeries = (cells, { stepMs, gap, shade }) => ({
  type: 'custom',
  data: cells,
  encode: { x: 0, y: 1 },
  clip: true,
  progressive: 0,
  renderItem(_, api) {
    // Grafana's cell ends at its time: what was counted in the step before.
    const [left, y] = api.coord([api.value(0) - stepMs, api.value(1)]);
    const [right] = api.coord([api.value(0), 0]);
    const height = api.size([0, 1])[1];
    const between = right - left > 4 ? gap : 0;
    return {
      type: 'rect',
      shape: {
        x: left,
        y: y - height / 2 + gap / 2,
        width: Math.max(1, right - left - between),
        height: Math.max(1, height - gap),
      },
      style: { fill: shade(api.value(2)) },
    };
  },
});

const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** Return the colour of a count: its share of the highest, raised to `exponent`, between two colours of the scale. */
function shader(colours, exponent, most) {
  const scale = colours.map(channels);
  return (count) => {
    const at = (most > 0 ? count / most : 0) ** exponent * (scale.length - 1);
    const below = Math.min(scale.length - 2, Math.floor(at));
    const mixed = scale[below].map((from, i) => Math.round(from + (scale[below + 1][i] - from) * (at - below)));
    return `rgb(${mixed.join(',')})`;
  };
}

function drawScale(node, colours, most, shown) {
  node.hidden = !shown || !most;
  const ramp = el('span', { class: 'ramp' });
  ramp.style.background = `linear-gradient(90deg, ${colours.join(', ')})`;
  node.replaceChildren('0', ramp, format(most, { unit: 'short' }));
}

function summary(rows, bound) {
  const totals = rows.map(({ counts }) => [...counts.values()].reduce((sum, count) => sum + count, 0));
  const fullest = totals.indexOf(Math.max(...totals));
  return fullest < 0
    ? 'Nothing counted'
    : `Most counts between ${bound(rows[fullest].low)} and ${bound(rows[fullest].high)}`;
}
