/** Arrow keys in a row are one gesture: what they moved is kept until they rest. */

const REST_MS = 350;

export class Nudge {
  #held: { step: number; timer: ReturnType<typeof setTimeout>; commit: () => void } | null = null;

  /** A label was moved; `commit` is done once nothing of the same `step` follows. */
  push(step: number, commit: () => void): void {
    if (this.#held && this.#held.step !== step) this.flush();
    if (this.#held) clearTimeout(this.#held.timer);
    this.#held = { step, commit, timer: setTimeout(() => this.flush(), REST_MS) };
  }

  flush(): void {
    const held = this.#held;
    if (!held) return;
    clearTimeout(held.timer);
    this.#held = null;
    held.commit();
  }
}
