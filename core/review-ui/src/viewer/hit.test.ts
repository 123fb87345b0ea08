import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LabelRow, SchemaInfo } from "../api/types";
import { nearest, snapTo, snapToBorder, within } from "./hit";
import { Labels, withRoom } from "./labels";
import type { Entry, Point } from "./types";

const schema: SchemaInfo = { name: "s", version: "1", kinds: [], classes: [], attributes: [] };
const entry = (key: number, label: Partial<LabelRow>): Entry => ({
  key,
  open: false,
  label: { class: "a", kind: "box", box: [0, 0, 0, 0], ...label },
});
const box = (key: number, x0: number, y0: number, x1: number, y1: number) => entry(key, { box: [x0, y0, x1, y1] });

describe("which label is hit", () => {
  const labels = new Labels(schema);
  labels.reset([
    box(1, 0, 0, 100, 100),
    box(2, 20, 20, 60, 60),
    box(3, 30, 30, 40, 40),
    box(4, 30, 30, 40, 40),
    entry(5, { kind: "polyline", box: [0, 50, 100, 50], shape: [[0, 50], [100, 50]] }), // prettier-ignore
    entry(6, { kind: "tag", box: [0, 0, 500, 500] }),
    entry(7, {
      kind: "polygon",
      box: [200, 0, 300, 100],
      shape: [
        [[200, 0], [300, 0], [300, 100], [200, 100]],
        [[220, 20], [280, 20], [280, 80], [220, 80]],
      ], // prettier-ignore
    }),
    entry(8, { kind: "mask", box: [0, 0, 9, 9], shape: { size: [9, 9], counts: "broken!" } }),
  ]);

  it("is the small one before the large one that holds it, the later of two equals first", () => {
    expect(labels.at([35, 35], 6)).toEqual([4, 3, 2, 1]);
    expect(labels.at([25, 25], 2)).toEqual([2, 1]);
    expect(labels.at([5, 5], 2)).toEqual([1]);
  });

  it("is a line where one comes near it, before areas", () => {
    expect(labels.at([50, 52], 6)).toEqual([5, 2, 1]);
    expect(labels.at([80, 58], 6)).toEqual([1]);
  });

  it("is not a polygon through its hole, nor a tag, nor a mask that can't be read", () => {
    expect(labels.at([250, 50], 6)).toEqual([]);
    expect(labels.at([210, 50], 6)).toEqual([7]);
    expect(labels.at([222, 50], 6)).toEqual([7]);
    expect(labels.at([400, 400], 6)).toEqual([]);
  });

  it("follows changes", () => {
    const moving = new Labels(schema);
    moving.reset([box(1, 0, 0, 10, 10)]);
    expect(moving.set(box(1, 50, 50, 60, 60))).toBe("shape");
    expect(moving.at([5, 5], 1)).toEqual([]);
    expect(moving.at([55, 55], 1)).toEqual([1]);
    expect(moving.set(box(1, 50, 50, 60, 60))).toBe("none");
    expect(moving.set({ ...box(1, 50, 50, 60, 60), open: true })).toBe("look");
    expect(moving.drop(1)).toBe(true);
    expect(moving.drop(1)).toBe(false);
    expect(moving.at([55, 55], 1)).toEqual([]);
    expect(moving.points).toBe(0);
  });
});

describe("snapping", () => {
  const square: Point[] = [[0, 0], [10, 0], [10, 10], [0, 10]]; // prettier-ignore
  const drawing = {
    rings: [square],
    lines: [],
    seen: [],
    hidden: [],
    box: [0, 0, 10, 10] as [number, number, number, number],
  };

  it("takes corners before lines, and nothing that is too far", () => {
    expect(snapTo([drawing], [9, 1], 2)).toEqual([10, 0]);
    expect(snapTo([drawing], [5, 1], 2)).toEqual([5, 0]);
    expect(snapTo([drawing], [0.5, 5], 2)).toEqual([0, 5]); // the side that closes the ring
    expect(snapTo([drawing], [5, 5], 2)).toEqual([5, 5]);
  });

  it("takes the border of the image, and brings in what is outside", () => {
    const size = { width: 100, height: 50 };
    expect(snapToBorder([3, 20], size, 5)).toEqual([0, 20]);
    expect(snapToBorder([98, 47], size, 5)).toEqual([100, 50]);
    expect(snapToBorder([-30, 90], size, 0)).toEqual([0, 50]);
    expect(snapToBorder([30, 20], size, 5)).toEqual([30, 20]);
  });

  it("finds the nearest point of a line", () => {
    const real = fc.double({ min: -100, max: 100, noNaN: true });
    const point = fc.tuple(real, real);
    fc.assert(
      fc.property(point, point, point, fc.double({ min: 0, max: 1, noNaN: true }), (a, b, p, t) => {
        const q = nearest(a, b, p);
        const other: Point = [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])];
        const away = (r: Point) => Math.hypot(r[0] - p[0], r[1] - p[1]);
        expect(away(q)).toBeLessThanOrEqual(away(other) + 1e-9);
      }),
    );
  });
});

it("reads rings that cross themselves by the even-odd rule", () => {
  const star: Point[] = [0, 2, 4, 1, 3].map((i) => [Math.sin(i * 1.2566) * 10, -Math.cos(i * 1.2566) * 10]);
  expect(within([star], [0, 0])).toBe(false);
  expect(within([star], [0, -8])).toBe(true);
});

it("gives room around a label", () => {
  expect(withRoom([10, 10, 20, 30], 0.5, 1)).toEqual([5, 0, 25, 40]);
  expect(withRoom([10, 10, 10, 10], 0, 8)).toEqual([6, 6, 14, 14]);
});
