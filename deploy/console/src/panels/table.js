// Labels and numbers as rows and columns, sorted by a click on a heading.
import { el } from '../dom.js';
import { valueColourName, wordColour } from '../palette.js';
import { fieldFor, reduce } from '../reduce.js';
import { themeMode } from '../theme.js';
import { momentText } from '../time.js';
import { format } from '../units.js';
import { replaceIfChanged, seriesLink } from './common.js';

const orders = new WeakMap(); // body -> { column, descending }

/** Draw; returns what a screen reader is told. */
export function table(body, { panel, series, context }) {
  const columns = columnsOf(panel, series);
  const rows = rowsOf(panel, series, columns);
  const order = orders.get(body) ?? initialOrder(panel, columns);
  if (order) rows.sort((a, b) => compare(a[order.column], b[order.column]) * (order.descending ? -1 : 1));
  const sortBy = (column) => {
    const descending = order?.column === column ? !order.descending : columns[column].numeric;
    orders.set(body, { column, descending });
    table(body, { panel, series, context });
    body.querySelectorAll('thead button')[column]?.focus();
  };
  const key = [
    themeMode(),
    order,
    columns.map(({ title }) => title),
    rows.map((row) => row.map(({ text, value }) => [text, value])),
  ];
  replaceIfChanged(body, key, () => [draw({ columns, rows, order, sortBy, panel, context })]);
  return `Table of ${rows.length} rows`;
}

/** Return what a table shows: time, every label, and one number per query. */
function columnsOf(panel, series) {
  const queries = [...new Set(series.map(({ refId }) => refId))];
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.labels)))].filter((name) => name !== '__name__');
  const columns = [
    { key: 'Time', time: true },
    ...labels.map((key) => ({ key, label: true })),
    ...queries.map((refId) => ({ key: queries.length > 1 ? `Value #${refId}` : 'Value', refId, numeric: true })),
  ];
  return columns
    .map((column) => ({
      ...column,
      field: fieldFor(panel, { name: column.key, refId: column.refId, type: typeOf(column) }),
    }))
    .filter(({ field }) => !field.custom?.hidden && !field.custom?.hideFrom?.viz)
    .map((column) => ({ ...column, title: column.field.displayName || column.key }));
}

const typeOf = ({ time, numeric }) => (time ? 'time' : numeric ? 'number' : 'string');

/** Return the rows: series of several queries with the same labels are one. */
function rowsOf(panel, series, columns) {
  const joined = new Map();
  for (const one of series) {
    const { __name__: _, ...labels } = one.labels;
    const key = JSON.stringify(Object.entries(labels).sort());
    const row = joined.get(key) ?? { labels, time: one.values.at(-1)?.[0], numbers: new Map() };
    row.numbers.set(one.refId, reduce(one));
    joined.set(key, row);
  }
  return [...joined.values()].map((row) =>
    columns.map(({ key, time, label, refId, field }) => {
      if (time) return { value: row.time, text: row.time ? momentText(row.time) : '', row };
      if (label) return { value: row.labels[key] ?? '', text: row.labels[key] ?? '', row };
      const value = row.numbers.get(refId);
      return { value, text: value == null ? '' : format(value, field), row };
    }),
  );
}

function initialOrder(panel, columns) {
  const [wanted] = panel.options?.sortBy ?? [];
  const column = columns.findIndex(({ title, key }) => [title, key].includes(wanted?.displayName));
  return column < 0 ? null : { column, descending: Boolean(wanted.desc) };
}

function compare({ value: a }, { value: b }) {
  if (typeof a === 'number' || typeof b === 'number') return (a ?? -Infinity) - (b ?? -Infinity);
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

function draw({ columns, rows, order, sortBy, panel, context }) {
  const mode = themeMode();
  const head = columns.map(({ title, numeric }, i) => {
    const sorted = order?.column === i ? (order.descending ? 'descending' : 'ascending') : 'none';
    const button = el('button', { type: 'button', onclick: () => sortBy(i) }, title);
    return el('th', { scope: 'col', class: numeric ? 'number' : '', 'aria-sort': sorted }, button);
  });
  const cell = ({ text, value, row }, { numeric, field }, first) => {
    const node = el('td', { class: numeric ? 'number' : '' });
    const link = first ? seriesLink(field, row.labels, context) : null;
    node.append(link ? el('a', { href: link.href, title: link.title }, text) : text);
    if (numeric && field.custom?.cellOptions?.type === 'color-text')
      node.style.color = wordColour(valueColourName(field, value), mode);
    return node;
  };
  const body = rows.map((row) =>
    el(
      'tr',
      {},
      row.map((one, i) => cell(one, columns[i], i === 0)),
    ),
  );
  return el(
    'table',
    { class: 'data', 'aria-label': panel.title },
    el('thead', {}, el('tr', {}, head)),
    el('tbody', {}, body),
  );
}
