// A text of the dashboard itself, as Markdown.
import { markdown } from '../markdown.js';
import { interpolate } from '../template.js';
import { replaceIfChanged } from './common.js';

/** Draw; returns what a screen reader is told. */
export function text(body, { panel, context }) {
  const { content = '', mode } = panel.options ?? {};
  const shown = interpolate(content, context.choices);
  replaceIfChanged(body, shown, () => [mode === 'code' ? document.createTextNode(shown) : markdown(shown)]);
  return '';
}
