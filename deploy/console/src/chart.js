// ECharts with only the parts we draw with, one instance per element, and the looks that all charts share.
import { BarChart, CustomChart, GaugeChart, LineChart, PieChart } from 'echarts/charts';
import {
  AriaComponent,
  AxisPointerComponent,
  GridComponent,
  MarkLineComponent,
  TooltipComponent,
} from 'echarts/components';
import * as echarts from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';

import { axisStart } from './panels/lines.js';
import { styled } from './theme.js';
import { clockText, dateText, stepSeconds } from './time.js';
import { formatTick, tickStep } from './units.js';

echarts.use([
  AriaComponent, AxisPointerComponent, BarChart, CanvasRenderer, CustomChart, GaugeChart, GridComponent, LineChart,
  MarkLineComponent, PieChart, TooltipComponent,
]); // prettier-ignore

const FAMILY = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) echarts.getInstanceByDom(target)?.resize();
});

/** Draw into an element; the first time, a chart is made there. */
export function drawChart(node, option) {
  let chart = echarts.getInstanceByDom(node);
  if (!chart) {
    chart = echarts.init(node, null, { renderer: 'canvas' });
    resized.observe(node);
  }
  chart.setOption(
    { animation: false, textStyle: { fontFamily: FAMILY, color: styled('text') }, ...option },
    { replaceMerge: ['series', 'xAxis', 'yAxis'] },
  );
  return chart;
}

/** Free what the charts below an element hold. */
export function disposeCharts(root) {
  for (const node of root.querySelectorAll('[_echarts_instance_]')) {
    resized.unobserve(node);
    echarts.getInstanceByDom(node)?.dispose();
  }
}

export const tooltip = () => ({
  backgroundColor: styled('panel'),
  borderColor: styled('border-strong'),
  borderWidth: 1,
  padding: [6, 10],
  textStyle: { color: styled('text'), fontSize: 12 },
  confine: true,
  transitionDuration: 0,
  className: 'chart-tooltip',
});

const HOUR_MS = 36e5;
const LABEL_PX = 74;

function tickText(at, spanMs, stepMs) {
  const day = dateText(at).slice(5).replace('-', '/');
  if (stepMs >= 24 * HOUR_MS) return day;
  if (spanMs > 24 * HOUR_MS) return `${day} ${clockText(at).slice(0, 5)}`;
  return stepMs < 6e4 ? clockText(at) : clockText(at).slice(0, 5);
}

/** Return the axis of time from `start` to `end`, in epoch milliseconds. */
export const timeAxis = ({ start, end }, width = 500) => {
  const stepMs = 1000 * stepSeconds(end - start, Math.max(2, (width - LABEL_PX) / LABEL_PX), 1);
  return {
    ...timeAxisLooks(start, end, stepMs),
    type: 'time',
    min: start,
    max: end,
    minInterval: stepMs,
    maxInterval: stepMs,
  };
};

const timeAxisLooks = (start, end, stepMs) => ({
  axisLine: { lineStyle: { color: styled('grid') } },
  axisTick: { show: false },
  splitLine: { show: true, lineStyle: { color: styled('grid') } },
  axisLabel: {
    color: styled('weak'),
    fontSize: 11,
    hideOverlap: true,
    showMinLabel: false,
    showMaxLabel: false,
    formatter: (at) => tickText(at, end - start, stepMs),
  },
});

/** Return an axis of values from `low` to `high` whose ticks are round in the field's unit. */
export function valueAxis({ low, high, field, height = 200 }) {
  const from = field.min ?? axisStart({ low, high, field });
  let to = field.max ?? high;
  if (!(to > from)) to = from + (from ? Math.abs(from) * 0.1 : field.unit === 'percentunit' ? 0.01 : 1);
  const ticks = Math.max(2, Math.floor(height / 45));
  const scale = field.unit === 'percentunit' ? 100 : 1;
  const step = tickStep((to - from) * scale, ticks, field.unit) / scale;
  const min = field.min ?? Math.floor(from / step + 1e-9) * step;
  const max = field.max ?? Math.ceil(to / step - 1e-9) * step;
  return {
    type: 'value',
    min,
    max,
    interval: step,
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: styled('grid') } },
    axisLabel: {
      color: styled('weak'),
      fontSize: 11,
      formatter: (value) => formatTick(Math.abs(value) < step / 1e6 ? 0 : value, step, field),
    },
  };
}

export const GRID = { left: 10, right: 16, top: 12, bottom: 4, containLabel: true };
