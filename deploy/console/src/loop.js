// Repeats something at an interval, never twice at once, and rests while nobody looks.

export class Loop {
  #work;
  #timer = 0;
  #running = null;
  #periodMs = 0;

  /** @param {(signal: AbortSignal) => Promise<void>} work */
  constructor(work) {
    this.#work = work;
    document.addEventListener('visibilitychange', this.#woken);
  }

  /** Repeat every `periodMs` from now on; 0 stops repeating. */
  every(periodMs) {
    this.#periodMs = periodMs;
    this.#plan();
  }

  /** Do it now; what is under way is given up. */
  async now() {
    this.#running?.abort();
    clearTimeout(this.#timer);
    const running = new AbortController();
    this.#running = running;
    try {
      await this.#work(running.signal);
    } catch (error) {
      if (error.name !== 'AbortError') throw error;
    }
    if (this.#running === running) {
      this.#running = null;
      this.#plan();
    }
  }

  /** End for good. */
  stop() {
    this.#periodMs = 0;
    clearTimeout(this.#timer);
    this.#running?.abort();
    document.removeEventListener('visibilitychange', this.#woken);
  }

  #plan() {
    clearTimeout(this.#timer);
    if (this.#periodMs && !document.hidden && !this.#running)
      this.#timer = setTimeout(() => this.now(), this.#periodMs);
  }

  #woken = () => {
    if (document.hidden) clearTimeout(this.#timer);
    else if (this.#periodMs && !this.#running) this.now();
  };
}
