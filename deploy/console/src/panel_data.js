// Asks Prometheus what a panel shows. Knows no drawing.
import { durationMs, stepSeconds } from './time.js';
import { builtinsOf, interpolate, seriesName } from './template.js';

const MOST_HEATMAP_COLUMNS = 90;

/** Return from when to when, and at what distance, a panel of this width asks; aligned, so that a refresh shifts nothing. */
export function panelRange(panel, { startMs, endMs, width, scrapeS }) {
  const points =
    panel.maxDataPoints ?? Math.max(60, panel.type === 'heatmap' ? Math.min(MOST_HEATMAP_COLUMNS, width / 5) : width);
  const least = Math.max(scrapeS, durationMs(panel.interval) / 1000);
  const step = stepSeconds(endMs - startMs, points, least);
  return { start: Math.floor(startMs / 1000 / step) * step, end: Math.floor(endMs / 1000 / step) * step, step };
}

/**
 * Return the series of all queries of a panel, each with its name and the letter of its query.
 *
 * @throws {AwayError | QueryError}
 */
export async function panelSeries(panel, { prometheus, choices, range, rangeMs, scrapeS, signal }) {
  const builtins = builtinsOf({ rangeMs, stepS: range.step, scrapeS });
  const targets = (panel.targets ?? []).filter(({ hide, expr }) => !hide && expr);
  const answers = await Promise.all(
    targets.map(async (target) => {
      const query = interpolate(target.expr, choices, builtins);
      const found = target.instant
        ? await prometheus.instant(query, range.end, signal)
        : await prometheus.range(query, range, signal);
      return found.map((one) => ({ ...one, refId: target.refId, name: seriesName(target, one.labels) }));
    }),
  );
  return answers.flat();
}
