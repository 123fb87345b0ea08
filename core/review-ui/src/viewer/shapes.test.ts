import fc from "fast-check";
import MultiLineString from "ol/geom/MultiLineString.js";
import MultiPoint from "ol/geom/MultiPoint.js";
import Polygon from "ol/geom/Polygon.js";
import { describe, expect, it } from "vitest";
import type { LabelRow, SchemaInfo } from "../api/types";
import { encode } from "../mask/rle";
import { flipAll } from "./flip";
import { bounds, geometryOf, withGeometry } from "./geometry";
import { bonesOf, drawingOf, featureOf, thin } from "./shapes";
import type { Geometry, Keypoint, Point } from "./types";

const plain = { bones: [], intrinsics: null };
const real = fc.double({ min: 0, max: 4000, noNaN: true });
const point = fc.tuple(real, real);
const ring = fc.array(point, { minLength: 3, maxLength: 20 });

/** The image points of each part of the feature of a shape, as OpenLayers has them. */
function partsOf(g: Geometry, bones: [number, number][] = []) {
  const feature = featureOf(drawingOf(g, { bones, intrinsics: null }));
  const area = feature.get("area") as Polygon | undefined;
  const line = feature.get("line") as MultiLineString | undefined;
  const points = (name: string) => flipAll((feature.get(name) as MultiPoint | undefined)?.getCoordinates() ?? []);
  const rings = (area?.getCoordinates() ?? []).map(flipAll);
  for (const one of rings) expect(one[0]).toEqual(one[one.length - 1]);
  return {
    feature,
    rings: rings.map((one) => one.slice(0, -1)),
    lines: (line?.getCoordinates() ?? []).map(flipAll),
    dots: points("dots"),
    rims: points("rims"),
  };
}

describe("from a label to a feature and back", () => {
  it("box", () => {
    fc.assert(
      fc.property(point, point, (a, b) => {
        const box = bounds([a, b]);
        const [corners] = partsOf({ kind: "box", box, shape: null }).rings;
        expect(bounds(corners!)).toEqual(box);
        expect(corners).toHaveLength(4);
      }),
    );
  });

  it("rotated box", () => {
    fc.assert(
      fc.property(
        real,
        real,
        fc.double({ min: 1, max: 500, noNaN: true }),
        fc.double({ min: -3.1, max: 3.1, noNaN: true }),
        (x, y, w, a) => {
          const [corners] = partsOf({ kind: "rotated_box", box: [0, 0, 0, 0], shape: [x, y, w, w / 2, a] }).rings;
          const [p, q, r] = corners as [Point, Point, Point];
          expect((p[0] + r[0]) / 2).toBeCloseTo(x, 2);
          expect((p[1] + r[1]) / 2).toBeCloseTo(y, 2);
          expect(Math.hypot(q[0] - p[0], q[1] - p[1])).toBeCloseTo(w, 2);
          expect(Math.hypot(r[0] - q[0], r[1] - q[1])).toBeCloseTo(w / 2, 2);
          // Clockwise as seen, from the corner that is top-left at angle 0.
          expect(Math.cos(Math.atan2(q[1] - p[1], q[0] - p[0]) - a)).toBeCloseTo(1, 3);
        },
      ),
    );
  });

  it("polygon with holes", () => {
    fc.assert(
      fc.property(fc.array(ring, { minLength: 1, maxLength: 3 }), (rings) => {
        const got = partsOf({ kind: "polygon", box: bounds(rings.flat()), shape: rings });
        expect(got.rings).toEqual(rings.map((one) => one.map(([x, y]) => [x, y + 0])));
      }),
    );
  });

  it("polyline", () => {
    fc.assert(
      fc.property(fc.array(point, { minLength: 2 }), (line) => {
        expect(partsOf({ kind: "polyline", box: bounds(line), shape: line }).lines).toEqual([line]);
      }),
    );
  });

  it("keypoints: seen, hidden, and none where they are absent", () => {
    const shape: Keypoint[] = [[1, 2, 2], [3, 4, 1], [0, 0, 0], [5, 6, 2]]; // prettier-ignore
    const got = partsOf({ kind: "keypoints", box: [1, 2, 5, 6], shape }, [[0, 1], [1, 2], [0, 3]]); // prettier-ignore
    expect(got.dots).toEqual([[1, 2], [5, 6]]); // prettier-ignore
    expect(got.rims).toEqual([[3, 4]]);
    expect(got.lines).toEqual([[[1, 2], [3, 4]], [[1, 2], [5, 6]]]); // prettier-ignore
    expect(got.feature.getGeometry()?.getExtent()).toEqual([1, -6, 5, -2]);
  });

  it("mask", () => {
    const bits = new Uint8Array(20 * 10);
    for (let y = 3; y < 7; y++) bits.fill(1, y * 20 + 5, y * 20 + 12);
    const shape = { size: [10, 20], counts: encode(bits, [10, 20]) };
    const [only] = partsOf({ kind: "mask", box: [5, 3, 12, 7], shape }).rings;
    expect(bounds(only!)).toEqual([5, 3, 12, 7]);
    expect(drawingOf({ kind: "mask", box: [0, 0, 0, 0], shape: { size: [10, 20], counts: "?" } }, plain).rings).toEqual(
      [],
    );
  });

  it("cuboid: its wires before a camera, else its box, else nothing", () => {
    const shape = [0, 0, 10, 0, 0, 0, 1, 2, 2, 2];
    const intrinsics = [[100, 0, 50], [0, 100, 40], [0, 0, 1]]; // prettier-ignore
    const g: Geometry = { kind: "cuboid", box: [30, 20, 70, 60], shape };
    const wires = drawingOf(g, { bones: [], intrinsics });
    expect(wires.lines).toHaveLength(12);
    expect((wires.box[0] + wires.box[2]) / 2).toBeCloseTo(50, 6);
    expect((wires.box[1] + wires.box[3]) / 2).toBeCloseTo(40, 6);
    expect(drawingOf(g, plain).box).toEqual(g.box);
    expect(drawingOf({ ...g, box: [0, 0, 0, 0] }, plain).rings).toEqual([]);
  });

  it("tag: nothing", () => {
    const got = partsOf({ kind: "tag", box: [0, 0, 9, 9], shape: null });
    expect(got.feature.getGeometry()).toBeUndefined();
  });
});

it("keeps all else of a label that gets another geometry", () => {
  const label: LabelRow = { class: "a", kind: "polygon", box: [0, 0, 1, 1], shape: [[[0, 0]]], track: 4, score: 0.5 };
  expect(withGeometry(label, geometryOf(label))).toEqual(label);
  const box = withGeometry(label, { kind: "box", box: [1, 2, 3, 4], shape: null });
  expect(box).toEqual({ class: "a", kind: "box", box: [1, 2, 3, 4], track: 4, score: 0.5 });
});

it("finds the bones of a class", () => {
  const one = {
    name: "p",
    parent: "",
    kinds: [],
    keypoints: ["a", "b", "c"],
    color: "",
    abstract: false,
    confirmations: 0,
  };
  const classes = [{ ...one, skeleton: [["a", "c"], ["c", "x"]] as [string, string][] }]; // prettier-ignore
  const schema: SchemaInfo = { name: "s", version: "1", kinds: [], classes, attributes: [] };
  expect(bonesOf(schema, "p")).toEqual([[0, 2]]);
  expect(bonesOf(schema, "q")).toEqual([]);
});

it("leaves out the points of a dense area that can't be seen, and never the area itself", () => {
  const shape = [
    Array.from({ length: 1000 }, (_, i): Point => [100 + 50 * Math.cos(i / 159), 100 + 50 * Math.sin(i / 159)]),
  ];
  const drawing = drawingOf({ kind: "polygon", box: [50, 50, 150, 150], shape }, plain);
  const feature = featureOf(drawing);
  const count = () => (feature.get("area") as Polygon).getCoordinates()[0]!.length;
  expect(count()).toBe(1001);
  thin(feature, drawing, 1);
  const fine = count();
  expect(fine).toBeLessThan(100);
  thin(feature, drawing, 16);
  expect(count()).toBeLessThan(fine);
  expect(count()).toBeGreaterThanOrEqual(3);
  thin(feature, drawing, 1);
  expect(count()).toBe(fine);
});
