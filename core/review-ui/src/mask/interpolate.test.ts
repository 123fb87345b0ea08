import { expect, test } from "vitest";
import { bounds, paint } from "./brush";
import { between } from "./interpolate";

const [width, height] = [60, 40];

function disc(x: number, y: number, radius: number, aspect = 1): Uint8Array {
  const mask = new Uint8Array(width * height);
  paint(mask, width, height, x, y, x, y, radius, 1, { aspect });
  return mask;
}

test("the ends are the two outlines themselves", () => {
  const [a, b] = [disc(20.5, 20.5, 6), disc(30.5, 18.5, 11)];
  expect(between(a, b, width, height, [0, 1])).toEqual([a, b]);
});

test("half way from a disc to a larger one is the disc between", () => {
  const [middle] = between(disc(30.5, 20.5, 5), disc(30.5, 20.5, 13), width, height, [0.5]);
  const want = disc(30.5, 20.5, 9);
  const off = middle!.reduce((sum, bit, i) => sum + (bit === want[i] ? 0 : 1), 0);
  expect(off).toBeLessThan(20); // of 253 pixels, at the border only
});

test("discs that do not overlap move instead of vanishing", () => {
  const [middle] = between(disc(10.5, 12.5, 6), disc(44.5, 26.5, 6), width, height, [0.5]);
  expect(bounds(middle!, width, height)).toEqual(bounds(disc(27.5, 19.5, 6), width, height));
});

test("distances are in millimetres where pixels are not square", () => {
  const ends = [disc(30.5, 20.5, 6, 3), disc(30.5, 20.5, 18, 3)] as const;
  const [middle] = between(...ends, width, height, [0.5], 3);
  const [x0, y0, x1, y1] = bounds(middle!, width, height)!;
  expect(x1 - x0).toBeGreaterThanOrEqual(23);
  expect(x1 - x0).toBeLessThanOrEqual(27);
  expect([7, 9]).toContain(y1 - y0);
});

test("nothing comes of an empty end", () => {
  expect(
    bounds(between(disc(9, 9, 4), new Uint8Array(width * height), width, height, [0.5])[0]!, width, height),
  ).toBeNull();
});
