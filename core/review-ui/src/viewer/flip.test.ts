import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { extentOf, flip, flipAll, flipBox } from "./flip";
import type { Box } from "./types";

const number = fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((v) => v + 0);
const point = fc.tuple(number, number);

describe("flip", () => {
  it("is its own inverse, exactly", () => {
    fc.assert(
      fc.property(fc.array(point, { minLength: 1 }), (points) => {
        expect(flip(flip(points[0]!))).toEqual(points[0]);
        expect(flipAll(flipAll(points))).toEqual(points);
      }),
    );
  });

  it("keeps distances and turns over what is above and below", () => {
    fc.assert(
      fc.property(point, point, (a, b) => {
        const [p, q] = [flip(a), flip(b)];
        expect(Math.hypot(p[0] - q[0], p[1] - q[1])).toBeCloseTo(Math.hypot(a[0] - b[0], a[1] - b[1]), 6);
        expect(Math.sign(p[1] - q[1]) + 0).toBe(0 - Math.sign(a[1] - b[1]) + 0);
        expect(p[0] - q[0]).toBe(a[0] - b[0]);
      }),
    );
  });

  it("makes an extent of a box, and a box of an extent", () => {
    fc.assert(
      fc.property(point, point, (a, b) => {
        const box: Box = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
        const extent = flipBox(box);
        expect(extent[0]).toBeLessThanOrEqual(extent[2]);
        expect(extent[1]).toBeLessThanOrEqual(extent[3]);
        expect(flipBox(extent)).toEqual(box);
      }),
    );
  });

  it("puts the image below the x axis and right of the y axis, without a negative zero", () => {
    const extent = extentOf({ width: 40, height: 30 });
    expect(extent).toEqual([0, -30, 40, 0]);
    expect(extent.some((v) => Object.is(v, -0))).toBe(false);
    expect(flip([0, 0])).toEqual([0, 0]);
  });
});
