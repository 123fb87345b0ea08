import fc from "fast-check";
import { describe, expect, it } from "vitest";
import golden from "./golden.json";
import {
  bounds,
  corners,
  lengths,
  moved,
  newCuboid,
  pixel,
  stretched,
  turned,
  wireframe,
  withNumber,
  yaw,
} from "./project";

const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const cuboid = fc
  .tuple(
    fc.tuple(real(-20, 20), real(-5, 5), real(-20, 60)),
    fc.tuple(real(-1, 1), real(-1, 1), real(-1, 1), real(-1, 1)).filter((q) => Math.hypot(...q) > 0.1),
    fc.tuple(real(0.1, 9), real(0.1, 9), real(0.1, 9)),
  )
  .map(([c, q, l]) => [...c, ...q.map((v) => v / Math.hypot(...q)), ...l]);
const near = (a: readonly number[], b: readonly number[], digits = 9) =>
  a.forEach((v, i) => expect(v).toBeCloseTo(b[i]!, digits));

describe("what numpy says", () => {
  it.each(golden.cases.map((one, i) => [i, one] as const))("cuboid %i", (_, one) => {
    const at = corners(one.cuboid);
    at.forEach((corner, i) => near(corner, one.corners[i]!));
    at.forEach((corner, i) => {
      const [got, want] = [pixel(corner, golden.k), one.pixels[i]];
      expect(got === null).toBe(want === null);
      if (got && want) near(got, want, 6);
    });
    const box = bounds(one.cuboid, golden.k, golden.size);
    expect(box === null).toBe(one.bounds === null);
    // numpy walks along the edges, so that near the camera it stops a step before where they are cut.
    if (box && one.bounds) near(box, one.bounds, 0);
    expect(yaw(one.cuboid)).toBeCloseTo(one.yaw, 9);
  });

  it("cuts edges behind the camera, and draws nothing of what lies behind it", () => {
    const lines = golden.cases.map((one) => wireframe(one.cuboid, golden.k).length);
    expect(lines[0]).toBe(12);
    expect(lines[2]).toBeGreaterThan(0);
    expect(lines[2]).toBeLessThan(12);
    expect(lines[3]).toBe(0);
    expect(lines.flat().every(Number.isFinite)).toBe(true);
  });
});

describe("editing", () => {
  it("turns about the vertical by the angle asked for, and back", () => {
    fc.assert(
      fc.property(cuboid, real(-3, 3), (c, angle) => {
        const there = turned(c, angle);
        const [x, y, z] = corners(c)[0]!.map((v, i) => v - c[i]!) as [number, number, number];
        const [s, k] = [Math.sin(angle), Math.cos(angle)];
        near(
          corners(there)[0]!.map((v, i) => v - c[i]!),
          [k * x + s * z, y, k * z - s * x],
        );
        near(turned(there, -angle), c);
      }),
    );
  });

  it("moves one face and leaves the one across from it", () => {
    fc.assert(
      fc.property(cuboid, fc.constantFrom(0, 1, 2), fc.constantFrom(1, -1), real(-0.05, 4), (c, axis, side, by) => {
        const after = stretched(c, axis as 0 | 1 | 2, side as 1 | -1, by);
        expect(lengths(after)[axis]!).toBeCloseTo(lengths(c)[axis]! + by, 9);
        corners(c).forEach((corner, i) => {
          const stays = (i & (1 << axis) ? 1 : -1) !== side;
          if (stays) near(corners(after)[i]!, corner);
          else expect(Math.hypot(...corners(after)[i]!.map((v, a) => v - corner[a]!))).toBeCloseTo(Math.abs(by), 9);
        });
      }),
    );
  });

  it("keeps lengths above nothing and quaternions at length 1", () => {
    expect(stretched(newCuboid(null, [10, 10]), 0, 1, -99)[7]).toBe(0.01);
    expect(withNumber(newCuboid(null, [10, 10]), 9, -2)[9]).toBe(0.01);
    const c = withNumber(newCuboid(null, [10, 10]), 4, 3);
    expect(Math.hypot(...c.slice(3, 7))).toBeCloseTo(1, 12);
    expect(withNumber(c, 3, 0).slice(3, 7).some(Number.isNaN)).toBe(false);
  });

  it("begins with a cuboid that is seen, in the middle", () => {
    const c = newCuboid(golden.k, golden.size);
    const box = bounds(c, golden.k, golden.size)!;
    expect((box[0] + box[2]) / 2).toBeCloseTo(golden.size[1]! / 2, -1);
    near(moved(c, [1, 2, 3]).slice(0, 3), [c[0]! + 1, c[1]! + 2, c[2]! + 3]);
  });
});
