// Grafana's variables and built-ins inside PromQL, legends, titles and links. No DOM.

/**
 * @typedef {{ name: string, label: string, description: string, multi: boolean, includeAll: boolean,
 *   allValue: string | null, hidden: boolean, options: string[], all: boolean, selected: string[] }} Choice
 */

// Grafana writes a pattern into a PromQL string, so that what escapes a character is escaped itself.
const escapeForPattern = (text) => text.replace(/[\\^$*+?.()|[\]{}]/g, '\\\\$&').replaceAll('"', '\\"');
const escapeForString = (text) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');

/** Return what a variable is replaced with, in one of Grafana's formats. */
export function variableValue(choice, format) {
  if (format === 'queryparam') return queryParam(choice);
  if (choice.all && choice.allValue) return choice.allValue;
  const values = choice.all ? choice.options : choice.selected;
  // Nothing to choose from: an empty group would match nothing at all, All has to match everything.
  if (!values.length) return choice.includeAll ? '.*' : '';
  if (format === 'csv' || format === 'raw') return values.join(',');
  if (format === 'pipe') return values.join('|');
  if (format === 'text') return choice.all ? 'All' : values.join(' + ');
  if (format === 'percentencode') return values.map(encodeURIComponent).join(',');
  if (!choice.multi && !choice.includeAll && format !== 'regex') return escapeForString(values[0]);
  const patterns = values.map(escapeForPattern);
  return patterns.length === 1 ? patterns[0] : `(${patterns.join('|')})`;
}

function queryParam({ name, all, selected }) {
  const values = all ? ['$__all'] : selected;
  return values.map((value) => `var-${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&');
}

const REFERENCE = /\$\{([\w.]+)(?::([\w]+))?\}|\[\[(\w+)(?::(\w+))?\]\]|\$(\w+)/g;

/** Replace `$name`, `${name:format}` and `[[name]]`; what nobody knows stays as it is. */
export function interpolate(text, choices, builtins = {}) {
  return String(text ?? '').replace(REFERENCE, (whole, braced, format, bracketed, bracketedFormat, bare) => {
    const name = braced ?? bracketed ?? bare;
    if (Object.hasOwn(builtins, name)) return builtins[name];
    const choice = choices.get(name);
    return choice ? variableValue(choice, format ?? bracketedFormat) : whole;
  });
}

/** Return Grafana's built-ins of a panel's range. */
export function builtinsOf({ rangeMs, stepS, scrapeS }) {
  const rangeS = Math.round(rangeMs / 1000);
  return {
    __interval: `${stepS}s`,
    __interval_ms: String(stepS * 1000),
    __rate_interval: `${Math.max(stepS + scrapeS, 4 * scrapeS)}s`,
    __range: `${rangeS}s`,
    __range_s: String(rangeS),
    __range_ms: String(Math.round(rangeMs)),
  };
}

/** Return the name of a series: the legend with its labels filled in, or the series as Prometheus writes it. */
export function seriesName({ legendFormat, refId }, labels) {
  if (legendFormat && legendFormat !== '__auto') {
    return legendFormat
      .replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, label) => labels[label] ?? '')
      .replace(/\s+/g, ' ')
      .trim();
  }
  const { __name__: name = '', ...rest } = labels;
  const pairs = Object.entries(rest).map(([label, value]) => `${label}="${value}"`);
  return pairs.length ? `${name}{${pairs.join(', ')}}` : name || refId || 'Value';
}

/** Read `label_values(metric, label)` or `label_values(label)`; null if a variable's query is something else. */
export function labelValuesQuery(text) {
  const match = /^\s*label_values\(\s*(?:(.+),)?\s*([a-zA-Z_]\w*)\s*\)\s*$/s.exec(text ?? '');
  return match && { selector: match[1]?.trim() || null, label: match[2] };
}

/** Return a variable's PromQL query, which is a text or an object in the dashboard. */
export const queryText = ({ query, definition }) =>
  typeof query === 'string' ? query : (query?.query ?? definition ?? '');

/** Return the options of a variable, filtered by its `regex` and in its `sort` order. */
export function orderedOptions(values, { regex, sort }) {
  const pattern = /^\/(.*)\/([a-z]*)$/s.exec(regex ?? '');
  let kept = values;
  if (pattern) {
    const expression = new RegExp(pattern[1], pattern[2].replace('g', ''));
    kept = values
      .map((value) => expression.exec(value))
      .filter(Boolean)
      .map((hit) => hit[1] ?? hit[0]);
  }
  const unique = [...new Set(kept)];
  if (!sort) return unique;
  unique.sort((a, b) => a.localeCompare(b, 'en', { numeric: sort >= 3 }));
  return sort % 2 === 0 ? unique.reverse() : unique;
}

/**
 * Make the choice of a variable from what the address asks for, else from the dashboard's default.
 *
 * @param {string[]} asked Values of `var-NAME` in the address.
 * @returns {Choice}
 */
export function choiceOf(variable, options, asked) {
  const wanted = asked.length ? asked : [variable.current?.value ?? []].flat();
  const saysAll = wanted.includes('$__all') || wanted.includes('All');
  // What was asked for may have gone quiet: it stays chosen, so that a reload does not widen the question.
  const selected = saysAll ? [] : wanted.filter((value) => value !== '' && (asked.length || options.includes(value)));
  const all = Boolean(variable.includeAll) && (saysAll || !selected.length);
  return {
    name: variable.name,
    label: variable.label || variable.name,
    description: variable.description ?? '',
    multi: Boolean(variable.multi),
    includeAll: Boolean(variable.includeAll),
    allValue: variable.allValue || null,
    hidden: variable.hide === 2 || variable.type === 'constant',
    options,
    all,
    selected: all ? [] : selected.length ? selected : options.slice(0, 1),
  };
}
