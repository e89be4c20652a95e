// One runbook, rendered.
import { el } from '../dom.js';
import { markdown } from '../markdown.js';
import { readRunbook } from '../server.js';

/** Show the runbook that the address names. */
export function runbookView(root, { address }) {
  const { alert } = address;
  let left = false;
  root.replaceChildren(el('article', { class: 'sheet', 'aria-busy': 'true' }, el('p', {}, 'Reading the runbook')));
  readRunbook(alert).then((text) => {
    if (left) return;
    const content =
      text == null
        ? el('p', {}, `There is no runbook of ${alert} in this installation.`)
        : markdown(text, { level: 1 });
    root.replaceChildren(
      el('article', { class: 'sheet' }, content, el('p', {}, el('a', { href: '?view=alerts' }, 'To the alerts'))),
    );
    document.body.dataset.ready = '1';
  });
  return { stop: () => (left = true), redraw() {}, changed() {} };
}
