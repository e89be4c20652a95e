// One sentence above everything when Prometheus is away, and one card while nothing has been measured yet.
import { el } from './dom.js';
import { clockText } from './time.js';

/** Say that Prometheus is away; `null` takes it back. Said once, however many panels noticed. */
export function sayAway(node, away) {
  if (!away) {
    if (!node.hidden) node.replaceChildren();
    node.hidden = true;
    document.body.classList.remove('away');
    return;
  }
  document.body.classList.add('away');
  const kept = document.querySelector('.panel[data-state=drawn], .alert') ? 'What is shown is from before; the' : 'The';
  const text = `Prometheus is away: ${away.message.replace(/\.$/, '')}. ${kept} page tries again by itself.`;
  if (node.dataset.text === text && !node.hidden) return;
  node.dataset.text = text;
  node.hidden = false;
  node.replaceChildren(
    el('strong', {}, text.split(': ')[0]),
    text.slice(text.indexOf(': ')),
    el('span', { class: 'since' }, ` Since ${clockText(Date.now())}.`),
  );
}

/** The card of an empty store. */
export function waitingCard() {
  const command = (text) => el('code', {}, text);
  return el(
    'section',
    { class: 'waiting', 'aria-labelledby': 'waiting' },
    el('h2', { id: 'waiting' }, 'Waiting for the first samples'),
    el(
      'p',
      {},
      'Prometheus answers, but no model and no GPU has reported to it yet. This page fills by itself as soon as one does.',
    ),
    el(
      'dl',
      {},
      el('dt', {}, 'See it with a simulated fleet'),
      el('dd', {}, command('infermeter demo')),
      el('dt', {}, 'Measure your own service'),
      el('dd', {}, command('infermeter run -- python your_service.py')),
      el('dt', {}, 'Find out where measurements get lost'),
      el('dd', {}, command('infermeter doctor')),
    ),
  );
}

/** The question whose answer is empty as long as nothing was ever measured. */
export const ANYTHING_MEASURED =
  'count(model_inference_requests_total) or count(infermeter_info) or count(DCGM_FI_DEV_GPU_UTIL)';
