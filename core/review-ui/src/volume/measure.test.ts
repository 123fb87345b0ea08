import { expect, test } from "vitest";
import { upright } from "./measure";

test("a voxel whose edges are at right angles holds their product, however it is turned", () => {
  const [c, s] = [Math.cos(0.4), Math.sin(0.4)];
  expect(upright(null)).toBe(1);
  expect(
    upright([
      [1, 0, 0],
      [0, c, s],
      [0, s, -c],
    ]),
  ).toBeCloseTo(1, 12);
});

test("a voxel of a tilted gantry holds the cosine of the tilt of it", () => {
  const tilt = (20 * Math.PI) / 180;
  expect(
    upright([
      [1, 0, 0],
      [0, 1, 0],
      [0, Math.sin(tilt), Math.cos(tilt)],
    ]),
  ).toBeCloseTo(Math.cos(tilt), 12);
});
