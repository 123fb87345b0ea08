import fc from "fast-check";
import { expect, it } from "vitest";
import type { LabelRow, SchemaInfo } from "../api/types";
import { changed, current, fitted } from "./fit";

const schema = {
  classes: [
    { name: "car", parent: "", kinds: ["box"] },
    { name: "sign", parent: "", kinds: ["box"] },
  ],
  attributes: [
    {
      name: "parked",
      type: "boolean",
      scope: "label",
      choices: [],
      classes: ["car"],
      unit: "",
      minimum: null,
      maximum: null,
      identity: false,
    },
  ],
} as unknown as SchemaInfo;
const label = (kind: string, box: LabelRow["box"], shape: unknown = null): LabelRow => {
  return {
    class: "car",
    kind,
    box,
    shape,
    score: 0.4,
    track: 3,
    attributes: { parked: true },
    evidence: { margin: 0.1 },
  };
};

it("stretches points with their bounds", () => {
  const triangle = label("polygon", [0, 0, 10, 20], [[[0, 0], [10, 0], [10, 20]]]); // prettier-ignore
  expect(fitted(triangle, [100, 100, 105, 120]).shape).toEqual([[[100, 100], [105, 100], [105, 120]]]); // prettier-ignore
  const points = label("keypoints", [0, 0, 10, 20], [[0, 0, 2], [10, 20, 1]]); // prettier-ignore
  expect(fitted(points, [1, 1, 11, 21]).shape).toEqual([[1, 1, 2], [11, 21, 1]]); // prettier-ignore
});

it("moves a rotated box without changing its size, and back again", () => {
  const number = fc.integer({ min: -400, max: 400 });
  fc.assert(
    fc.property(number, number, fc.double({ min: -3, max: 3, noNaN: true }), (dx, dy, angle) => {
      const shape = [50, 60, 30, 10, angle];
      const [w, h] = [Math.abs(30 * Math.cos(angle)) + Math.abs(10 * Math.sin(angle)), Math.abs(30 * Math.sin(angle)) + Math.abs(10 * Math.cos(angle))]; // prettier-ignore
      const before = label("rotated_box", [50 - w / 2, 60 - h / 2, 50 + w / 2, 60 + h / 2], shape);
      const box = before.box.map((v, i) => v + (i % 2 ? dy : dx)) as unknown as LabelRow["box"];
      const after = fitted(before, box);
      (after.shape as number[]).forEach((v, i) => expect(v).toBeCloseTo([50 + dx, 60 + dy, 30, 10, angle][i]!, 6));
      after.box.forEach((v, i) => expect(v).toBeCloseTo(box[i]!, 6));
    }),
  );
});

it("leaves a label without width where it can", () => {
  expect(fitted(label("polyline", [5, 0, 5, 9], [[5, 0], [5, 9]]), [7, 0, 7, 9]).shape).toEqual([[7, 0], [7, 9]]); // prettier-ignore
});

it("makes a changed label a person's word, and keeps the rest of it", () => {
  const after = changed(
    label("box", [0, 0, 1, 1]),
    { track: 8, attributes: { parked: undefined, seen: "yes" } },
    schema,
  );
  expect(after).toEqual({
    class: "car",
    kind: "box",
    box: [0, 0, 1, 1],
    shape: null,
    score: 1,
    track: 8,
    attributes: { seen: "yes" },
  });
  expect(changed(label("box", [0, 0, 1, 1]), { class: 1 }, schema)).toMatchObject({
    class: "sign",
    attributes: {},
    track: 3,
  });
});

it("shows a label as it was changed since it came, and itself if it was not", () => {
  const before = label("polygon", [0, 0, 10, 20], [[[0, 0], [10, 0], [10, 20]]]); // prettier-ignore
  const mark = { row: 0, class: 0, track: 3, kind: 3, box: [0, 0, 10, 20] as const, score: 0.4, open: true };
  expect(current(before, mark, schema)).toBe(before);
  const after = current(before, { ...mark, box: [5, 5, 15, 25], attributes: { parked: false } }, schema);
  expect(after).toMatchObject({ box: [5, 5, 15, 25], shape: [[[5, 5], [15, 5], [15, 25]]], attributes: { parked: false } }); // prettier-ignore
});
