// What fires, since when, why, and what to do; below it, every rule that watches and is quiet.
import { alertChart } from '../alert_chart.js';
import { sayAway } from '../banner.js';
import { disposeCharts } from '../chart.js';
import { explainAddress, EXPLAINED } from '../diagnosis.js';
import { el } from '../dom.js';
import { Loop } from '../loop.js';
import { markdown } from '../markdown.js';
import { timeseries } from '../panels/timeseries.js';
import { AwayError, QueryError } from '../prometheus.js';
import { refreshPicker } from '../pickers.js';
import { pagesAbout } from '../pages_about.js';
import { filledIn } from '../runbook_places.js';
import { readRunbook, silencedLabels } from '../server.js';
import { agoText, clockText, durationMs, momentText } from '../time.js';

const MOST_CARDS = 60;
const REFRESHES = ['5s', '10s', '30s', '1m', '5m'];
const RANK = { critical: 0, warning: 1, info: 2 };
const STATES = { firing: 0, pending: 1 };

/** Show the page of alerts. */
export function alertsView(root, page) {
  return new AlertsView(root, page);
}

class AlertsView {
  #root;
  #page;
  #cards = new Map();
  #loop = new Loop((signal) => this.#refresh(signal));
  #status = el('span', { class: 'status' });
  #toolbar = el('div', { class: 'toolbar', role: 'toolbar', 'aria-label': 'What is shown' });
  #printed = el('p', { class: 'printed' });
  #active = el('div', { class: 'alerts' });
  #quiet = el('section', { class: 'quiet' });

  constructor(root, page) {
    this.#root = root;
    this.#page = page;
    root.replaceChildren(
      el('div', { class: 'head' }, el('h1', {}, 'Alerts'), this.#toolbar, this.#printed),
      this.#active,
      this.#quiet,
    );
    this.#drawToolbar();
    this.#loop.now();
  }

  #drawToolbar() {
    const { address, go } = this.#page;
    const refresh = refreshPicker(this.#refreshText, REFRESHES, (text) => go({ ...address, refresh: text }));
    const focused = this.#toolbar.contains(document.activeElement);
    this.#toolbar.replaceChildren(el('span', { class: 'grow' }), this.#status, refresh);
    if (focused) refresh.focus();
  }

  get #refreshText() {
    return this.#page.address.refresh ?? '10s';
  }

  changed() {
    this.#drawToolbar();
    this.#loop.now();
  }

  redraw() {
    for (const card of this.#cards.values()) card.draw();
  }

  stop() {
    this.#loop.stop();
    disposeCharts(this.#root);
  }

  async #refresh(signal) {
    const { prometheus, banner } = this.#page;
    try {
      const [rules, silenced] = await Promise.all([prometheus.alertingRules(signal), silencedLabels()]);
      sayAway(banner, null);
      await this.#show(rules, silenced, signal);
      this.#status.textContent = `updated ${clockText(Date.now())}`;
      this.#status.className = 'status ok';
      this.#printed.textContent = `As of ${momentText(Date.now())}`;
      this.#loop.every(durationMs(this.#refreshText));
      document.body.dataset.ready = '1';
    } catch (error) {
      if (!(error instanceof AwayError || error instanceof QueryError)) throw error;
      if (error instanceof AwayError) sayAway(banner, error);
      this.#status.textContent = error instanceof AwayError ? 'Prometheus is away' : error.message;
      this.#status.className = 'status bad';
      this.#loop.every(5000);
    }
  }

  async #show(rules, silenced, signal) {
    const active = activeOf(rules, silenced);
    const shown = new Map();
    for (const one of active.slice(0, MOST_CARDS)) {
      shown.set(one.key, this.#cards.get(one.key) ?? new AlertCard(one, this.#page));
    }
    this.#cards = shown;
    const cards = active.slice(0, MOST_CARDS).map((one) => shown.get(one.key).say(one));
    const rest = active.length - cards.length;
    arrange(this.#active, [
      ...(cards.length ? cards : [this.#allQuiet(rules)]),
      ...(rest > 0 ? [el('p', { class: 'hint' }, `and ${rest} more; Alertmanager groups them`)] : []),
    ]);
    this.#showQuiet(rules);
    const firing = active.filter(({ alert }) => alert.state === 'firing').length;
    document.title = firing ? `(${firing}) Alerts · infermeter` : 'Alerts · infermeter';
    for (const card of shown.values()) await card.update(signal);
  }

  #allQuiet(rules) {
    const text = rules.length
      ? `Nothing fires. ${rules.length} rules are watching.`
      : 'Prometheus has no alert rules loaded: infermeter up loads ours.';
    return el('p', { class: 'all-quiet' }, text);
  }

  #showQuiet(rules) {
    const rows = rules
      .toSorted((a, b) => a.name.localeCompare(b.name))
      .map((rule) => {
        const broken = rule.health === 'err' ? ` – cannot be evaluated: ${rule.lastError}` : '';
        return el(
          'tr',
          {},
          el('th', { scope: 'row' }, el('a', { href: `?view=runbook&alert=${rule.name}` }, rule.name)),
          el('td', {}, rule.labels?.severity ?? '–'),
          el('td', { class: rule.state === 'firing' ? 'bad' : '' }, (rule.state ?? 'inactive') + broken),
          el('td', {}, rule.duration ? `${agoText(rule.duration * 1000)}` : 'at once'),
          el('td', {}, rule.group),
        );
      });
    const key = JSON.stringify(rules.map(({ name, state, health, lastError }) => [name, state, health, lastError]));
    if (this.#quiet.dataset.shown === key) return;
    this.#quiet.dataset.shown = key;
    const head = ['Alert', 'Severity', 'State', 'Fires after', 'Group'].map((text) => el('th', { scope: 'col' }, text));
    this.#quiet.replaceChildren(
      el('h2', {}, 'Every alert rule'),
      el(
        'div',
        { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Every alert rule' },
        el('table', { class: 'data' }, el('thead', {}, el('tr', {}, head)), el('tbody', {}, rows)),
      ),
    );
  }
}

/** Put children in order without moving those that stand right, so that focus and open runbooks stay. */
function arrange(node, children) {
  children.forEach((child, i) => {
    if (node.children[i] !== child) node.insertBefore(child, node.children[i] ?? null);
  });
  while (node.children.length > children.length) node.lastElementChild.remove();
}

/** Return what is active, the worst first. A watchdog fires always, to prove that alerts arrive: it is no trouble. */
function activeOf(rules, silenced) {
  const active = rules.flatMap((rule) =>
    (rule.alerts ?? []).map((alert) => ({
      rule,
      alert,
      severity: alert.labels.severity ?? 'none',
      silenced: silenced.some((labels) => sameLabels(labels, alert.labels)),
      key: JSON.stringify(Object.entries(alert.labels).sort()),
    })),
  );
  return active
    .filter(({ rule, severity }) => rule.name !== 'Watchdog' && severity !== 'none')
    .sort(
      (a, b) =>
        STATES[a.alert.state] - STATES[b.alert.state] ||
        (RANK[a.severity] ?? 3) - (RANK[b.severity] ?? 3) ||
        a.key.localeCompare(b.key),
    );
}

/** Alertmanager may know more labels than Prometheus (external ones), never other values. */
const sameLabels = (theirs, ours) => Object.entries(ours).every(([name, value]) => theirs[name] === value);

class AlertCard {
  #page;
  #one;
  #since = el('span', { class: 'since' });
  #state = el('span', { class: 'state' });
  #summary = el('h2');
  #description = el('p', { class: 'description' });
  #body = el('div', { class: 'body' });
  #why = el('figure', { class: 'why' });
  #chart = null;

  constructor(one, page) {
    this.#page = page;
    this.#one = one;
    const { alert, rule, severity } = one;
    const caption = el('figcaption', {}, 'Why: the value of the rule against its limit');
    this.#why.append(this.#body, caption);
    this.node = el(
      'article',
      { class: `alert ${severity}`, 'aria-label': `${severity}: ${rule.name}` },
      el(
        'header',
        {},
        el('span', { class: `severity ${severity}` }, severity),
        el('span', { class: 'alertname' }, rule.name),
        this.#state,
        this.#since,
      ),
      this.#summary,
      this.#description,
      el(
        'div',
        { class: 'columns' },
        this.#why,
        el('div', { class: 'what' }, this.#labels(alert), this.#links(), this.#runbook(rule.name)),
      ),
    );
  }

  /** Say what is known now. */
  say(one) {
    this.#one = one;
    const { alert, rule, silenced } = one;
    const since = Date.parse(alert.activeAt);
    this.#summary.textContent = alert.annotations.summary ?? rule.name;
    this.#description.textContent = alert.annotations.description ?? '';
    this.#state.textContent = `${alert.state}${silenced ? ', silenced' : ''}`;
    this.#since.textContent = `since ${clockText(since)} (${agoText(Date.now() - since)})`;
    this.#since.title = momentText(since);
    this.node.classList.toggle('silenced', silenced);
    this.node.dataset.state = alert.state;
    return this.node;
  }

  async update(signal) {
    const { rule, alert } = this.#one;
    const { prometheus, config } = this.#page;
    try {
      this.#chart = await alertChart(rule, alert, {
        prometheus,
        scrapeS: config.scrape_interval_s || 15,
        now: Date.now(),
        signal,
      });
    } catch (error) {
      if (error.name === 'AbortError' || error instanceof AwayError) throw error;
      this.#chart = null;
    }
    this.draw();
  }

  draw() {
    this.#why.hidden = !this.#chart;
    if (!this.#chart || !this.node.isConnected) return;
    const context = { choices: new Map(), address: this.#page.address, zoom() {} };
    timeseries(this.#body, { ...this.#chart, context });
  }

  #labels(alert) {
    const names = Object.keys(alert.labels).filter((name) => !['alertname', 'severity'].includes(name));
    return el(
      'dl',
      { class: 'labels' },
      names.map((name) => el('div', {}, el('dt', {}, name), el('dd', {}, alert.labels[name]))),
    );
  }

  #links() {
    const { rule, alert } = this.#one;
    const links = [];
    if (EXPLAINED.includes(rule.name) && alert.labels.model_name)
      links.push(['Explain', explainAddress(rule.name, alert.labels)]);
    links.push(...pagesAbout(rule.name, alert.labels));
    const { alertmanager } = this.#page.config;
    const nodes = links.map(([text, href]) => el('a', { class: 'button', href }, text));
    if (alertmanager)
      nodes.push(
        el(
          'a',
          { class: 'button', href: silenceAddress(alertmanager, alert.labels), target: '_blank', rel: 'noreferrer' },
          'Silence in Alertmanager',
        ),
      );
    return el('p', { class: 'actions' }, nodes);
  }

  #runbook(name) {
    const content = el('div', { class: 'runbook' });
    const details = el('details', {}, el('summary', {}, `What to do: runbook ${name}`), content);
    details.addEventListener('toggle', async () => {
      if (!details.open || content.hasChildNodes()) return;
      const text = await readRunbook(name);
      content.replaceChildren(
        text == null
          ? el('p', {}, 'This installation has no runbook of it.')
          : markdown(filledIn(text, this.#one.alert.labels), { level: 3 }),
      );
    });
    return details;
  }
}

/** Return where Alertmanager's own page makes a silence for exactly these labels. */
function silenceAddress(alertmanager, labels) {
  const filter = Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(', ');
  return `${alertmanager.replace(/\/$/, '')}/#/silences/new?filter=${encodeURIComponent(`{${filter}}`)}`;
}
