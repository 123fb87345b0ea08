/** Play frames in their own time, each of them: a frame that is not here yet is waited for, and none is left out. */

const UNKNOWN_S = 1 / 25; // of a frame whose time is not known
const LONGEST_S = 1;

export interface Stage {
  /** Tell whether a frame can be shown at once. */
  ready(frame: number): boolean;
  show(frame: number): void;
  /** The end is reached. */
  ended(): void;
}

export class Player {
  #timer = 0;
  #due = 0;
  #frame = 0;

  /** `seconds`: time of each frame, or null if it is unknown. */
  constructor(
    private readonly seconds: readonly (number | null)[],
    private readonly stage: Stage,
  ) {}

  get playing(): boolean {
    return this.#timer !== 0;
  }

  /** Play from a frame on; from the last one, again from the first. */
  play(frame: number, speed = 1): void {
    this.stop();
    this.#frame = frame >= this.seconds.length - 1 ? -1 : frame;
    this.#due = performance.now();
    const tick = (now: number) => {
      this.#timer = requestAnimationFrame(tick);
      const next = this.#frame + 1;
      if (now < this.#due || !this.stage.ready(next)) return;
      // Late frames do not pile up.
      this.#due = Math.max(this.#due, now - 20) + (this.#length(next) * 1000) / speed;
      this.#frame = next;
      this.stage.show(next);
      if (next < this.seconds.length - 1) return;
      this.stop();
      this.stage.ended();
    };
    this.#timer = requestAnimationFrame(tick);
  }

  stop(): void {
    cancelAnimationFrame(this.#timer);
    this.#timer = 0;
  }

  /** How long a frame is shown, in seconds. */
  #length(frame: number): number {
    const [here, next] = [this.seconds[frame] ?? null, this.seconds[frame + 1] ?? null];
    const length = here === null || next === null ? UNKNOWN_S : next - here;
    return length > 0 ? Math.min(LONGEST_S, length) : UNKNOWN_S;
  }
}
