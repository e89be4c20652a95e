// The choices at the top of a dashboard: which there are, what can be chosen, what is. No DOM.
import { choiceOf, interpolate, labelValuesQuery, orderedOptions, queryText } from './template.js';

/** The kinds of variables that a dashboard may have. */
export const KNOWN_VARIABLES = Object.freeze(['query', 'custom', 'constant', 'textbox', 'interval', 'datasource']);

/**
 * Return the choices in order: each may narrow the options of the next.
 *
 * @param {Map<string, string[]>} asked What the address asks for.
 * @returns {Promise<Map<string, import('./template.js').Choice>>}
 */
export async function loadChoices(dashboard, { prometheus, window, asked, signal }) {
  const choices = new Map();
  for (const variable of dashboard.templating?.list ?? []) {
    if (variable.type === 'datasource') continue; // here it is always the console's Prometheus
    const options = await optionsOf(variable, choices, { prometheus, window, signal });
    choices.set(variable.name, choiceOf(variable, options, asked.get(variable.name) ?? []));
  }
  return choices;
}

/**
 * Return the choices before their options are known, so that the first charts need not wait for three more answers;
 * null where what is chosen depends on the options.
 *
 * @returns {Map<string, import('./template.js').Choice> | null}
 */
export function choicesWithoutOptions(dashboard, asked) {
  const choices = new Map();
  for (const variable of dashboard.templating?.list ?? []) {
    if (variable.type === 'datasource') continue;
    const choice = choiceOf(variable, [], asked.get(variable.name) ?? []);
    if (!(choice.all && choice.allValue) && !choice.selected.length) return null;
    choices.set(variable.name, choice);
  }
  return choices;
}

async function optionsOf(variable, choices, { prometheus, window, signal }) {
  if (variable.type !== 'query') {
    return String(variable.query ?? '')
      .split(',')
      .map((text) => text.trim())
      .filter(Boolean);
  }
  const query = labelValuesQuery(queryText(variable));
  if (!query) return [];
  const selector = query.selector && interpolate(query.selector, choices);
  const range = { start: window.startMs / 1000, end: window.endMs / 1000 };
  return orderedOptions(await prometheus.labelValues(query.label, { selector, ...range }, signal), variable);
}

/** Return the choices as the address carries them; what every choice is anyway is left out. */
export function askedOf(choices) {
  const asked = new Map();
  for (const [name, { all, selected }] of choices) if (!all && selected.length) asked.set(name, selected);
  return asked;
}
