// From samples to stretches of the same state. No DOM.

/**
 * Merge neighbours of the same state; a missing sample ends a stretch.
 *
 * @param {(value: number) => string} stateOf
 * @returns {{ from: number, to: number, state: string, low: number, high: number }[]}
 */
export function lanesOf(values, stepMs, stateOf) {
  const blocks = [];
  for (const [at, value] of values) {
    if (value == null || Number.isNaN(value)) continue;
    const state = stateOf(value);
    const last = blocks.at(-1);
    const adjoins = last && at - last.to <= stepMs / 2;
    if (adjoins && last.state === state) {
      last.to = at + stepMs;
      last.low = Math.min(last.low, value);
      last.high = Math.max(last.high, value);
    } else {
      blocks.push({ from: at, to: at + stepMs, state, low: value, high: value });
    }
  }
  return blocks;
}
