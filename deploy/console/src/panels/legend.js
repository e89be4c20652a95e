// The legend of a chart: a list, or a table with the numbers that the dashboard asks for. A click shows one series alone.
import { calculationTitle, reduce } from '../reduce.js';
import { el } from '../dom.js';
import { format } from '../units.js';
import { replaceIfChanged, seriesLabel } from './common.js';

/**
 * Draw the legend of `items` (name, field, labels, colour).
 *
 * @param {Set<string>} hidden Names that are not drawn.
 * @param {() => void} changed Called after `hidden` has changed.
 */
export function drawLegend(node, { items, options, hidden, changed, context, title }) {
  const { showLegend = true, displayMode = 'list', placement = 'bottom', calcs = [] } = options ?? {};
  node.hidden = !showLegend || displayMode === 'hidden';
  node.parentElement.classList.toggle('legend-right', placement === 'right');
  if (node.hidden) return;
  const asTable = displayMode === 'table' && calcs.length > 0;
  const rows = items.map((item) => ({
    item,
    off: hidden.has(item.name),
    texts: calcs.map((calculation) => format(reduce(item, calculation), item.field)),
  }));
  const key = [asTable, calcs, rows.map(({ item, off, texts }) => [item.name, item.colour, off, texts])];
  replaceIfChanged(node, key, () => [asTable ? table(rows, calcs) : list(rows, calcs)]);

  function toggle(name, event) {
    const others = items.map((item) => item.name).filter((other) => other !== name);
    if (event.ctrlKey || event.metaKey || event.shiftKey) {
      if (!hidden.delete(name)) hidden.add(name);
    } else {
      const alone = !hidden.has(name) && others.length && others.every((other) => hidden.has(other));
      hidden.clear();
      if (!alone) for (const other of others) hidden.add(other);
    }
    const at = [...node.querySelectorAll('button')].indexOf(document.activeElement);
    changed();
    node.querySelectorAll('button')[at]?.focus();
  }

  function entry({ item, off }) {
    const swatch = el('span', { class: 'swatch' });
    swatch.style.background = item.colour;
    const button = el(
      'button',
      {
        type: 'button',
        class: 'series',
        'aria-pressed': String(!off),
        title: `${item.name}: click to show it alone, with Ctrl to hide it`,
        onclick: (event) => toggle(item.name, event),
      },
      swatch,
      el('span', { class: 'name' }, item.name),
    );
    const label = seriesLabel(item, context, { class: 'open' });
    if (label.tagName !== 'A') return [button];
    label.textContent = '›';
    label.setAttribute('aria-label', label.title);
    return [button, label];
  }

  function table(shown, headings) {
    const head = el('tr', {}, el('th', { scope: 'col' }, 'Series'));
    head.append(...headings.map((id) => el('th', { scope: 'col', class: 'number' }, calculationTitle(id))));
    const body = shown.map((row) =>
      el(
        'tr',
        { class: row.off ? 'off' : '' },
        el('th', { scope: 'row' }, el('span', { class: 'entry' }, entry(row))),
        row.texts.map((text) => el('td', { class: 'number' }, text)),
      ),
    );
    return el('table', { 'aria-label': `Series of ${title}` }, el('thead', {}, head), el('tbody', {}, body));
  }

  function list(shown, headings) {
    const entries = shown.map((row) => {
      const numbers = row.texts.map((text, i) => `${calculationTitle(headings[i])}: ${text}`);
      return el('li', { class: row.off ? 'off' : '' }, entry(row), numbers.length ? ` ${numbers.join(' ')}` : null);
    });
    return el('ul', { 'aria-label': `Series of ${title}` }, entries);
  }
}
