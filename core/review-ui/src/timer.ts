/** Measure how long a person was active: time while hidden, or later than a minute after the last input, does not count. */

const IDLE_MS = 60_000;
const INPUTS = ["pointerdown", "pointermove", "keydown", "wheel"] as const;

export class ActiveTimer {
  #sum = 0;
  #last: number | null = null;
  #seen = 0;
  #hidden = false;

  /** `now` gives milliseconds that never run backwards. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Begin to measure, from zero. */
  start(): void {
    if (this.#last === null) {
      for (const name of INPUTS) window.addEventListener(name, this.#input, { capture: true, passive: true });
      document.addEventListener("visibilitychange", this.#visibility);
    }
    this.#sum = 0;
    this.#last = this.#seen = this.now();
    this.#hidden = document.visibilityState === "hidden";
  }

  /** Active milliseconds since the last lap, or the start, without beginning a new lap. */
  get elapsed(): number {
    this.#count();
    return Math.round(this.#sum);
  }

  /** Active milliseconds since the last lap, or the start; the next lap begins. */
  lap(): number {
    const sum = this.elapsed;
    this.#sum = 0;
    return sum;
  }

  stop(): void {
    for (const name of INPUTS) window.removeEventListener(name, this.#input, { capture: true });
    document.removeEventListener("visibilitychange", this.#visibility);
    this.#last = null;
  }

  // `#seen` is the last input; time counts until a minute after it.
  #count(): void {
    if (this.#last === null) return;
    const now = this.now();
    if (!this.#hidden) this.#sum += Math.max(0, Math.min(now, this.#seen + IDLE_MS) - this.#last);
    this.#last = now;
  }

  #input = (): void => {
    this.#count();
    this.#seen = this.now();
  };

  #visibility = (): void => {
    this.#count();
    this.#hidden = document.visibilityState === "hidden";
    this.#seen = this.now();
  };
}
