// Rows and panels where the dashboard puts them: 24 columns; under each heading a grid of its own, which can be closed.
import { el } from './dom.js';
import { PanelFrame } from './panel_frame.js';

const ROW_UNIT_PX = 30;
const GAP_PX = 8;

/**
 * Build all rows of a dashboard.
 *
 * @returns {{ node: HTMLElement, frames: PanelFrame[] }}
 */
export function buildGrid(dashboard, { grafanaUrl, collapsed }) {
  const frames = [];
  const sections = rowsOf(dashboard.panels ?? []).map(({ row, panels }) => {
    const top = Math.min(...panels.map(({ gridPos }) => gridPos.y));
    const boxes = panels.map((panel) => {
      const frame = new PanelFrame(panel, {
        id: `${panel.id ?? frames.length}`,
        grafanaUrl: panelUrl(grafanaUrl, dashboard, panel),
      });
      const { x, y, w, h } = panel.gridPos;
      frame.box.style.gridArea = `${y - top + 1} / ${x + 1} / span ${h} / span ${w}`;
      frame.box.style.setProperty('--tall', `${h * (ROW_UNIT_PX + GAP_PX) - GAP_PX}px`);
      frame.box.classList.toggle('narrow', w <= 6);
      frames.push(frame);
      return frame.box;
    });
    const grid = el('div', { class: 'grid' }, boxes);
    if (!row) return grid;
    const details = el(
      'details',
      { class: 'row', open: !(collapsed ?? row.collapsed) },
      el('summary', {}, el('h2', {}, row.title)),
      grid,
    );
    return details;
  });
  return { node: el('div', { class: 'rows' }, sections), frames };
}

/** Return the panels under each heading; those of a closed row lie in the row itself. */
function rowsOf(panels) {
  const rows = [];
  for (const panel of panels) {
    if (panel.type === 'row') rows.push({ row: panel, panels: [...(panel.panels ?? [])] });
    else if (!rows.length) rows.push({ row: null, panels: [panel] });
    else rows.at(-1).panels.push(panel);
  }
  return rows.filter(({ panels: inside }) => inside.length);
}

const panelUrl = (grafanaUrl, { uid }, { id }) =>
  grafanaUrl && uid ? `${grafanaUrl.replace(/\/$/, '')}/d/${uid}?viewPanel=${id}` : null;
