// Elements without markup: text is set as text, so nothing that comes from the network is ever parsed as HTML.

/** Make an element; `props` are properties, `aria-*`, `data-*` and `role` attributes, `class` a class name. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value == null || value === false) continue;
    if (name === 'class') node.className = value;
    else if (/^(aria-|data-)|^(role|for|tabindex|scope|colspan|datetime)$/.test(name)) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

const SVG = 'http://www.w3.org/2000/svg';

/** Make an SVG element; `attributes` are attributes. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
