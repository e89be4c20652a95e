// The page's state is its address, with Grafana's names: from, to, refresh, var-NAME, theme; d is the dashboard. No DOM.

/**
 * @typedef {{ view: string, dashboard: string, alert: string, from: string, to: string, refresh: string | null,
 *   theme: string, variables: Map<string, string[]>, labels: Map<string, string> }} Address
 */

/** @returns {Address} What is not in the address is empty; `refresh` is null then, and empty means "off". */
export function readAddress(search) {
  const parameters = new URLSearchParams(search);
  const variables = new Map();
  const labels = new Map();
  for (const name of new Set(parameters.keys())) {
    if (name.startsWith('var-')) variables.set(name.slice(4), parameters.getAll(name));
    if (name.startsWith('label-')) labels.set(name.slice(6), parameters.get(name));
  }
  return {
    view: parameters.get('view') ?? 'dashboard',
    dashboard: parameters.get('d') ?? '',
    alert: parameters.get('alert') ?? '',
    from: parameters.get('from') ?? '',
    to: parameters.get('to') ?? '',
    refresh: parameters.get('refresh'),
    theme: parameters.get('theme') ?? '',
    variables,
    labels,
  };
}

/** Return the address as `?…`, in an order that does not change. */
export function writeAddress({ view, dashboard, alert, from, to, refresh, theme, variables, labels }) {
  const parameters = new URLSearchParams();
  if (view && view !== 'dashboard') parameters.set('view', view);
  const single = { d: dashboard, alert, from, to, theme };
  for (const [name, value] of Object.entries(single)) if (value) parameters.set(name, value);
  if (refresh != null) parameters.set('refresh', refresh);
  for (const [name, values] of variables ?? []) {
    for (const value of values) parameters.append(`var-${name}`, value);
  }
  for (const [name, value] of labels ?? []) parameters.set(`label-${name}`, value);
  const text = parameters.toString();
  return text ? `?${text}` : '?';
}

/** Turn a link of a dashboard (`/d/UID?…`, `…/runbooks/ALERT.md`) into the same place on this page, or null. */
export function internalLink(url) {
  const dashboard = /^\/d\/([\w-]+)(?:\/[\w-]*)?\??(.*)$/s.exec(url);
  if (dashboard) {
    const parameters = new URLSearchParams(dashboard[2]);
    parameters.delete('var-datasource');
    return writeAddress({ ...readAddress(parameters.toString()), dashboard: dashboard[1], view: 'dashboard' });
  }
  const runbook = /\/runbooks\/(\w+)\.md(?:#.*)?$/.exec(url);
  if (runbook && runbook[1] !== 'README') return `?view=runbook&alert=${runbook[1]}`;
  return null;
}
