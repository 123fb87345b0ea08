/** The mathematics of rotated boxes: centre x, centre y, width, height, and the angle in radians, clockwise as seen (y is down). */
import type { Point, RotatedBox } from "./types";

/** Where the eight handles are, in halves of width and height, clockwise from the corner that is top-left at angle 0. */
export const EIGHT: readonly (readonly [number, number])[] = [
  [-1, -1],
  [0, -1],
  [1, -1],
  [1, 0],
  [1, 1],
  [0, 1],
  [-1, 1],
  [-1, 0],
];

/** Return the four corners, clockwise as seen, from the one that is top-left at angle 0. */
export function corners(box: RotatedBox): Point[] {
  return [0, 2, 4, 6].map((i) => place(box, EIGHT[i]![0], EIGHT[i]![1]));
}

/** Return the image point at shares of half the width and half the height from the centre. */
export function place([x, y, width, height, angle]: RotatedBox, across: number, down: number): Point {
  const [u, v, cos, sin] = [(across * width) / 2, (down * height) / 2, Math.cos(angle), Math.sin(angle)];
  return [x + u * cos - v * sin, y + u * sin + v * cos];
}

/** Return an image point in the box's own axes, from its centre. */
export function local([x, y, , , angle]: RotatedBox, [px, py]: Point): Point {
  const [dx, dy, cos, sin] = [px - x, py - y, Math.cos(angle), Math.sin(angle)];
  return [dx * cos + dy * sin, dy * cos - dx * sin];
}

/** Return the box after one of its eight handles was dragged to `to`; the side or corner across from it stays. */
export function resized(box: RotatedBox, handle: number, to: Point): RotatedBox {
  const [across, down] = EIGHT[handle]!;
  const [u, v] = local(box, to);
  const [, , width, height, angle] = box;
  const far: Point = [(-across * width) / 2, (-down * height) / 2];
  const [du, dv] = [across ? u - far[0] : width, down ? v - far[1] : height];
  const [cu, cv] = [across ? (u + far[0]) / 2 : 0, down ? (v + far[1]) / 2 : 0];
  const centre = place([box[0], box[1], 2, 2, angle], cu, cv);
  return [centre[0], centre[1], Math.abs(du), Math.abs(dv), angle];
}

/** Return the box turned so that its upper side faces `to`; with `step`, to whole multiples of it. */
export function turned([x, y, width, height]: RotatedBox, to: Point, step = 0): RotatedBox {
  const angle = Math.atan2(to[1] - y, to[0] - x) + Math.PI / 2;
  return [x, y, width, height, tidyAngle(step ? Math.round(angle / step) * step : angle)];
}

/** Return the box one of whose sides goes from `a` to `b`, and the side across from it through `c`. */
export function fromSide(a: Point, b: Point, c: Point): RotatedBox {
  const width = Math.hypot(b[0] - a[0], b[1] - a[1]);
  const angle = Math.atan2(b[1] - a[1], b[0] - a[0]);
  const side: RotatedBox = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, width, 0, angle];
  const depth = local(side, c)[1];
  const [x, y] = place([side[0], side[1], 2, 2, angle], 0, depth / 2);
  return [x, y, width, Math.abs(depth), tidyAngle(angle)];
}

/** Return the same angle from above -pi to pi, rounded to a ten-thousandth. */
export function tidyAngle(angle: number): number {
  const rest = angle - 2 * Math.PI * Math.ceil((angle - Math.PI) / (2 * Math.PI));
  return Math.round(rest * 1e4) / 1e4 + 0;
}
