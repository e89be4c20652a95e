// Lines, bars and stacked areas over time, with thresholds, a tooltip of all series and a legend with numbers.
import { drawChart, GRID, timeAxis, tooltip, valueAxis } from '../chart.js';
import { el } from '../dom.js';
import { colour, fieldColour } from '../palette.js';
import { styled, themeMode } from '../theme.js';
import { momentText } from '../time.js';
import { linkTimeline } from '../timeline.js';
import { format } from '../units.js';
import { itemsOf, spoken } from './common.js';
import { drawLegend } from './legend.js';
import { extentOf, withGaps } from './lines.js';

const MOST_TOOLTIP_ROWS = 16;
const parts = new WeakMap(); // body -> { plot, legend, hidden }

function partsOf(body) {
  let found = parts.get(body);
  if (!found) {
    found = {
      plot: el('div', { class: 'plot', role: 'img' }),
      legend: el('div', { class: 'legend' }),
      hidden: new Set(),
    };
    body.replaceChildren(found.plot, found.legend);
    parts.set(body, found);
  }
  return found;
}

/** Draw; returns what a screen reader is told. */
export function timeseries(body, { panel, series, range, context }) {
  const { plot, legend, hidden } = partsOf(body);
  const mode = themeMode();
  const items = itemsOf(panel, series).map((item) => ({
    ...item,
    colour: fieldColour(item.field, item.index, item.value, mode),
  }));
  const draw = () => {
    const redraw = { items, options: panel.options?.legend, hidden, changed: draw, context, title: panel.title };
    drawLegend(legend, redraw);
    plotLines(plot, { panel, items: items.filter(({ name }) => !hidden.has(name)), range, context, mode });
  };
  draw();
  const text = `Chart over time, ${items.length} series. Last values: ${spoken(items.map((i) => `${i.name} ${i.text}`))}`;
  plot.setAttribute('aria-label', `${panel.title} ${text}`);
  return text;
}

function plotLines(plot, { panel, items, range, context, mode }) {
  const field = panel.fieldConfig?.defaults ?? {};
  const limits = (field.custom?.thresholdsStyle?.mode ?? 'off') === 'off' ? [] : (field.thresholds?.steps ?? []);
  const steps = limits.filter(({ value }) => value != null);
  const window = { start: range.start * 1000, end: range.end * 1000 };
  const { low, high } = extentOf(
    items,
    steps.map(({ value }) => value),
  );
  const chart = drawChart(plot, {
    grid: GRID,
    xAxis: timeAxis(window, plot.clientWidth),
    yAxis: valueAxis({ low, high, field, height: plot.clientHeight }),
    tooltip: {
      ...tooltip(),
      trigger: 'axis',
      axisPointer: { type: 'line', lineStyle: { color: styled('weak'), type: 'dashed' }, label: { show: false } },
      formatter: (points) => rowsAt(points, items),
    },
    series: [
      ...items.map((item) => line(item, range.step * 1000)),
      ...(steps.length ? [thresholdLines(steps, mode)] : []),
    ],
  });
  linkTimeline(chart, plot, context.zoom);
}

function line({ name, field, colour: shown, values }, stepMs) {
  const custom = field.custom ?? {};
  const bars = custom.drawStyle === 'bars';
  const { data, lonely } = withGaps(values, stepMs, custom.spanNulls === true);
  return {
    name,
    type: bars ? 'bar' : 'line',
    data,
    color: shown,
    showSymbol:
      custom.drawStyle === 'points' || custom.showPoints === 'always' || (custom.showPoints !== 'never' && lonely),
    symbol: 'circle',
    symbolSize: custom.pointSize ?? 4,
    step: { stepAfter: 'end', stepBefore: 'start' }[custom.lineInterpolation] ?? false,
    smooth: custom.lineInterpolation === 'smooth' ? 0.3 : false,
    lineStyle: {
      width: custom.drawStyle === 'points' ? 0 : Math.max(1.5, custom.lineWidth ?? 1),
      type: custom.lineStyle?.fill === 'dash' ? 'dashed' : 'solid',
    },
    areaStyle: custom.fillOpacity ? { opacity: custom.fillOpacity / 100 } : undefined,
    stack: custom.stacking?.mode === 'normal' ? (custom.stacking.group ?? 'A') : undefined,
    emphasis: { disabled: true },
  };
}

const thresholdLines = (steps, mode) => ({
  name: '',
  type: 'line',
  data: [],
  silent: true,
  markLine: {
    silent: true,
    symbol: 'none',
    label: { show: false },
    data: steps.map(({ value, color }) => ({
      yAxis: value,
      lineStyle: { color: colour(color, mode), type: 'dashed', width: 1.5 },
    })),
  },
});

/** The tooltip: a node, so that names are text whatever they hold. */
function rowsAt(points, items) {
  const shown = [points].flat().filter(({ value, seriesIndex }) => value?.[1] != null && items[seriesIndex]);
  const at = [points].flat()[0]?.axisValue;
  shown.sort((a, b) => b.value[1] - a.value[1]);
  const rows = shown.slice(0, MOST_TOOLTIP_ROWS).map(({ seriesIndex, value }) => {
    const swatch = el('span', { class: 'swatch' });
    swatch.style.background = items[seriesIndex].colour;
    const text = format(value[1], items[seriesIndex].field);
    return el('tr', {}, el('td', {}, swatch, items[seriesIndex].name), el('td', { class: 'number' }, text));
  });
  const rest = shown.length - rows.length;
  return el(
    'div',
    { class: 'tooltip' },
    el('div', { class: 'at' }, at == null ? '' : momentText(at)),
    el('table', {}, rows),
    rest > 0 ? el('div', { class: 'at' }, `and ${rest} more`) : null,
  );
}
