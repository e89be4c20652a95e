// The HTTP API of Prometheus, asked through the console's own server. Knows no panels and no DOM.

/** Prometheus does not answer, or what answers is not Prometheus. */
export class AwayError extends Error {}

/** Prometheus answered that it cannot do what was asked. */
export class QueryError extends Error {}

/** @typedef {{ labels: Record<string, string>, values: [number, number][], histograms?: [number, object][] }} Series */

export class Prometheus {
  #base;
  #fetch;

  constructor(base = 'prometheus/api/v1/', fetcher = (...args) => fetch(...args)) {
    this.#base = base;
    this.#fetch = fetcher;
  }

  /** @returns {Promise<Series[]>} */
  async range(query, { start, end, step }, signal) {
    const { result } = await this.#post('query_range', { query, start, end, step }, signal);
    return result.map(({ metric, values = [], histograms = [] }) => ({
      labels: metric,
      values: values.map(sample),
      histograms: histograms.map(([at, histogram]) => [at * 1000, histogram]),
    }));
  }

  /** @returns {Promise<Series[]>} */
  async instant(query, time, signal) {
    const { resultType, result } = await this.#post('query', { query, time }, signal);
    if (resultType === 'scalar') return [{ labels: {}, values: [sample(result)] }];
    if (resultType === 'string') throw new QueryError('the query returns a text, not a number');
    return result.map(({ metric, value, histogram }) => ({
      labels: metric,
      values: value ? [sample(value)] : [],
      histograms: histogram ? [[histogram[0] * 1000, histogram[1]]] : [],
    }));
  }

  labelValues(label, { selector, start, end }, signal) {
    const match = selector ? { 'match[]': selector } : {};
    return this.#get(`label/${encodeURIComponent(label)}/values`, { ...match, start, end }, signal);
  }

  /** Return the alerting rules with what is active of each. */
  async alertingRules(signal) {
    const { groups } = await this.#get('rules', { type: 'alert' }, signal);
    return groups.flatMap(({ name, rules }) => rules.map((rule) => ({ ...rule, group: name })));
  }

  #post(path, parameters, signal) {
    return this.#ask(path, { method: 'POST', body: new URLSearchParams(parameters), signal });
  }

  #get(path, parameters, signal) {
    return this.#ask(`${path}?${new URLSearchParams(parameters)}`, { signal });
  }

  async #ask(path, request) {
    let answer;
    try {
      answer = await this.#fetch(this.#base + path, request);
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new AwayError('the console’s own server does not answer');
    }
    let content;
    try {
      content = JSON.parse(await answer.text());
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new AwayError(`HTTP ${answer.status} instead of an answer of Prometheus`);
    }
    if (content.status === 'success') return content.data;
    const message = content.error ?? `HTTP ${answer.status}`;
    throw answer.status >= 500 && answer.status !== 503 && content.errorType !== 'timeout'
      ? new AwayError(message)
      : new QueryError(message);
  }
}

const sample = ([at, value]) => [at * 1000, number(value)];
const number = (text) => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));
