// Histograms: cumulative `le` series, or Prometheus' native ones, as buckets that each count for themselves. No DOM.

/** @typedef {{ low: number, high: number, counts: Map<number, number> }} Bucket  counts by epoch milliseconds */

const bound = (text) => (text === '+Inf' ? Infinity : Number(text));

/** Return the buckets of series that carry `le`, lowest first. The same bound spelled twice (1, 1.0) is one bucket. */
export function classicBuckets(series) {
  const cumulative = new Map();
  for (const { labels, values } of series) {
    if (labels.le == null) continue;
    const high = bound(labels.le);
    const counts = cumulative.get(high) ?? new Map();
    for (const [at, value] of values) counts.set(at, (counts.get(at) ?? 0) + value);
    cumulative.set(high, counts);
  }
  const bounds = [...cumulative.keys()].sort((a, b) => a - b);
  return bounds.map((high, i) => {
    const below = i ? cumulative.get(bounds[i - 1]) : new Map();
    const counts = new Map();
    // A scrape between two updates can show a lower bucket ahead of the next: that is no negative count.
    for (const [at, value] of cumulative.get(high)) counts.set(at, Math.max(0, value - (below.get(at) ?? 0)));
    return { low: i ? bounds[i - 1] : Math.min(0, high), high, counts };
  });
}

/** Return the buckets of series that are native histograms: the union of their bounds. */
export function nativeBuckets(series) {
  const found = new Map();
  for (const { histograms = [] } of series) {
    for (const [at, { buckets = [] }] of histograms) {
      for (const [, low, high, count] of buckets) {
        const key = `${low} ${high}`;
        const bucket = found.get(key) ?? { low: Number(low), high: bound(high), counts: new Map() };
        bucket.counts.set(at, (bucket.counts.get(at) ?? 0) + Number(count));
        found.set(key, bucket);
      }
    }
  }
  return [...found.values()].sort((a, b) => a.high - b.high);
}

/** Return the buckets of either kind. */
export function bucketsOf(series) {
  return series.some(({ histograms }) => histograms?.length) ? nativeBuckets(series) : classicBuckets(series);
}

/** Return the buckets from the lowest to the highest that ever counted anything, with one empty neighbour on each side. */
export function usedBuckets(buckets) {
  const used = buckets.flatMap(({ counts }, i) => ([...counts.values()].some((count) => count > 0) ? [i] : []));
  return used.length ? buckets.slice(Math.max(0, used[0] - 1), used.at(-1) + 2) : buckets;
}
