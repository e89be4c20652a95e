// Markdown as elements. HTML inside the text stays text, and links lead only to http(s) addresses or into this page.
import { lexer } from 'marked';

import { internalLink } from './address.js';
import { el } from './dom.js';

/** Return a text as an element. Headings start at `level`, below those of the page around it. */
export function markdown(text, { level = 3 } = {}) {
  return el('div', { class: 'markdown' }, blocks(lexer(text), level));
}

const blocks = (tokens, level) => tokens.map((token) => block(token, level));

function block(token, level) {
  switch (token.type) {
    case 'heading':
      return el(`h${Math.min(6, token.depth + level - 1)}`, {}, inline(token.tokens));
    case 'paragraph':
      return el('p', {}, inline(token.tokens));
    case 'list':
      return el(
        token.ordered ? 'ol' : 'ul',
        {},
        token.items.map((item) => el('li', {}, blocks(item.tokens, level))),
      );
    case 'code':
      return el('pre', { tabindex: '0' }, el('code', {}, token.text));
    case 'blockquote':
      return el('blockquote', {}, blocks(token.tokens, level));
    case 'table':
      return tableOf(token);
    case 'hr':
      return el('hr');
    case 'space':
      return null;
    case 'text':
      return el('span', {}, token.tokens ? inline(token.tokens) : token.text);
    default:
      return el('p', {}, token.raw);
  }
}

const tableOf = ({ header, rows }) =>
  el(
    'table',
    {},
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        header.map(({ tokens }) => el('th', { scope: 'col' }, inline(tokens))),
      ),
    ),
    el(
      'tbody',
      {},
      rows.map((row) =>
        el(
          'tr',
          {},
          row.map(({ tokens }) => el('td', {}, inline(tokens))),
        ),
      ),
    ),
  );

const inline = (tokens = []) => tokens.map(span);

function span(token) {
  switch (token.type) {
    case 'strong':
      return el('strong', {}, inline(token.tokens));
    case 'em':
      return el('em', {}, inline(token.tokens));
    case 'del':
      return el('del', {}, inline(token.tokens));
    case 'codespan':
      return el('code', {}, token.text);
    case 'br':
      return el('br');
    case 'link':
      return link(token);
    case 'escape':
    case 'text':
      return token.tokens ? el('span', {}, inline(token.tokens)) : token.text;
    default:
      return token.raw;
  }
}

function link({ href, tokens }) {
  const other = /^(\w+)\.md(#.*)?$/.exec(href);
  const inside = other ? `?view=runbook&alert=${other[1]}` : internalLink(href);
  if (inside) return el('a', { href: inside }, inline(tokens));
  if (/^https?:\/\//.test(href)) return el('a', { href, target: '_blank', rel: 'noreferrer' }, inline(tokens));
  return el('span', {}, inline(tokens));
}
