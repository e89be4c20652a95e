// One lane per series: which state (threshold or mapping) it was in, and when.
import { drawChart, timeAxis, tooltip } from '../chart.js';
import { el } from '../dom.js';
import { colour, valueColourName } from '../palette.js';
import { styled, themeMode } from '../theme.js';
import { clockText } from '../time.js';
import { linkTimeline } from '../timeline.js';
import { format } from '../units.js';
import { itemsOf, spoken } from './common.js';
import { lanesOf } from './lanes.js';

const LABEL_WIDTH = 150;

/** Draw; returns what a screen reader is told. */
export function stateTimeline(body, { panel, series, range, context }) {
  const mode = themeMode();
  const items = itemsOf(panel, series);
  const stepMs = range.step * 1000;
  const blocks = items.flatMap(({ field, values }, lane) =>
    lanesOf(values, stepMs, (value) => valueColourName(field, value)).map((block) => ({ ...block, lane })),
  );
  if (!body.querySelector('.plot')) body.replaceChildren(el('div', { class: 'plot', role: 'img' }));
  const plot = body.querySelector('.plot');
  const rowHeight = panel.options?.rowHeight ?? 0.9;
  const written = (block) =>
    block.low === block.high
      ? format(block.low, items[block.lane].field)
      : `${format(block.low, items[block.lane].field)} to ${format(block.high, items[block.lane].field)}`;
  const chart = drawChart(plot, {
    grid: { left: 10, right: 16, top: 8, bottom: 4, containLabel: true },
    xAxis: timeAxis({ start: range.start * 1000, end: range.end * 1000 }, plot.clientWidth),
    yAxis: {
      type: 'category',
      inverse: true,
      data: items.map(({ name }, i) => ({ value: `${i}`, name })),
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: {
        color: styled('weak'),
        fontSize: 11,
        width: Math.min(LABEL_WIDTH, plot.clientWidth / 3),
        overflow: 'truncate',
        formatter: (at) => items[at]?.name ?? '',
      },
    },
    tooltip: {
      ...tooltip(),
      formatter: ({ dataIndex }) => {
        const block = blocks[dataIndex];
        const span = `${clockText(block.from)} to ${clockText(block.to)}`;
        return el(
          'div',
          { class: 'tooltip' },
          el('div', {}, items[block.lane].name),
          el('div', {}, `${span}: ${written(block)}`),
        );
      },
    },
    series: [
      {
        type: 'custom',
        clip: true,
        progressive: 0,
        encode: { x: [0, 1], y: 2 },
        data: blocks.map(({ from, to, lane }) => [from, to, lane]),
        renderItem(_, api) {
          const [left, y] = api.coord([api.value(0), api.value(2)]);
          const [right] = api.coord([api.value(1), api.value(2)]);
          const height = api.size([0, 1])[1] * rowHeight;
          const block = blocks[_.dataIndex];
          return {
            type: 'rect',
            shape: { x: left, y: y - height / 2, width: Math.max(1, right - left), height },
            style: {
              fill: colour(block.state, mode),
              opacity: (items[block.lane].field.custom?.fillOpacity ?? 80) / 100,
            },
          };
        },
      },
    ],
  });
  linkTimeline(chart, plot, context.zoom);
  const text = `States over time. Now: ${spoken(items.map((item) => `${item.name} ${item.text}`))}`;
  plot.setAttribute('aria-label', `${panel.title} ${text}`);
  return text;
}
