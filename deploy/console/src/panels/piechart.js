// Shares of a whole, largest first, as a ring or a disc with a legend that carries the numbers.
import { drawChart, tooltip } from '../chart.js';
import { el } from '../dom.js';
import { fieldColour } from '../palette.js';
import { styled, themeMode } from '../theme.js';
import { format } from '../units.js';
import { itemsOf, replaceIfChanged, seriesLabel, spoken } from './common.js';

/** Draw; returns what a screen reader is told. */
export function piechart(body, { panel, series, context }) {
  const mode = themeMode();
  const items = itemsOf(panel, series)
    .map((item) => ({ ...item, colour: fieldColour(item.field, item.index, item.value, mode) }))
    .sort((a, b) => b.value - a.value);
  const total = items.reduce((sum, { value }) => sum + Math.max(0, value || 0), 0);
  const percent = ({ value }) =>
    total > 0 ? format((100 * Math.max(0, value || 0)) / total, { unit: 'percent', decimals: 0 }) : '–';
  if (!body.querySelector('.pie')) {
    body.replaceChildren(
      el('div', { class: 'pie' }, el('div', { class: 'plot', role: 'img' }), el('div', { class: 'legend' })),
    );
  }
  const text = spoken(
    items.map((item) => `${item.name} ${percent(item)}`),
    10,
  );
  const plot = body.querySelector('.plot');
  plot.setAttribute('aria-label', `${panel.title} Shares: ${text}`);
  drawChart(plot, {
    tooltip: {
      ...tooltip(),
      formatter: ({ dataIndex }) =>
        el('div', {}, `${items[dataIndex].name}: ${items[dataIndex].text} (${percent(items[dataIndex])})`),
    },
    series: [
      {
        type: 'pie',
        radius: panel.options?.pieType === 'pie' ? ['0%', '92%'] : ['52%', '92%'],
        label: { show: false },
        itemStyle: { borderColor: styled('panel'), borderWidth: 1 },
        emphasis: { scale: false },
        data: items.map(({ name, value, colour }) => ({
          name,
          value: Math.max(0, value || 0),
          itemStyle: { color: colour },
        })),
      },
    ],
  });
  const { showLegend = true, values = ['percent'] } = panel.options?.legend ?? {};
  const legend = body.querySelector('.legend');
  legend.hidden = !showLegend;
  replaceIfChanged(legend, [mode, items.map((item) => [item.name, item.text])], () => [
    table(items, { values, percent, context, panel }),
  ]);
  return `Shares: ${text}`;
}

function table(items, { values, percent, context, panel }) {
  const rows = items.map((item) => {
    const swatch = el('span', { class: 'swatch dot' });
    swatch.style.background = item.colour;
    const numbers = values.map((kind) => el('td', { class: 'number' }, kind === 'percent' ? percent(item) : item.text));
    return el(
      'tr',
      {},
      el('th', { scope: 'row' }, el('span', { class: 'entry' }, swatch, seriesLabel(item, context, { class: 'name' }))),
      numbers,
    );
  });
  return el('table', { 'aria-label': `Shares: ${panel.title}` }, el('tbody', {}, rows));
}
