// Starts the page, and shows what the address says.
import { readAddress, writeAddress } from './address.js';
import { el } from './dom.js';
import { Prometheus } from './prometheus.js';
import { listDashboards, readConfig, readDashboard } from './server.js';
import { askTheme, onThemeChange } from './theme.js';
import { alertsView } from './views/alerts.js';
import { dashboardAddress, dashboardView } from './views/dashboard.js';
import { explainView } from './views/explain.js';
import { runbookView } from './views/runbook.js';

const FIRING_EVERY_MS = 15000;

const app = document.getElementById('app');
const main = el('main', { id: 'main', tabindex: '-1' });
const banner = el('div', { class: 'banner', role: 'alert', hidden: true });
const nav = el('nav', { 'aria-label': 'Pages' });
const skip = el('a', { class: 'skip', href: '#main' }, 'To the content');

const page = { prometheus: new Prometheus(), banner, go, address: readAddress(location.search), config: {} };
let dashboards = [];
let shown = null; // { key, view }
let firing = null;

/** Show another address; the reader can go back. */
function go(address) {
  history.pushState(null, '', writeAddress(address));
  route();
}

const keyOf = ({ view, dashboard, alert, labels }) => JSON.stringify([view, dashboard, alert, [...labels]]);

async function route() {
  const address = readAddress(location.search);
  if (address.view === 'dashboard' && !address.dashboard) address.dashboard = dashboards[0]?.uid ?? '';
  page.address = address;
  askTheme(address.theme);
  drawNav();
  const key = keyOf(address);
  if (shown?.key === key) {
    shown.view.changed();
    return;
  }
  shown?.view.stop();
  delete document.body.dataset.ready;
  shown = { key, view: { stop() {}, changed() {}, redraw() {} } };
  try {
    shown.view = await open(address, key);
  } catch (error) {
    fail(error);
  }
}

async function open(address, key) {
  if (address.view === 'alerts') return alertsView(main, page);
  if (address.view === 'runbook') {
    document.title = `${address.alert} · infermeter`;
    return runbookView(main, page);
  }
  if (address.view === 'explain') {
    document.title = 'Why is it slow? · infermeter';
    return explainView(main, page);
  }
  const dashboard = await readDashboard(address.dashboard);
  if (shown.key !== key) return { stop() {}, changed() {}, redraw() {} }; // gone on meanwhile
  document.title = `${dashboard.title} · infermeter`;
  return dashboardView(main, page, dashboard);
}

function fail(error) {
  const known = dashboards.map(({ uid, title }) => el('li', {}, el('a', { href: `?d=${uid}` }, title)));
  main.replaceChildren(
    el(
      'section',
      { class: 'waiting' },
      el('h1', {}, 'This cannot be shown'),
      el('p', {}, error.message),
      el('ul', {}, known),
    ),
  );
  document.body.dataset.ready = 'failed';
}

function drawNav() {
  const { view, dashboard } = page.address;
  const link = (href, text, current, ...more) =>
    el('a', { href, 'aria-current': current ? 'page' : null }, text, ...more);
  const count = firing
    ? el('span', { class: 'count' }, String(firing), el('span', { class: 'told' }, ' firing'))
    : null;
  nav.replaceChildren(
    el('span', { class: 'brand' }, 'infermeter'),
    el(
      'div',
      { class: 'tabs' },
      dashboards.map(({ uid, title }) =>
        link(dashboardAddress(uid, page.address), title, view === 'dashboard' && dashboard === uid),
      ),
      link('?view=alerts', 'Alerts', view === 'alerts', count),
    ),
    el('span', { class: 'version' }, page.config.version ?? ''),
  );
}

async function countFiring() {
  if (document.hidden) return;
  try {
    const rules = await page.prometheus.alertingRules();
    const alerts = rules.flatMap(({ alerts: active = [] }) => active);
    const now = alerts.filter(
      ({ state, labels }) => state === 'firing' && (labels.severity ?? 'none') !== 'none',
    ).length;
    if (now === firing) return;
    firing = now;
    const focused = nav.contains(document.activeElement)
      ? [...nav.querySelectorAll('a')].indexOf(document.activeElement)
      : -1;
    drawNav();
    nav.querySelectorAll('a')[focused]?.focus();
  } catch {
    firing = null; // the banner says why
  }
}

/** Links to places on this page do not load it anew. */
function followInside(event) {
  const anchor = event.target.closest?.('a[href^="?"]');
  if (!anchor || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || anchor.target) return;
  event.preventDefault();
  history.pushState(null, '', anchor.getAttribute('href'));
  scrollTo(0, 0);
  route();
}

async function start() {
  askTheme(page.address.theme);
  app.replaceChildren(skip, nav, banner, main);
  document.addEventListener('click', followInside);
  addEventListener('popstate', route);
  onThemeChange(() => shown?.view.redraw());
  try {
    [page.config, dashboards] = await Promise.all([readConfig(), listDashboards()]);
  } catch (error) {
    fail(error);
    return;
  }
  await route();
  countFiring();
  setInterval(countFiring, FIRING_EVERY_MS);
}

start();
