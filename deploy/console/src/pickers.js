// The choices above a dashboard as controls: one per variable, the time range, the refresh interval.
import { el } from './dom.js';
import { parseTime, rangeLabel } from './time.js';

const SEARCHED_FROM = 9; // options: below that, a search field is in the way

/** A control that opens below its button, and closes on Escape and on a click elsewhere. */
function dropdown({ name, key, value, title, content }) {
  const summary = el(
    'summary',
    { title },
    key ? el('span', { class: 'key' }, key) : null,
    el('span', { class: 'value' }, value),
  );
  const box = el(
    'details',
    { class: 'picker', 'data-picker': name },
    summary,
    el('div', { class: 'menu', tabindex: '-1' }, content),
  );
  box.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !box.open) return;
    box.open = false;
    summary.focus();
  });
  box.addEventListener('focusout', ({ relatedTarget }) => {
    if (relatedTarget && !box.contains(relatedTarget)) box.open = false;
  });
  return box;
}

/** Close every open control but the one that was clicked. */
export function closeOthers(root) {
  document.addEventListener('click', ({ target }) => {
    for (const box of root.querySelectorAll('details.picker[open]')) if (!box.contains(target)) box.open = false;
  });
}

/** A variable's control; `chosen({ all, selected })` is called when the reader has chosen. */
export function variablePicker(choice, chosen) {
  const kind = choice.multi ? 'checkbox' : 'radio';
  const value = choice.all ? 'All' : choice.selected.join(' + ') || '–';
  const items = [];
  const item = (text, checked, pick) => {
    const input = el('input', { type: kind, name: `var-${choice.name}`, checked, onchange: pick });
    const label = el('label', {}, input, el('span', {}, text));
    items.push({ label, text });
    return label;
  };
  const options = [...new Set([...choice.options, ...choice.selected])];
  const pick = (option) => (event) => {
    if (!choice.multi) return chosen({ all: false, selected: [option] });
    const others = choice.all ? [] : choice.selected.filter((one) => one !== option);
    const selected = event.target.checked ? [...others, option] : others;
    return chosen({ all: choice.includeAll && !selected.length, selected });
  };
  const list = el('div', { class: 'options', role: 'group', 'aria-label': choice.label });
  if (choice.includeAll) list.append(item('All', choice.all, () => chosen({ all: true, selected: [] })));
  for (const option of options)
    list.append(item(option, !choice.all && choice.selected.includes(option), pick(option)));
  if (!options.length) list.append(el('p', { class: 'hint' }, 'Nothing to choose from in this time range'));
  const search = el('input', {
    type: 'search',
    placeholder: 'Search',
    'aria-label': `Search ${choice.label}`,
    oninput: () => {
      const wanted = search.value.toLowerCase();
      for (const { label, text } of items) label.hidden = !text.toLowerCase().includes(wanted);
    },
  });
  const content = [options.length >= SEARCHED_FROM ? search : null, list];
  return dropdown({ name: choice.name, key: choice.label, value, title: choice.description, content });
}

const RANGES = ['5m', '15m', '1h', '6h', '12h', '24h', '2d', '7d', '30d'];

/** The control of the time range; `chosen({ from, to })` gets texts in Grafana's notation. */
export function rangePicker({ from, to }, ranges, chosen) {
  const quick = (ranges ?? RANGES).map((length) => {
    const start = `now-${length}`;
    const current = from === start && to === 'now';
    return el(
      'button',
      { type: 'button', 'aria-current': current ? 'true' : null, onclick: () => chosen({ from: start, to: 'now' }) },
      rangeLabel(start, 'now'),
    );
  });
  const start = el('input', { type: 'text', value: from, spellcheck: false, 'aria-label': 'From' });
  const end = el('input', { type: 'text', value: to, spellcheck: false, 'aria-label': 'To' });
  const wrong = el(
    'p',
    { class: 'hint wrong', role: 'alert', hidden: true },
    'Write now-90m, now/d, or a date like 2026-11-27 14:00',
  );
  const apply = (event) => {
    event.preventDefault();
    const [a, b] = [start.value, end.value].map((text) => parseTime(text.trim(), Date.now()));
    wrong.hidden = a < b;
    if (a < b) chosen({ from: address(start.value), to: address(end.value) });
  };
  const form = el(
    'form',
    { onsubmit: apply },
    el('label', {}, 'From', start),
    el('label', {}, 'To', end),
    wrong,
    el('button', { type: 'submit', class: 'primary' }, 'Use this range'),
  );
  const content = [el('div', { class: 'options', role: 'group', 'aria-label': 'Quick ranges' }, quick), form];
  return dropdown({
    name: 'range',
    value: rangeLabel(from, to),
    title: 'Time range; drag over a chart to zoom in',
    content,
  });
}

const address = (text) => (text.trim().startsWith('now') ? text.trim() : String(parseTime(text.trim(), 0)));

/** The control of the refresh interval; `chosen` gets Grafana's text, empty for off. */
export function refreshPicker(current, intervals, chosen) {
  const select = el('select', {
    'aria-label': 'Refresh every',
    title: 'Refresh every',
    onchange: () => chosen(select.value),
  });
  for (const value of [...new Set(['', ...intervals, current])].filter((text) => text != null)) {
    select.append(el('option', { value, selected: value === current }, value || 'Off'));
  }
  return select;
}
