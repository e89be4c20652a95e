// A dashboard: its choices, its panels, and the loop that keeps both fresh.
import { writeAddress } from '../address.js';
import { ANYTHING_MEASURED, sayAway, waitingCard } from '../banner.js';
import { disposeCharts } from '../chart.js';
import { askedOf, choicesWithoutOptions, loadChoices } from '../choices.js';
import { el } from '../dom.js';
import { buildGrid } from '../grid.js';
import { Loop } from '../loop.js';
import { closeOthers, rangePicker, refreshPicker, variablePicker } from '../pickers.js';
import { AwayError, QueryError } from '../prometheus.js';
import { clockText, durationMs, momentText, parseTime, youngRange } from '../time.js';

const AT_ONCE = 6; // as many as a browser sends to one server
const RETRY_MS = 5000;
const YOUNG_MS = 90000; // a stack that has just started fills its panels within
const CHOICES_LAST_MS = 60000; // after that a new model may have appeared
const AGE_POINTS = 240; // of the range that a dashboard shows by itself
const REFRESHES = ['5s', '10s', '30s', '1m', '5m', '15m', '30m', '1h', '2h', '1d'];

/**
 * Show a dashboard.
 *
 * @param {HTMLElement} root
 * @param {object} page `address`, `config`, `prometheus`, `banner`, and `go(address)` which changes the address.
 * @param {object} dashboard As Grafana imports it.
 * @param {{ before?: HTMLElement }} extra An element to show above the panels.
 */
export function dashboardView(root, page, dashboard, { before } = {}) {
  return new DashboardView(root, page, dashboard, before);
}

class DashboardView {
  #root;
  #page;
  #dashboard;
  #choices = new Map();
  #frames;
  #loop = new Loop((signal) => this.#refresh(signal));
  #toolbar = el('div', { class: 'toolbar', role: 'toolbar', 'aria-label': 'What is shown' });
  #status = el('span', { class: 'status' });
  #printed = el('p', { class: 'printed' });
  #waiting = el('div');
  #watcher;
  #stale = false;
  #chosenAt = 0;
  #young = null; // a shorter range than the dashboard's, while Prometheus has no more to show
  #openedAt = performance.now();

  constructor(root, page, dashboard, before) {
    this.#root = root;
    this.#page = page;
    this.#dashboard = dashboard;
    const { node, frames } = buildGrid(dashboard, { grafanaUrl: page.config.grafana });
    this.#frames = frames;
    const title = el('h1', {}, dashboard.title);
    root.replaceChildren(
      el('div', { class: 'head' }, title, this.#toolbar, this.#printed),
      this.#waiting,
      ...(before ? [before] : []),
      node,
    );
    closeOthers(this.#toolbar);
    this.#watch();
    this.#drawToolbar();
    this.#loop.now();
  }

  /** Take over another address of the same dashboard. */
  changed() {
    this.#stale = true;
    for (const frame of this.#frames) frame.drawnAt = 0;
    this.#drawToolbar();
    this.#loop.now();
  }

  /** Draw again what is there, in other colours. */
  redraw() {
    for (const frame of this.#frames) frame.draw();
  }

  stop() {
    this.#loop.stop();
    this.#watcher.disconnect();
    disposeCharts(this.#root);
  }

  /** The range in the address' notation. */
  get #range() {
    const { from, to } = this.#page.address;
    const { from: usual = 'now-1h', to: end = 'now' } = this.#dashboard.time ?? {};
    return { from: from || this.#young || usual, to: to || end };
  }

  get #refreshText() {
    return this.#page.address.refresh ?? this.#dashboard.refresh ?? '30s';
  }

  #window() {
    const { from, to } = this.#range;
    const now = Date.now();
    return { startMs: parseTime(from, now), endMs: parseTime(to, now, { roundUp: true }) };
  }

  /** Only what can be seen is kept fresh; the rest is asked for when it comes into view. */
  #watch() {
    const byBox = new Map(this.#frames.map((frame) => [frame.box, frame]));
    this.#watcher = new IntersectionObserver(
      (entries) => {
        let late = false;
        for (const { target, isIntersecting } of entries) {
          const frame = byBox.get(target);
          frame.visible = isIntersecting;
          late ||= isIntersecting && frame.state !== 'loading' && Date.now() - frame.drawnAt > this.#periodMs;
        }
        if (late && this.#periodMs) this.#loop.now();
      },
      { rootMargin: '200px' },
    );
    for (const { box } of this.#frames) this.#watcher.observe(box);
  }

  get #periodMs() {
    return durationMs(this.#refreshText);
  }

  /** Until something is there, and while a young page still has empty panels, the reader is not made to wait. */
  get #nextMs() {
    const young = performance.now() - this.#openedAt < YOUNG_MS;
    const filling = young && this.#frames.some(({ state }) => state === 'empty');
    return this.#waiting.hasChildNodes() || filling ? Math.min(this.#periodMs, RETRY_MS) : this.#periodMs;
  }

  async #refresh(signal) {
    const started = performance.now();
    try {
      await this.#fitRange(signal);
      const window = this.#window();
      await this.#askFor(window, signal);
      await this.#sayWaiting(window, signal);
      sayAway(this.#page.banner, null);
      const failing = this.#frames.filter(({ state }) => state === 'error').length;
      this.#say(
        failing ? `${failing} panel${failing > 1 ? 's' : ''} failing` : `updated ${clockText(Date.now())}`,
        failing ? 'bad' : 'ok',
      );
      this.#loop.every(this.#nextMs);
      this.#printed.textContent = this.#printedText(window);
      document.body.dataset.ready = String(Math.round(performance.now() - started));
    } catch (error) {
      if (!(error instanceof AwayError || error instanceof QueryError)) throw error;
      this.#stale = true;
      this.#loop.every(Math.min(this.#periodMs || RETRY_MS, RETRY_MS));
      if (error instanceof QueryError) {
        this.#say(error.message, 'bad');
        return;
      }
      sayAway(this.#page.banner, error);
      this.#say('Prometheus is away', 'bad');
    }
  }

  /** Show a store that has just begun from its beginning, unless the address says from when. */
  async #fitRange(signal) {
    const { address, prometheus } = this.#page;
    const asked = address.from || address.to || this.#dashboard.time?.to !== 'now';
    if (asked || (!this.#stale && Date.now() - this.#chosenAt < CHOICES_LAST_MS)) return;
    const endS = Math.floor(Date.now() / 1000);
    const rangeMs = endS * 1000 - parseTime(this.#dashboard.time.from, endS * 1000);
    const step = Math.max(1, Math.round(rangeMs / 1000 / AGE_POINTS));
    const range = { start: endS - rangeMs / 1000, end: endS, step };
    const found = await prometheus.range('count(up)', range, signal).catch((error) => {
      if (error instanceof QueryError) return []; // whoever cannot say is taken for old
      throw error;
    });
    const first = found[0]?.values[0]?.[0];
    const young = first == null ? null : youngRange(endS * 1000 - first, rangeMs);
    if (young === this.#young) return;
    this.#young = young;
    this.#drawToolbar();
  }

  async #askFor(window, signal) {
    const late = this.#stale || Date.now() - this.#chosenAt > CHOICES_LAST_MS;
    const early = this.#chosenAt ? null : choicesWithoutOptions(this.#dashboard, this.#page.address.variables);
    if (early) this.#choices = early;
    const options = late ? this.#loadChoices(window, signal) : null;
    if (!early) await options;
    const due = this.#frames.filter((frame) => frame.visible || !frame.drawnAt);
    await Promise.all([options, this.#updateAll(due, window, signal)]);
  }

  async #updateAll(frames, window, signal) {
    const queue = [...frames];
    const task = {
      prometheus: this.#page.prometheus,
      window,
      scrapeS: this.#page.config.scrape_interval_s || 15,
      context: { choices: this.#choices, address: { ...this.#page.address, ...this.#range }, zoom: this.#zoom },
      signal,
    };
    const worker = async () => {
      while (queue.length) await queue.shift().update(task);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  async #loadChoices(window, signal) {
    const { prometheus, address } = this.#page;
    const before = JSON.stringify([...this.#choices]);
    this.#choices = await loadChoices(this.#dashboard, { prometheus, window, asked: address.variables, signal });
    this.#stale = false;
    this.#chosenAt = Date.now();
    if (JSON.stringify([...this.#choices]) !== before) this.#drawToolbar();
  }

  async #sayWaiting(window, signal) {
    const anything =
      this.#frames.some(({ state }) => state === 'drawn') &&
      [...this.#choices.values()].some(({ options }) => options.length);
    const found =
      anything || (await this.#page.prometheus.instant(ANYTHING_MEASURED, window.endMs / 1000, signal)).length > 0;
    if (!found) this.#stale = true; // the choices come with the first samples
    if (found === !this.#waiting.hasChildNodes()) return;
    this.#waiting.replaceChildren(...(found ? [] : [waitingCard()]));
  }

  /** What paper has instead of controls. */
  #printedText({ startMs, endMs }) {
    const chosen = [...this.#choices.values()].filter(({ hidden }) => !hidden);
    return [
      ...chosen.map(({ label, all, selected }) => `${label}: ${all ? 'All' : selected.join(', ') || '–'}`),
      `${momentText(startMs)} to ${momentText(endMs)}`,
    ].join(' · ');
  }

  #say(text, kind) {
    this.#status.textContent = text;
    this.#status.className = `status ${kind}`;
  }

  #zoom = (from, to) => this.#go({ from: String(from), to: String(to) });

  #go(changes) {
    this.#page.go({ ...this.#page.address, ...changes });
  }

  #choose(choice, { all, selected }) {
    this.#choices = new Map(this.#choices).set(choice.name, { ...choice, all, selected });
    // Not within the control's own event: the control is made anew.
    setTimeout(() => this.#go({ variables: askedOf(this.#choices) }));
  }

  #drawToolbar() {
    const open = this.#toolbar.querySelector('details.picker[open]')?.dataset.picker;
    const focused = this.#toolbar.contains(document.activeElement)
      ? document.activeElement.closest('[data-picker]')?.dataset.picker
      : null;
    const pickers = [...this.#choices.values()]
      .filter(({ hidden }) => !hidden)
      .map((choice) => variablePicker(choice, (chosen) => this.#choose(choice, chosen)));
    const { timepicker } = this.#dashboard;
    const range = rangePicker(this.#range, timepicker?.time_options, (chosen) => this.#go(chosen));
    const wider = el(
      'button',
      { type: 'button', class: 'icon', title: 'Zoom out', 'aria-label': 'Zoom out', onclick: () => this.#zoomOut() },
      '−',
    );
    const again = el(
      'button',
      {
        type: 'button',
        class: 'icon',
        title: 'Refresh now',
        'aria-label': 'Refresh now',
        onclick: () => this.#again(),
      },
      '↻',
    );
    const refresh = refreshPicker(this.#refreshText, timepicker?.refresh_intervals ?? REFRESHES, (chosen) =>
      this.#go({ refresh: chosen }),
    );
    this.#toolbar.replaceChildren(
      ...pickers,
      el('span', { class: 'grow' }),
      this.#status,
      range,
      wider,
      again,
      refresh,
    );
    const reopened = this.#toolbar.querySelector(`[data-picker="${open}"]`);
    if (reopened && open !== 'range') reopened.open = true;
    if (focused) this.#toolbar.querySelector(`[data-picker="${focused}"] summary`)?.focus();
  }

  #again() {
    for (const frame of this.#frames) frame.drawnAt = 0;
    this.#stale = true;
    this.#loop.now();
  }

  #zoomOut() {
    const { startMs, endMs } = this.#window();
    const half = (endMs - startMs) / 2;
    const to = this.#range.to === 'now' ? 'now' : String(Math.min(Date.now(), Math.round(endMs + half)));
    this.#go({
      from: to === 'now' ? `now-${Math.round((endMs - startMs) / 3e4)}m` : String(Math.round(startMs - half)),
      to,
    });
  }
}

/** Return the address of a dashboard with the range, refresh and choices of another page. */
export const dashboardAddress = (uid, { from, to, refresh, theme, variables }) =>
  writeAddress({ view: 'dashboard', dashboard: uid, from, to, refresh, theme, variables });
