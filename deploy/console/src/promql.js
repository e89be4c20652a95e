// Takes a rule's expression apart at its operators, as far as a chart of "value against threshold" needs. No DOM.
// It splits text and understands no meaning: what it returns is PromQL again, and Prometheus judges it.

const OPENING = '([{';
const CLOSING = ')]}';
const COMPARISONS = ['>=', '<=', '==', '!=', '>', '<'];
const SETS = ['or', 'and', 'unless'];
const MODIFIER = /^\s*(?:bool\b\s*)?(?:(?:on|ignoring)\s*\([^)]*\)\s*)?(?:group_(?:left|right)\s*(?:\([^)]*\))?\s*)?/;

/** Return the operators of an expression that stand in no parentheses: `{ at, operator }`. */
function topOperators(expression) {
  const found = [];
  let depth = 0;
  for (let at = 0; at < expression.length; at += 1) {
    const character = expression[at];
    if (character === '#') at = endOf(expression, at, '\n');
    else if ('"\'`'.includes(character)) at = endOfString(expression, at);
    else if (OPENING.includes(character)) depth += 1;
    else if (CLOSING.includes(character)) depth -= 1;
    else if (depth === 0) {
      const operator = operatorAt(expression, at);
      if (operator) {
        found.push({ at, operator });
        at += operator.length - 1;
      } else if (/\w/.test(character)) {
        at += /^[\w:.]+/.exec(expression.slice(at))[0].length - 1;
      }
    }
  }
  return found;
}

function operatorAt(expression, at) {
  const rest = expression.slice(at);
  const word = SETS.find((set) => new RegExp(`^${set}\\b`, 'i').test(rest));
  return word ?? COMPARISONS.find((comparison) => rest.startsWith(comparison)) ?? null;
}

function endOf(text, from, closing) {
  const at = text.indexOf(closing, from + 1);
  return at < 0 ? text.length : at;
}

function endOfString(text, from) {
  const quote = text[from];
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === '\\' && quote !== '`') at += 1;
    else if (text[at] === quote) return at;
  }
  return text.length;
}

/** Remove comments and the parentheses around a whole expression. */
export function bare(expression) {
  let text = withoutComments(expression).trim();
  while (text.startsWith('(') && closes(text) === text.length - 1) text = text.slice(1, -1).trim();
  return text;
}

function withoutComments(expression) {
  let kept = '';
  for (let at = 0; at < expression.length; at += 1) {
    const character = expression[at];
    if (character === '#') at = endOf(expression, at, '\n') - 1;
    else if ('"\'`'.includes(character)) {
      const end = endOfString(expression, at);
      kept += expression.slice(at, end + 1);
      at = end;
    } else kept += character;
  }
  return kept;
}

function closes(text) {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    if ('"\'`'.includes(text[at])) at = endOfString(text, at);
    else if (OPENING.includes(text[at])) depth += 1;
    else if (CLOSING.includes(text[at])) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return -1;
}

function splitAt(expression, operators) {
  const cuts = topOperators(expression).filter(({ operator }) => operators.includes(operator.toLowerCase()));
  const pieces = [];
  let from = 0;
  for (const { at, operator } of [...cuts, { at: expression.length, operator: '' }]) {
    pieces.push(expression.slice(from, at));
    from = at + operator.length;
  }
  return pieces.map((piece, i) => bare(i ? piece.replace(MODIFIER, '') : piece));
}

/**
 * Return what an alert compares: for each alternative (`or`), the value and what it is compared with.
 *
 * Of `a and b` the value is `a`: Prometheus gives the alert the value of the left side. Where nothing is compared
 * there, `threshold` is null.
 *
 * @returns {{ value: string, operator: string | null, threshold: string | null }[]}
 */
export function comparisonsOf(expression) {
  return splitAt(bare(expression), ['or']).flatMap((alternative) => {
    const [left] = splitAt(alternative, ['and', 'unless']);
    if (topOperators(left).some(({ operator }) => SETS.includes(operator.toLowerCase()))) return comparisonsOf(left);
    const cut = topOperators(left).find(({ operator }) => COMPARISONS.includes(operator));
    if (cut) {
      return [
        {
          value: bare(left.slice(0, cut.at)),
          operator: cut.operator,
          threshold: bare(left.slice(cut.at + cut.operator.length).replace(MODIFIER, '')),
        },
      ];
    }
    return [{ value: left, operator: null, threshold: null }];
  });
}

/** Say whether an expression is a number or `vector(number)`, and which; else null. */
export function constantOf(expression) {
  const match = /^(?:vector\s*\(\s*)?([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*\)?$/i.exec(expression.trim());
  return match ? Number(match[1]) : null;
}

/** Say whether a series is about what some labels name: every label that both have is the same. */
export const isAbout = (seriesLabels, labels) =>
  Object.entries(seriesLabels).every(
    ([name, value]) => name === '__name__' || !(name in labels) || labels[name] === value,
  );

/** Return a selector of labels: `{a="b"}` with everything escaped that PromQL wants escaped. */
export function selector(labels) {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(String(value))}`);
  return `{${pairs.join(',')}}`;
}
