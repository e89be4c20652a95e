// Starts the page.
import { el } from './dom.js';

const dashboards = await (await fetch('api/dashboards')).json();
document.getElementById('app').append(
  el('h1', {}, 'infermeter console'),
  el('ul', {}, dashboards.map(({ title }) => el('li', {}, title))),
);
