import { expect, test } from "vitest";
import { CLOSE, judged } from "./sight";

const view = { x0: 100, y0: 50, x1: 1100, y1: 750 };
const at = (x0: number, y0: number, width: number, height: number) => ({ x0, y0, x1: x0 + width, y1: y0 + height });

test("what is seen well needs no other view", () => {
  expect(judged(at(400, 300, 60, 40), view)).toBe(true);
  expect(judged(at(110, 60, 980, 680), view)).toBe(true); // nearly all of the view
  expect(judged(at(400, 300, 200, 3), view)).toBe(true); // a thin line
});

test("where one goes from field to field, it must be large", () => {
  expect(judged(at(400, 300, 60, 40), view, CLOSE)).toBe(false);
  expect(judged(at(400, 300, 180, 100), view, CLOSE)).toBe(true);
});

test("what is tiny, outside, cut in half or larger than the view needs another one", () => {
  expect(judged(at(400, 300, 20, 20), view)).toBe(false);
  expect(judged(at(400, 300, 0, 0), view)).toBe(false);
  expect(judged(at(1200, 300, 100, 100), view)).toBe(false);
  expect(judged(at(1070, 300, 100, 100), view)).toBe(false);
  expect(judged(at(-2000, -2000, 5000, 5000), view)).toBe(false);
});
