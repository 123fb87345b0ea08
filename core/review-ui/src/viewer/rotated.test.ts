import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { corners, fromSide, local, place, resized, tidyAngle, turned } from "./rotated";
import type { Point, RotatedBox } from "./types";

const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const box: fc.Arbitrary<RotatedBox> = fc.tuple(
  real(-500, 500),
  real(-500, 500),
  real(1, 300),
  real(1, 300),
  real(-3.14, 3.14),
);
const point: fc.Arbitrary<Point> = fc.tuple(real(-500, 500), real(-500, 500));
const near = (a: readonly number[], b: readonly number[], digits = 6) =>
  a.forEach((v, i) => expect(v).toBeCloseTo(b[i]!, digits));

describe("rotated boxes", () => {
  it("have the corners that hyla.geometry gives, clockwise as seen", () => {
    const got = corners([10, 20, 8, 4, Math.PI / 6]);
    // hyla.geometry.rotated_corners([10, 20, 8, 4, pi / 6])
    near(got[0]!, [7.535898384862246, 16.267949192431123]);
    near(got[1]!, [14.464101615137755, 20.267949192431123]);
    near(got[2]!, [12.464101615137755, 23.732050807568877]);
    near(got[3]!, [5.535898384862246, 19.732050807568877]);
  });

  it("take a point into their axes and back", () => {
    fc.assert(
      fc.property(box, point, (b, p) => {
        const [u, v] = local(b, p);
        near(place([b[0], b[1], 2, 2, b[4]], u, v), p);
      }),
    );
  });

  it("follow a handle, and keep what lies across from it", () => {
    fc.assert(
      fc.property(box, fc.integer({ min: 0, max: 7 }), point, (b, handle, to) => {
        const next = resized(b, handle, to);
        const eight = [[-1, -1], [0, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0]] as const; // prettier-ignore
        const [ax, ay] = eight[(handle + 4) % 8]!;
        const fixed = place(b, ax, ay);
        const onLine = local(next, fixed);
        // The handle across lies on the same side or corner of the new box.
        if (ax) expect(Math.abs(onLine[0])).toBeCloseTo(next[2] / 2, 6);
        if (ay) expect(Math.abs(onLine[1])).toBeCloseTo(next[3] / 2, 6);
        const [u, v] = local(next, to);
        if (ax) expect(Math.abs(u)).toBeCloseTo(next[2] / 2, 6);
        if (ay) expect(Math.abs(v)).toBeCloseTo(next[3] / 2, 6);
        expect(next[4]).toBe(b[4]);
        if (!ax) expect(next[2]).toBeCloseTo(b[2], 9);
      }),
    );
  });

  it("turn their upper side to where the knob is, in steps if asked", () => {
    fc.assert(
      fc.property(box, point, (b, to) => {
        fc.pre(Math.hypot(to[0] - b[0], to[1] - b[1]) > 1);
        const [u, v] = local(turned(b, to), to);
        expect(Math.abs(u)).toBeLessThan(1e-3 * Math.hypot(u, v) + 1e-6);
        expect(v).toBeLessThan(0);
      }),
    );
    expect(turned([0, 0, 4, 2, 0.3], [0, -9])[4]).toBe(0);
    expect(turned([0, 0, 4, 2, 0], [9, 1], Math.PI / 4)[4]).toBeCloseTo(Math.PI / 2, 3);
  });

  it("are drawn from a side and a point on the side across", () => {
    fc.assert(
      fc.property(point, point, point, (a, b, c) => {
        fc.pre(Math.hypot(a[0] - b[0], a[1] - b[1]) > 1);
        const made = fromSide(a, b, c);
        const all = corners(made);
        for (const end of [a, b]) {
          expect(Math.min(...all.map((p) => Math.hypot(p[0] - end[0], p[1] - end[1])))).toBeLessThan(0.2);
        }
        expect(Math.abs(local(made, c)[1])).toBeCloseTo(made[3] / 2, 0);
      }),
    );
  });

  it("have angles from above -pi to pi", () => {
    fc.assert(
      fc.property(real(-50, 50), (angle) => {
        const tidy = tidyAngle(angle);
        expect(tidy).toBeGreaterThan(-Math.PI - 1e-4);
        expect(tidy).toBeLessThanOrEqual(Math.PI + 1e-4);
        expect(Math.cos(tidy)).toBeCloseTo(Math.cos(angle), 3);
        expect(Math.sin(tidy)).toBeCloseTo(Math.sin(angle), 3);
      }),
    );
  });
});
