// Values as text, the way Grafana writes them: its unit ids, its prefixes, its automatic number of decimals.
// Compared with Grafana's own formatter in tests/browser; knows no panels and no DOM.

/** How many decimals a value gets when nobody says: three significant digits, and none for whole numbers. */
function automaticDecimals(value) {
  if (value === 0 || Number.isInteger(value)) return 0;
  return Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
}

/** Round to `decimals` digits after the point and keep trailing zeros; without `decimals`, choose. */
export function fixed(value, decimals) {
  if (!Number.isFinite(value)) return String(value.toLocaleString('en-US'));
  const digits = Math.max(0, decimals ?? automaticDecimals(value));
  if (value === 0) return (0).toFixed(digits);
  const factor = 10 ** digits;
  const text = String(Math.round(value * factor) / factor);
  if (text.includes('e')) return text;
  const [whole, fraction = ''] = text.split('.');
  return digits && fraction.length < digits ? `${whole}.${fraction.padEnd(digits, '0')}` : text;
}

const SI = ['f', 'p', 'n', 'µ', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi'];
const COUNTS = ['', 'K', 'M', 'B', 'T'];
const WORDS = ['', ' K', ' Mil', ' Bil', ' Tri', ' Quadr', ' Quint', ' Sext', ' Sept'];

/** Write a value with the prefix that leaves one to three digits before the point. */
const scaled =
  (base, suffixes, zero = 0) =>
  (value, decimals) => {
    if (!Number.isFinite(value)) return [fixed(value), ''];
    const power = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)) / Math.log10(base));
    const index = Math.min(suffixes.length - 1, Math.max(0, zero + power));
    return [fixed(value / base ** (index - zero), decimals), suffixes[index]];
  };
const si = (unit, offset = 0) =>
  scaled(
    1000,
    SI.map((prefix) => ` ${prefix}${unit}`),
    SI.indexOf('') + offset,
  );
const binary = (unit) =>
  scaled(
    1024,
    BINARY.map((prefix) => ` ${prefix}${unit}`),
  );
const counted = (unit) => {
  const write = scaled(1000, COUNTS);
  return (value, decimals) => {
    const [text, suffix] = write(value, decimals);
    return [text, `${suffix} ${unit}`];
  };
};
const plain =
  (unit, factor = 1) =>
  (value, decimals) => [fixed(value * factor, decimals), unit];

// From where on a duration is written in which unit, and how many seconds that unit has.
const STEPS = [
  [0, 1e-9, ' ns'],
  [1e-6, 1e-6, ' µs'],
  [1e-3, 1e-3, ' ms'],
  [1, 1, ' s'],
  [60, 60, ' min'],
  [3600, 3600, ' hour'],
  [86400, 86400, ' day'],
  [604800, 604800, ' week'],
  [31536000, 31556900, ' year'],
];

function seconds(value, decimals) {
  if (value === 0) return ['0', ' s'];
  const size = Math.abs(value);
  const [from, length, name] = STEPS.findLast(([start]) => size >= start) ?? STEPS[0];
  const count = length < 1 ? value * Math.round(1 / length) : value / length;
  return [fixed(count, decimals), from >= 60 && Math.abs(count) > 1 ? `${name}s` : name];
}

function milliseconds(value, decimals) {
  const size = Math.abs(value);
  if (size < 1000) return [fixed(value, decimals), ' ms'];
  const [from, length, name] = STEPS.findLast(([start]) => size / 1000 >= start && start !== 604800);
  const count = from === 31536000 ? value / 31536e6 : value / (length * 1000);
  return [fixed(count, decimals), from >= 60 && Math.abs(count) > 1 ? `${name}s` : name];
}

const DAY_TIME = { hour12: false, year: 'numeric', month: '2-digit', day: '2-digit' };
const CLOCK = { hour: '2-digit', minute: '2-digit', second: '2-digit' };

function iso(value) {
  const date = new Date(value);
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat('en-CA', { ...DAY_TIME, ...CLOCK, hourCycle: 'h23' })
      .formatToParts(date)
      .map(({ type, value: text }) => [type, text]),
  );
  return [`${parts.year}-${parts.month}-${parts.day} ${parts.hour}:${parts.minute}:${parts.second}`, ''];
}

const FORMATS = {
  none: plain(''),
  string: (value) => [String(value), ''],
  short: scaled(1000, WORDS),
  sci: (value, decimals) => [value.toExponential(decimals ?? undefined), ''],
  locale: (value, decimals) => [value.toLocaleString('en-US', { maximumFractionDigits: decimals ?? 3 }), ''],
  percent: plain('%'),
  percentunit: plain('%', 100),
  s: seconds,
  ms: milliseconds,
  dateTimeAsIso: iso,
  bytes: binary('B'),
  decbytes: si('B'),
  bits: binary('b'),
  decbits: si('b'),
  Bps: si('B/s'),
  binBps: binary('B/s'),
  bps: si('b/s'),
  hertz: si('Hz'),
  celsius: plain(' °C'),
  watt: si('W'),
  joule: si('J'),
  rotrpm: plain(' rpm'),
  cps: counted('c/s'),
  ops: counted('ops/s'),
  reqps: counted('req/s'),
  rps: counted('rd/s'),
  wps: counted('wr/s'),
};

/** The unit ids that are written as Grafana writes them. `suffix:…` and `prefix:…` work as well. */
export const KNOWN_UNITS = Object.freeze(Object.keys(FORMATS));

/** Say whether a unit of a dashboard is one that this page writes as Grafana does. */
export const isKnownUnit = (unit) => !unit || unit in FORMATS || /^(suffix|prefix):/.test(unit);

function writer(unit) {
  if (unit in FORMATS) return FORMATS[unit];
  const custom = /^(suffix|prefix):(.*)$/s.exec(unit);
  if (custom?.[1] === 'prefix') return (value, decimals) => [custom[2] + fixed(value, decimals), ''];
  return plain(` ${custom ? custom[2] : unit}`);
}

/**
 * Write a value as Grafana's stat, legend and table do.
 *
 * @param {number | null | undefined} value
 * @param {{ unit?: string, decimals?: number | null, mappings?: object[], noValue?: string }} field
 */
export function format(value, field = {}) {
  const mapped = mappingOf(value, field.mappings);
  if (mapped?.text != null && mapped.text !== '') return mapped.text;
  if (value == null || Number.isNaN(value)) return 'No data';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return writer(field.unit || 'none')(value, field.decimals ?? undefined).join('');
}

/** Return what a value mapping says about a value: `{ text, color }`, or null. */
export function mappingOf(value, mappings) {
  for (const { type, options } of mappings ?? []) {
    if (type === 'value' && value != null && String(value) in options) return options[String(value)];
    if (type === 'range' && value >= (options.from ?? -Infinity) && value <= (options.to ?? Infinity)) {
      return options.result;
    }
    if (type === 'special' && isSpecial(value, options.match)) return options.result;
  }
  return null;
}

function isSpecial(value, match) {
  const missing = value == null;
  if (match === 'null') return missing;
  if (match === 'nan') return Number.isNaN(value);
  return match === 'null+nan' && (missing || Number.isNaN(value));
}

const NICE = [1, 2, 2.5, 5, 10];
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

/**
 * Return a distance between ticks that reads well in a unit: powers of two for bytes, minutes for long times.
 *
 * @param {number} span The axis' length.
 * @param {number} ticks About how many ticks there should be.
 */
export function tickStep(span, ticks, unit) {
  const raw = span / Math.max(1, ticks);
  if (!(raw > 0) || !Number.isFinite(raw)) return 1;
  if (unit === 's' && raw > 20) return TIME_STEPS.find((step) => step >= raw) ?? 86400 * niceStep(raw / 86400);
  if (unit === 'bytes' || unit === 'bits' || unit === 'binBps') {
    const scale = 1024 ** Math.max(0, Math.floor(Math.log(raw) / Math.log(1024)));
    return scale * 2 ** Math.ceil(Math.log2(raw / scale));
  }
  return niceStep(raw);
}

function niceStep(raw) {
  const magnitude = 10 ** Math.floor(Math.log10(raw));
  return magnitude * NICE.find((nice) => nice >= (raw / magnitude) * (1 - 1e-9));
}

/** Return how a tick is written: with as many decimals as its neighbours need to differ. */
export function formatTick(value, step, field = {}) {
  if (value === 0 && !/^(s|percentunit|percent|bytes|decbytes)$/.test(field.unit ?? '')) {
    return writer(field.unit || 'none')(0, 0).join('');
  }
  const write = writer(field.unit || 'none');
  for (let decimals = 0; decimals < 4; decimals += 1) {
    const [here, suffix] = write(value, decimals);
    const [next, nextSuffix] = write(value + step, decimals);
    const exact = Math.abs(Number(here) - Number(write(value, 9)[0])) < 0.04 * 10 ** -decimals + 1e-9;
    if ((here !== next || suffix !== nextSuffix) && exact) return withoutZeros(here) + suffix;
  }
  return write(value, undefined).join('');
}

const withoutZeros = (text) => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
