import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dragged, edgeAt, enlarged, handleAt, handles, inserted, KNOB, nudged, removed, spun, toggled } from "./edit";
import {
  bounds,
  geometryOf,
  isSpeck,
  makeBox,
  makeKeypoints,
  makePolygon,
  makePolyline,
  makeRotated,
  moved,
} from "./geometry";
import type { Box, Geometry, Keypoint, Point } from "./types";

const size = { width: 200, height: 100 };
const real = fc.double({ min: -300, max: 500, noNaN: true });
const point: fc.Arbitrary<Point> = fc.tuple(real, real);
const within = (box: Box) => {
  expect(box[0]).toBeGreaterThanOrEqual(0);
  expect(box[1]).toBeGreaterThanOrEqual(0);
  expect(box[2]).toBeLessThanOrEqual(size.width);
  expect(box[3]).toBeLessThanOrEqual(size.height);
  expect(box[0]).toBeLessThanOrEqual(box[2]);
  expect(box[1]).toBeLessThanOrEqual(box[3]);
};
const hundredths = (values: readonly number[]) => values.forEach((v) => expect(Math.round(v * 100) / 100).toBe(v));
const shapes: fc.Arbitrary<Geometry> = fc.oneof(
  fc.tuple(point, point).map(([a, b]) => makeBox(a, b, size)),
  fc.tuple(real, real, real, real, real).map((shape) => makeRotated(shape, size)),
  fc
    .array(fc.array(point, { minLength: 3, maxLength: 6 }), { minLength: 1, maxLength: 2 })
    .map((r) => makePolygon(r, size)),
  fc.array(point, { minLength: 2, maxLength: 6 }).map((line) => makePolyline(line, size)),
  fc
    .array(fc.tuple(real, real, fc.constantFrom(0, 1, 2)), { minLength: 1, maxLength: 5 })
    .map((p) => makeKeypoints(p, size)),
);

describe("whatever is made or changed by hand", () => {
  it("lies in the image, in hundredths of a pixel", () => {
    fc.assert(
      fc.property(shapes, fc.nat(20), point, (g, i, to) => {
        const n = handles(g, 1).length;
        const changed = n ? dragged(g, i % n, to, size) : g;
        for (const one of [g, changed, moved(g, to[0], to[1], size) ?? g]) {
          within(one.box);
          if (one.kind !== "rotated_box") hundredths([(one.shape as number[]) ?? one.box].flat(3));
        }
      }),
    );
  });

  it("keeps its size when it is moved, as far as there is room", () => {
    fc.assert(
      fc.property(shapes, point, (g, by) => {
        fc.pre(g.kind !== "rotated_box"); // its corners may lie outside
        const next = moved(g, by[0], by[1], size)!;
        expect(next.box[2] - next.box[0]).toBeCloseTo(g.box[2] - g.box[0], 1);
        expect(next.box[3] - next.box[1]).toBeCloseTo(g.box[3] - g.box[1], 1);
      }),
    );
  });
});

describe("a box", () => {
  const g = makeBox([20, 20], [60, 40], size);

  it("stays a box under each of its eight handles, and may be turned inside out", () => {
    expect(handles(g, 1)).toHaveLength(8);
    expect(dragged(g, 4, [80, 70], size).box).toEqual([20, 20, 80, 70]);
    expect(dragged(g, 0, [5, 90], size).box).toEqual([5, 40, 60, 90]);
    expect(dragged(g, 3, [90, 99], size).box).toEqual([20, 20, 90, 40]);
    expect(dragged(g, 5, [0, 55], size).box).toEqual([20, 20, 60, 55]);
    expect(dragged(g, 4, [10, 10], size).box).toEqual([10, 10, 20, 20]);
  });

  it("is never made thinner than a pixel", () => {
    const thin = dragged(g, 3, [20, 30], size).box;
    expect(thin[2] - thin[0]).toBeCloseTo(1, 6);
  });

  it("is moved and resized by keys", () => {
    expect(nudged(g, null, 10, -1, size)!.box).toEqual([30, 19, 70, 39]);
    expect(enlarged(g, 1, 10, size)!.box).toEqual([20, 20, 61, 50]);
    expect(spun(g, 1, size)).toBeNull();
    expect(nudged(g, null, 1000, 0, size)!.box).toEqual([160, 20, 200, 40]);
  });
});

it("turns and resizes a rotated box in its own axes", () => {
  const g = makeRotated([100, 50, 40, 20, 0], size);
  expect(handles(g, 1)).toHaveLength(9);
  expect(handles(g, 2)[KNOB]).toEqual([100, 50 - 10 - 56]);
  expect(dragged(g, KNOB, [150, 50], size).shape).toEqual([100, 50, 40, 20, 1.5708]);
  const upright = dragged(g, KNOB, [150, 50], size);
  expect(upright.box).toEqual([90, 30, 110, 70]);
  expect((enlarged(upright, 10, 0, size)!.shape as number[]).slice(2, 4)).toEqual([50, 20]);
  expect(dragged(g, KNOB, [101, 10], size, Math.PI / 12).shape).toEqual([100, 50, 40, 20, 0]);
  expect((spun(g, Math.PI / 2, size)!.shape as number[])[4]).toBe(1.5708);
});

describe("a polygon", () => {
  const outer: Point[] = [[10, 10], [90, 10], [90, 90], [10, 90]]; // prettier-ignore
  const hole: Point[] = [[30, 30], [60, 30], [60, 60]]; // prettier-ignore
  const g = makePolygon([outer, hole], size);

  it("has its vertices found, moved, put in and taken out, ring after ring", () => {
    expect(handleAt(g, [61, 31], 5, 1)).toBe(5);
    expect(handleAt(g, [50, 50], 5, 1)).toBeNull();
    expect(dragged(g, 5, [70, 25], size).shape).toEqual([outer, [[30, 30], [70, 25], [60, 60]]]); // prettier-ignore
    const edge = edgeAt(g, [61, 45], 5)!;
    expect(edge).toEqual({ after: 5, at: [60, 45] });
    expect(inserted(g, edge.after, edge.at, size).shape).toEqual([outer, [[30, 30], [60, 30], [60, 45], [60, 60]]]); // prettier-ignore
    expect(edgeAt(g, [11, 50], 5)!.after).toBe(3); // the side that closes the ring
    expect(removed(g, 0, size)!.shape).toEqual([outer.slice(1), hole]);
  });

  it("loses a ring that is down to a triangle, but never all", () => {
    const alone = removed(g, 4, size)!;
    expect(alone.shape).toEqual([outer]);
    const triangle = removed(alone, 0, size)!;
    expect(removed(triangle, 0, size)).toBeNull();
  });
});

it("keeps two points of a polyline", () => {
  const g = makePolyline([[0, 0], [50, 0], [50, 50]], size); // prettier-ignore
  const short = removed(g, 1, size)!;
  expect(short.shape).toEqual([[0, 0], [50, 50]]); // prettier-ignore
  expect(removed(short, 0, size)).toBeNull();
  expect(edgeAt(g, [25, 24], 3)).toBeNull(); // a line does not close
});

describe("keypoints", () => {
  const points: Keypoint[] = [[10, 10, 2], [0, 0, 0], [30, 30, 1]]; // prettier-ignore
  const g = makeKeypoints(points, size);

  it("are hidden and shown, made absent and put back", () => {
    expect(toggled(g, 0, size)!.shape).toEqual([[10, 10, 1], [0, 0, 0], [30, 30, 1]]); // prettier-ignore
    expect(toggled(g, 2, size)!.shape).toEqual([[10, 10, 2], [0, 0, 0], [30, 30, 2]]); // prettier-ignore
    expect(toggled(g, 1, size)).toBeNull();
    const one = removed(g, 0, size)!;
    expect(one.shape).toEqual([[0, 0, 0], [0, 0, 0], [30, 30, 1]]); // prettier-ignore
    expect(one.box).toEqual([30, 30, 30, 30]);
    expect(removed(one, 2, size)).toBeNull();
    expect(dragged(g, 1, [20, 25], size).shape).toEqual([[10, 10, 2], [20, 25, 2], [30, 30, 1]]); // prettier-ignore
  });

  it("do not count where they are absent", () => {
    expect(g.box).toEqual([10, 10, 30, 30]);
    expect(handles(g, 1)[1]).toBeNull();
    expect(moved(g, 5, 0, size)!.shape).toEqual([[15, 10, 2], [0, 0, 0], [35, 30, 1]]); // prettier-ignore
  });
});

it("leaves masks, cuboids and tags to others", () => {
  for (const kind of ["mask", "cuboid", "tag"]) {
    const g = geometryOf({ class: "a", kind, box: [1, 1, 5, 5], shape: null });
    expect(moved(g, 1, 1, size)).toBeNull();
    expect(handles(g, 1)).toEqual([]);
    expect(dragged(g, 0, [3, 3], size)).toBe(g);
  }
});

it("knows what is too small to have been meant", () => {
  expect(isSpeck(makeBox([5, 5], [5.5, 50], size))).toBe(true);
  expect(isSpeck(makeBox([5, 5], [6, 6], size))).toBe(false);
  expect(isSpeck(makePolyline([[5, 5], [5, 50]], size))).toBe(false); // prettier-ignore
  expect(isSpeck(makeRotated([9, 9, 30, 0.2, 1], size))).toBe(true);
  expect(bounds([])).toEqual([0, 0, 0, 0]);
});
