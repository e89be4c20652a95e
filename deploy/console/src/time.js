// Durations and points in time, in Grafana's notation (`now-15m`, `now/d`, epoch milliseconds). No DOM, no clock.

const LENGTHS_MS = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5, M: 2592e6, y: 31536e6 };

/** Return the milliseconds of a duration like `1h30m`; 0 for anything else. */
export function durationMs(text) {
  let total = 0;
  for (const [, count, unit] of String(text ?? '').matchAll(/(\d+(?:\.\d+)?)(ms|[smhdwMy])/g)) {
    total += Number(count) * LENGTHS_MS[unit];
  }
  return total;
}

/** Return the epoch milliseconds of `now`, `now-6h`, `now/d`, an ISO date or a number; NaN if it is none of these. */
export function parseTime(text, now, { roundUp = false } = {}) {
  const relative = /^now((?:[-+]\d+(?:ms|[smhdwMy]))*)(?:\/([smhdwMy]))?$/.exec(String(text));
  if (!relative) return /^-?\d+$/.test(String(text)) ? Number(text) : Date.parse(text);
  let at = now;
  for (const [, sign, length] of relative[1].matchAll(/([-+])(\d+(?:ms|[smhdwMy]))/g)) {
    at += (sign === '-' ? -1 : 1) * durationMs(length);
  }
  return relative[2] ? startOf(at, relative[2], roundUp) : at;
}

function startOf(at, unit, roundUp) {
  const date = new Date(at);
  if (unit === 's') date.setMilliseconds(0);
  else if (unit === 'm') date.setSeconds(0, 0);
  else if (unit === 'h') date.setMinutes(0, 0, 0);
  else date.setHours(0, 0, 0, 0);
  if (unit === 'w') date.setDate(date.getDate() - ((date.getDay() + 6) % 7));
  if (unit === 'M') date.setDate(1);
  if (unit === 'y') date.setMonth(0, 1);
  return roundUp ? date.getTime() + LENGTHS_MS[unit] - 1 : date.getTime();
}

const STEPS_S = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** Return seconds between two points of a chart: a round number, and not below `least`. */
export function stepSeconds(rangeMs, points, least) {
  const raw = rangeMs / 1000 / Math.max(points, 1);
  const step = STEPS_S.find((round) => round >= raw) ?? Math.ceil(raw / 86400) * 86400;
  return Math.max(step, least);
}

const YOUNG_RANGES = ['5m', '15m', '30m'];

/**
 * Return the start of a range that shows a store of this age whole (`now-5m`); null when the usual range does well,
 * because a quarter of it or more has data.
 */
export function youngRange(ageMs, usualMs) {
  if (ageMs * 4 >= usualMs) return null;
  const length = YOUNG_RANGES.find((one) => durationMs(one) >= ageMs * 1.1);
  return length && durationMs(length) < usualMs ? `now-${length}` : null;
}

const WORDS = { s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week', M: 'month', y: 'year' };

/** Return how a person calls a range: `Last 15 minutes`, or its two ends. */
export function rangeLabel(from, to) {
  const last = /^now-(\d+)([smhdwMy])$/.exec(from);
  if (last && to === 'now') {
    const word = WORDS[last[2]];
    return last[1] === '1' ? `Last ${word}` : `Last ${last[1]} ${word}s`;
  }
  return `${endLabel(from)} to ${endLabel(to)}`;
}

function endLabel(text) {
  if (!/^-?\d+$/.test(text)) return text;
  return momentText(Number(text));
}

const two = (number) => String(number).padStart(2, '0');

/** Return `14:03:22` in the reader's time zone. */
export function clockText(at) {
  const date = new Date(at);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Return `2026-11-27` in the reader's time zone. */
export function dateText(at) {
  const date = new Date(at);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Return `2026-11-27 14:03:22` in the reader's time zone. */
export const momentText = (at) => `${dateText(at)} ${clockText(at)}`;

/** Return how long ago that was, in a person's words: `4 min`, `2 h 5 min`. */
export function agoText(milliseconds) {
  const minutes = Math.floor(milliseconds / 6e4);
  if (minutes < 1) return `${Math.max(0, Math.round(milliseconds / 1000))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}
