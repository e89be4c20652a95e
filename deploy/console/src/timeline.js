// What all charts over time share: one crosshair, and a drag that zooms into a range.
import { el } from './dom.js';

const linked = new Map(); // chart -> { line, node }

/** Link a chart to the others; `zoom(from, to)` is called with epoch milliseconds. Safe to call at each drawing. */
export function linkTimeline(chart, node, zoom) {
  if (linked.has(chart)) {
    linked.get(chart).zoom = zoom;
    return;
  }
  const line = el('div', { class: 'crosshair', hidden: true });
  const band = el('div', { class: 'zoom-band', hidden: true });
  node.append(line, band);
  const link = { line, node, zoom };
  linked.set(chart, link);
  let dragged = null;
  const surface = chart.getZr();
  const inside = ({ offsetX, offsetY }) => chart.containPixel('grid', [offsetX, offsetY]);
  const timeAt = (x) => chart.convertFromPixel({ xAxisIndex: 0 }, x);

  surface.on('mousedown', (event) => {
    if (event.event.button === 0 && inside(event)) dragged = { from: event.offsetX, to: event.offsetX };
  });
  surface.on('mousemove', (event) => {
    if (dragged) {
      dragged.to = event.offsetX;
      const width = Math.abs(dragged.to - dragged.from);
      band.hidden = width < 4;
      band.style.left = `${Math.min(dragged.from, dragged.to)}px`;
      band.style.width = `${width}px`;
    }
    point(chart, inside(event) ? timeAt(event.offsetX) : null);
  });
  surface.on('globalout', () => point(chart, null));
  const released = () => {
    if (!dragged) return;
    const ends = [dragged.from, dragged.to].sort((a, b) => a - b);
    dragged = null;
    band.hidden = true;
    if (ends[1] - ends[0] >= 4) link.zoom(Math.round(timeAt(ends[0])), Math.round(timeAt(ends[1])));
  };
  surface.on('mouseup', released);
  addEventListener('mouseup', released);
}

/** Show the time under the pointer on every other chart. */
function point(source, at) {
  for (const [chart, { line, node }] of linked) {
    if (!node.isConnected || chart.isDisposed()) {
      linked.delete(chart);
      continue;
    }
    const x = at == null || chart === source ? null : chart.convertToPixel({ xAxisIndex: 0 }, at);
    const shown = x != null && chart.containPixel('grid', [x, node.clientHeight / 3]);
    line.hidden = !shown;
    if (shown) line.style.transform = `translateX(${x}px)`;
  }
}
