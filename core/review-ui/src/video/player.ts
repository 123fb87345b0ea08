/**
 * Play frames in their own time, each of them: a frame that is not here yet is waited for, and none is left out. A loop goes on and on;
 * its first frame is shown whether or not it is here, since nobody asks for it before that.
 */

const UNKNOWN_S = 1 / 25; // of a frame whose time is not known
const LONGEST_S = 1;

export interface Stage {
  /** Tell whether a frame can be shown at once. */
  ready(frame: number): boolean;
  show(frame: number): void;
  /** The frame shown: the person may have gone elsewhere meanwhile. */
  at(): number;
  /** The end is reached. */
  ended(): void;
}

export class Player {
  #timer = 0;
  #due = 0;
  #frame = 0;
  #begun = false;
  #loop: readonly [number, number] | null = null;

  /** `seconds`: time of each frame, or null if it is unknown. */
  constructor(
    private readonly seconds: readonly (number | null)[],
    private readonly stage: Stage,
  ) {}

  get playing(): boolean {
    return this.#timer !== 0;
  }

  /** Play from a frame on; from the last one, again from the first. `loop`: first and last frame of what is played again and again. */
  play(frame: number, speed = 1, loop: readonly [number, number] | null = null): void {
    this.stop();
    this.#loop = loop;
    this.#begun = false;
    const outside = loop ? frame < loop[0] || frame >= loop[1] : frame >= this.seconds.length - 1;
    this.#frame = outside ? (loop?.[0] ?? 0) - 1 : frame;
    this.#due = performance.now();
    const tick = (now: number) => {
      this.#timer = requestAnimationFrame(tick);
      if (this.#begun) this.#frame = this.stage.at();
      const again = this.#loop !== null && this.#frame >= this.#loop[1];
      const next = again ? this.#loop![0] : this.#frame + 1;
      const begins = next === this.#loop?.[0];
      if (now < this.#due || !(begins || this.stage.ready(next))) return;
      // Late frames do not pile up.
      this.#due = Math.max(this.#due, now - 20) + (this.#length(next) * 1000) / speed;
      this.#frame = next;
      this.#begun = true;
      this.stage.show(next);
      if (this.#loop || next < this.seconds.length - 1) return;
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
