// What several kinds of panels need: the names and numbers of what a query returned, and where a series leads.
import { internalLink } from '../address.js';
import { el } from '../dom.js';
import { fieldFor, reduce } from '../reduce.js';
import { interpolate } from '../template.js';
import { format } from '../units.js';

/** Return one item per series: its field, its number by the panel's calculation, its text. */
export function itemsOf(panel, series) {
  const calculation = panel.options?.reduceOptions?.calcs?.[0] ?? 'lastNotNull';
  return series.map((one, index) => {
    const field = fieldFor(panel, one);
    const value = reduce(one, calculation);
    return { ...one, index, field, value, name: field.displayName || one.name, text: format(value, field) };
  });
}

/** Return where a click on a series leads, or null: the first link of its field, with its labels filled in. */
export function seriesLink(field, labels, context) {
  const [link] = field.links ?? [];
  if (!link) return null;
  const filled = interpolate(
    link.url
      .replace(/\$\{__field\.labels\.(\w+)\}/g, (_, label) => encodeURIComponent(labels[label] ?? ''))
      .replace('${__url_time_range}', `from=${context.address.from}&to=${context.address.to}`)
      .replace('${datasource:queryparam}', ''),
    context.choices,
  ).replace(/&var-\w+=(?=&|$)/g, '');
  const href = internalLink(filled);
  return href && { href, title: interpolate(link.title, context.choices) };
}

/** Return a series' name: a link where its field has one. */
export function seriesLabel(item, context, props = {}) {
  const link = seriesLink(item.field, item.labels, context);
  if (!link) return el('span', { ...props, title: item.name }, item.name);
  return el('a', { ...props, href: link.href, title: `${item.name}: ${link.title}` }, item.name);
}

/** Replace an element's children only if they would look different: the reader may be selecting or focusing them. */
export function replaceIfChanged(node, key, make) {
  const text = JSON.stringify(key);
  if (node.dataset.shown === text) return;
  node.dataset.shown = text;
  node.replaceChildren(...make());
}

/** Join a few of many texts for a screen reader. */
export function spoken(texts, most = 6) {
  const shown = texts.slice(0, most).join(', ');
  return texts.length > most ? `${shown} and ${texts.length - most} more` : shown;
}
