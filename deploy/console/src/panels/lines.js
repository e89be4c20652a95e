// What a line chart needs to know of its values before it is drawn. No DOM.

/**
 * Put a hole where samples are missing, as Prometheus leaves them out.
 *
 * @returns {{ data: [number, number | null][], lonely: boolean }} `lonely`: some value has no neighbour to draw a line to.
 */
export function withGaps(values, stepMs, connect = false) {
  const data = [];
  let lonely = false;
  let run = 0;
  let last = null;
  for (const [at, value] of values) {
    const gap = last != null && at - last > stepMs * 1.5;
    const missing = value == null || !Number.isFinite(value);
    if ((gap || missing) && !connect) {
      if (run === 1) lonely = true;
      run = 0;
      if (gap && !missing) data.push([last + stepMs, null]);
    }
    if (missing && connect) continue;
    data.push([at, missing ? null : value]);
    if (!missing) run += 1;
    last = at;
  }
  return { data, lonely: lonely || run === 1 };
}

/** Return the lowest and highest value that will be drawn, stacks added up, and thresholds where they are near. */
export function extentOf(items, limits = []) {
  let low = Infinity;
  let high = -Infinity;
  const stacks = new Map();
  for (const { values, field } of items) {
    const stacking = field.custom?.stacking;
    const stack = stacking?.mode === 'normal' ? (stacking.group ?? 'A') : null;
    const totals = stack == null ? null : (stacks.get(stack) ?? new Map());
    if (totals) stacks.set(stack, totals);
    for (const [at, value] of values) {
      if (!Number.isFinite(value)) continue;
      const drawn = totals ? (totals.get(at) ?? 0) + value : value;
      totals?.set(at, drawn);
      low = Math.min(low, drawn);
      high = Math.max(high, drawn);
    }
  }
  if (low > high) return { low: 0, high: Math.max(0, ...limits) };
  // A limit far away would press the lines flat; one in sight is what the reader looks for.
  for (const limit of limits) {
    if (limit > high && limit <= high * 3) high = limit * 1.05;
    if (limit < low && limit >= low * 0.9) low = limit;
  }
  return { low, high };
}

/** Return where an axis begins for which the dashboard says nothing: as Grafana, a little below what is drawn. */
export function axisStart({ low, high, field }) {
  const fromZero = field.custom?.drawStyle === 'bars' || field.custom?.stacking?.mode === 'normal';
  const below = low - (high - low || Math.abs(high)) * 0.1;
  return low >= 0 && (fromZero || below < 0) ? 0 : below;
}
