import fc from "fast-check";
import { expect, it } from "vitest";
import { follow, frameAt, openRuns, ticks, xOf, zoomed } from "./timeline";
import type { Track } from "./tracks";

const range = fc
  .tuple(
    fc.integer({ min: 8, max: 6000 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0.01, max: 1, noNaN: true }),
  )
  .map(([frames, at, share]) => {
    const span = Math.max(8, frames * share);
    const from = at * (frames - span);
    return { frames, range: { from, to: from + span } };
  });

it("finds the frame under a pixel", () => {
  fc.assert(
    fc.property(range, fc.double({ min: 0, max: 1, noNaN: true }), ({ frames, range }, share) => {
      const frame = Math.min(frames - 1, Math.floor(range.from + share * (range.to - range.from)));
      expect(frameAt(xOf(frame + 0.5, range, 900), range, 900, frames)).toBe(frame);
    }),
  );
});

it("zooms around a frame, which stays under the pixel, and never leaves the clip", () => {
  fc.assert(
    fc.property(range, fc.double({ min: 0.2, max: 5, noNaN: true }), ({ frames, range }, factor) => {
      const around = (range.from + range.to) / 2;
      const next = zoomed(range, factor, around, frames);
      expect(next.from).toBeGreaterThanOrEqual(0);
      expect(next.to).toBeLessThanOrEqual(frames + 1e-6);
      expect(next.to - next.from).toBeGreaterThanOrEqual(8 - 1e-6);
      const inside = next.from > 1e-9 && next.to < frames - 1e-9;
      if (inside) expect(xOf(around, next, 900)).toBeCloseTo(xOf(around, range, 900), 3);
    }),
  );
});

it("follows the frame shown", () => {
  fc.assert(
    fc.property(range, fc.double({ min: 0, max: 0.999, noNaN: true }), ({ frames, range }, share) => {
      const frame = Math.floor(share * frames);
      const next = follow(range, frame, frames);
      expect(frame).toBeGreaterThanOrEqual(next.from - 1e-6);
      expect(frame + 1).toBeLessThanOrEqual(next.to + 1 + 1e-6);
      if (frame >= range.from && frame + 1 <= range.to) expect(next).toBe(range);
    }),
  );
});

it("writes round numbers, no more than fit", () => {
  expect(ticks({ from: 0, to: 140 }, 8)).toEqual([0, 20, 40, 60, 80, 100, 120]);
  expect(ticks({ from: 3.5, to: 9 }, 20)).toEqual([4, 5, 6, 7, 8]);
  fc.assert(fc.property(range, ({ range }) => void expect(ticks(range, 8).length).toBeLessThanOrEqual(9)));
});

it("joins open frames to stretches", () => {
  const spots = [0, 1, 2, 4, 5].map((frame) => ({ frame, mark: { open: frame !== 1 } }));
  expect(openRuns({ spots } as unknown as Track)).toEqual([[0, 0], [2, 2], [4, 5]]); // prettier-ignore
});
