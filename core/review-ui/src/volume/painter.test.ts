import { expect, test } from "vitest";
import { Bits } from "../mask/bits";
import { type Rect, type Size3 } from "../mask/planes";
import { Inks, type Layer, paintPlane } from "./painter";

const SIZE: Size3 = [3, 6, 8];
const inks = new Inks();
inks.window = { center: 128, width: 256 };
const values = Int16Array.from({ length: 48 }, () => 100);

function mask(...voxels: [number, number, number][]): Bits {
  const bits = new Bits(SIZE);
  for (const [x, y, z] of voxels) bits.set(x, y, z, 1);
  return bits;
}

function painted(layers: Layer[], area: Rect = { x0: 0, y0: 0, x1: 8, y1: 6 }, into?: Uint32Array): Uint32Array {
  const out = into ?? new Uint32Array(48);
  paintPlane(out, 8, 6, values, layers, inks, "axial", 1, area);
  return out;
}

function rgb(pixel: number): number[] {
  return [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255, pixel >>> 24];
}

test("a mask shines through at 40 %, on its own slice", () => {
  const out = painted([{ bits: mask([2, 1, 1], [3, 1, 0]), color: "#ff0000", selected: false }]);
  expect(rgb(out[1 * 8 + 2]!)).toEqual([162, 60, 60, 255]);
  expect(rgb(out[1 * 8 + 3]!)).toEqual([100, 100, 100, 255]);
});

test("the selected mask has an outline in full colour, also where it meets the border", () => {
  const block: [number, number, number][] = [];
  for (let y = 0; y < 3; y++) for (let x = 0; x < 3; x++) block.push([x, y, 1]);
  const out = painted([{ bits: mask(...block), color: "#00ff00", selected: true }]);
  const line = [0, 255, 0, 255];
  for (const [x, y] of [[0, 0], [1, 0], [0, 1], [2, 2], [1, 2]] as const) expect(rgb(out[y * 8 + x]!)).toEqual(line); // prettier-ignore
  expect(rgb(out[8 + 1]!)).toEqual([60, 162, 60, 255]);
});

test("painting an area leaves the rest, and joins it without a seam", () => {
  const bits = mask([2, 2, 1], [3, 2, 1], [4, 2, 1], [2, 3, 1], [3, 3, 1], [4, 3, 1], [2, 4, 1], [3, 4, 1], [4, 4, 1]);
  const layers = [{ bits, color: "#123456", selected: true }];
  const whole = painted(layers);
  const parts = new Uint32Array(48);
  for (const area of [
    { x0: 0, y0: 0, x1: 3, y1: 6 },
    { x0: 3, y0: 0, x1: 8, y1: 3 },
    { x0: 3, y0: 3, x1: 8, y1: 6 },
  ])
    painted(layers, area, parts);
  expect(parts).toEqual(whole);
});

test("a slice that is not here shows its masks all the same", () => {
  const out = new Uint32Array(48);
  const layers = [{ bits: mask([2, 1, 1]), color: "#ff0000", selected: false }];
  paintPlane(out, 8, 6, null, layers, inks, "axial", 1, { x0: 0, y0: 0, x1: 8, y1: 6 });
  expect(rgb(out[0]!)).toEqual([24, 24, 24, 255]);
  expect(rgb(out[10]!)[0]).toBeGreaterThan(100);
});
