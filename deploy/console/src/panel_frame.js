// The box around a panel: its heading, what it is about, its states (loading, empty, failing), and its drawing.
import { internalLink } from './address.js';
import { el } from './dom.js';
import { AwayError } from './prometheus.js';
import { PANELS } from './panels/index.js';
import { panelRange, panelSeries } from './panel_data.js';
import { interpolate } from './template.js';

export class PanelFrame {
  /** @param {object} panel As it is in the dashboard. */
  constructor(panel, { id, grafanaUrl }) {
    this.panel = panel;
    this.visible = false;
    this.drawnAt = 0;
    this.state = 'loading';
    this.body = el('div', { class: 'body' });
    this.note = el('p', { class: 'note', hidden: true });
    this.heading = el('h3', { id: `panel-${id}` }, panel.title);
    this.told = el('p', { class: 'told', id: `told-${id}` });
    this.box = el(
      'section',
      {
        class: `panel ${panel.type}`,
        'aria-labelledby': `panel-${id}`,
        'aria-describedby': `told-${id}`,
        'data-panel': String(panel.id ?? id),
        'data-state': 'loading',
      },
      el('header', {}, this.heading, about(panel, id, grafanaUrl)),
      this.body,
      this.note,
      this.told,
    );
  }

  /** Ask and draw; returns whether there was anything to draw. Throws AwayError: that is not one panel's trouble. */
  async update({ prometheus, window, scrapeS, context, signal }) {
    const { panel } = this;
    this.heading.textContent = interpolate(panel.title, context.choices);
    const draw = PANELS[panel.type];
    if (!draw) {
      this.#say('unknown', `Panels of the kind “${panel.type}” are not drawn here: open it in Grafana.`);
      return false;
    }
    const width = this.body.clientWidth || 400;
    const range = panelRange(panel, { ...window, width, scrapeS });
    const rangeMs = window.endMs - window.startMs;
    try {
      const choices = context.choices;
      const series = await panelSeries(panel, { prometheus, choices, range, rangeMs, scrapeS, signal });
      this.last = { series, range, context };
    } catch (error) {
      if (error.name === 'AbortError' || error instanceof AwayError) throw error;
      this.#say('error', error.message);
      return false;
    }
    this.drawnAt = Date.now();
    return this.draw();
  }

  /** Draw what was last answered, after a change of size or colours. */
  draw() {
    if (!this.last) return false;
    const { series, range, context } = this.last;
    const empty =
      this.panel.type !== 'text' && series.every(({ values, histograms }) => !values.length && !histograms?.length);
    this.box.dataset.series = String(series.length);
    if (empty) {
      this.#say('empty', this.panel.fieldConfig?.defaults?.noValue || 'No data');
      return false;
    }
    this.note.hidden = true;
    this.body.hidden = false;
    this.told.textContent = PANELS[this.panel.type](this.body, { panel: this.panel, series, range, context });
    this.#letScroll();
    this.#be('drawn');
    return true;
  }

  /** What is longer than its box can be scrolled by keyboard as well. */
  #letScroll() {
    const { body } = this;
    const stuck = body.scrollHeight > body.clientHeight + 1 && !body.querySelector('a, button');
    if (stuck) body.tabIndex = 0;
    else body.removeAttribute('tabindex');
  }

  #say(state, message) {
    this.body.hidden = true;
    this.note.hidden = false;
    this.note.textContent = message;
    this.told.textContent = '';
    this.#be(state);
  }

  #be(state) {
    this.state = state;
    this.box.dataset.state = state;
  }
}

/** The button that tells what a panel shows, asks and links to. */
function about(panel, id, grafanaUrl) {
  const links = (panel.links ?? []).map(({ title, url }) => ({ title, href: internalLink(url) ?? url }));
  if (grafanaUrl) links.push({ title: 'Open in Grafana', href: grafanaUrl, outside: true });
  const card = el(
    'div',
    { class: 'card', id: `about-${id}`, popover: 'auto', role: 'dialog', 'aria-label': `About: ${panel.title}` },
    el('p', {}, panel.description || 'No description.'),
    links.length
      ? el(
          'ul',
          {},
          links.map(({ title, href, outside }) =>
            el('li', {}, el('a', outside ? { href, target: '_blank', rel: 'noreferrer' } : { href }, title)),
          ),
        )
      : null,
    el(
      'details',
      {},
      el('summary', {}, 'Queries'),
      (panel.targets ?? [])
        .filter(({ expr }) => expr)
        .map(({ expr }) => el('pre', { tabindex: '0' }, el('code', {}, expr))),
    ),
  );
  const button = el(
    'button',
    { type: 'button', class: 'about', 'aria-label': `About: ${panel.title}`, title: panel.description },
    'i',
  );
  button.setAttribute('popovertarget', card.id);
  card.addEventListener('toggle', ({ newState }) => newState === 'open' && place(card, button));
  return [button, card];
}

function place(card, button) {
  const { left, bottom, top } = button.getBoundingClientRect();
  const x = Math.max(8, Math.min(left, innerWidth - card.offsetWidth - 8));
  const below = bottom + 4 + card.offsetHeight < innerHeight;
  card.style.left = `${x}px`;
  card.style.top = `${below ? bottom + 4 : Math.max(8, top - card.offsetHeight - 4)}px`;
}
