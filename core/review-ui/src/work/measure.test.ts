import { expect, test } from "vitest";
import type { LabelRow } from "../api/types";
import { areaOf, crossesItself } from "./measure";

const polygon = (...rings: number[][][]): LabelRow => ({
  class: "roof",
  kind: "polygon",
  box: [0, 0, 9, 9],
  shape: rings,
});
const square = (x: number, y: number, side: number) => [
  [x, y],
  [x + side, y],
  [x + side, y + side],
  [x, y + side],
];

test("areas, with holes and islands in holes, whatever way the rings turn", () => {
  expect(areaOf(polygon(square(0, 0, 10)))).toBe(100);
  expect(areaOf(polygon(square(0, 0, 10).reverse(), square(2, 2, 4)))).toBe(84);
  expect(areaOf(polygon(square(0, 0, 10), square(2, 2, 4), square(3, 3, 1)))).toBe(85);
  expect(areaOf(polygon(square(0, 0, 2), square(5, 5, 2)))).toBe(8);
  expect(areaOf({ class: "a", kind: "box", box: [1, 2, 4, 6] })).toBe(12);
  expect(areaOf({ class: "a", kind: "rotated_box", box: [0, 0, 9, 9], shape: [5, 5, 4, 3, 0.7] })).toBe(12);
  expect(areaOf({ class: "a", kind: "polyline", box: [0, 0, 9, 9], shape: [] })).toBeNull();
});

test("a bow tie crosses itself; a square and touching corners do not", () => {
  expect(crossesItself(polygon([[0, 0], [4, 4], [4, 0], [0, 4]]))).toBe(true); // prettier-ignore
  expect(crossesItself(polygon(square(0, 0, 4)))).toBe(false);
  expect(crossesItself(polygon(square(0, 0, 10), [[2, 2], [6, 6], [6, 2], [2, 6]]))).toBe(true); // prettier-ignore
  expect(crossesItself({ class: "a", kind: "box", box: [0, 0, 1, 1] })).toBe(false);
});
