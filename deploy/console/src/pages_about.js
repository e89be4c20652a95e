// Which dashboards show what an alert is about. No DOM.

/** Return the address of the dashboard about one model. */
export function modelPage({ namespace, model_name: model, model_version: version }) {
  return page('infermeter-model', { namespace, model, version });
}

/** Return the dashboards to look at next, as `[text, address]`. */
export function pagesAbout(alert, labels) {
  const pages = [];
  if (labels.model_name) pages.push(['The model’s dashboard', modelPage(labels)]);
  if (labels.UUID || labels.gpu) pages.push(['The GPU’s node', page('infermeter-gpu-fleet', { host: labels.host })]);
  if (labels.pipeline) pages.push(['All pipelines', page('infermeter-overview', { namespace: labels.namespace })]);
  if (/^(Telemetry|Collector|Scrape|Rule)/.test(alert))
    pages.push(['Telemetry health', page('infermeter-telemetry-health', {})]);
  return pages;
}

function page(uid, chosen) {
  const parameters = new URLSearchParams({ d: uid });
  for (const [name, value] of Object.entries(chosen)) if (value) parameters.append(`var-${name}`, value);
  return `?${parameters}`;
}
