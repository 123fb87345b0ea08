import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Player } from "./player";

describe("a loop", () => {
  let tick: (now: number) => void = () => {};
  let now = 0;
  beforeEach(() => {
    now = 0;
    vi.stubGlobal("requestAnimationFrame", (next: (now: number) => void) => ((tick = next), 1));
    vi.stubGlobal("cancelAnimationFrame", () => {});
    vi.spyOn(performance, "now").mockImplementation(() => now);
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  function played(frame: number, loop: readonly [number, number] | null, n: number, ready = (_: number) => true) {
    const shown: number[] = [];
    let ended = 0;
    const times = Array.from({ length: 20 }, (_, i) => i / 8);
    const at = () => shown.at(-1)!;
    const player = new Player(times, { ready, show: (at) => shown.push(at), at, ended: () => ended++ });
    player.play(frame, 1, loop);
    for (let i = 0; i < n; i++) tick((now += 126));
    player.stop();
    return { shown, ended };
  }

  it("begins again after its last frame, and never ends", () => {
    expect(played(5, [4, 7], 9)).toEqual({ shown: [6, 7, 4, 5, 6, 7, 4, 5, 6], ended: 0 });
  });

  it("begins at its first frame from outside, which need not be here", () => {
    expect(played(15, [4, 6], 4, (frame) => frame !== 4).shown).toEqual([4, 5, 6, 4]);
  });

  it("is none without one: the clip ends once", () => {
    expect(played(17, null, 2)).toEqual({ shown: [18, 19], ended: 1 });
  });
});
