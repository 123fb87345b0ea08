/** Shapes as the wire has them: build them clean, take their bounds, move them. All in image pixels, y down. */
import type { LabelRow } from "../api/types";
import { corners, tidyAngle } from "./rotated";
import type { Box, Geometry, Keypoint, Point, RotatedBox, Size } from "./types";

export const ABSENT = 0;
export const HIDDEN = 1;
export const VISIBLE = 2;

/** Return the geometry of a label. */
export function geometryOf(label: LabelRow): Geometry {
  return { kind: label.kind, box: label.box, shape: label.shape ?? null } as Geometry;
}

/** Return a label with another geometry, or the label itself if that is the same. */
export function withGeometry(label: LabelRow, { kind, box, shape }: Geometry): LabelRow {
  const next = { ...label, kind, box };
  if (shape === null) delete next.shape;
  else next.shape = shape;
  return next;
}

/** Round to a hundredth of a pixel: finer than a hand can draw, and short on the wire. */
export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Return a point that lies in the image, rounded. */
export function inside([x, y]: readonly [number, number, ...unknown[]], size: Size): Point {
  return [round(Math.min(Math.max(x, 0), size.width)), round(Math.min(Math.max(y, 0), size.height))];
}

/** Return the box around points; zeros for none. */
export function bounds(points: readonly (readonly [number, number, ...unknown[]])[]): Box {
  if (!points.length) return [0, 0, 0, 0];
  const box: Box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    if (x < box[0]) box[0] = x;
    if (y < box[1]) box[1] = y;
    if (x > box[2]) box[2] = x;
    if (y > box[3]) box[3] = y;
  }
  return box;
}

export function middleOf([x0, y0, x1, y1]: Box): Point {
  return [(x0 + x1) / 2, (y0 + y1) / 2];
}

export function makeBox(a: Point, b: Point, size: Size): Geometry {
  const [p, q] = [inside(a, size), inside(b, size)];
  return { kind: "box", box: bounds([p, q]), shape: null };
}

export function makeRotated([x, y, width, height, angle]: RotatedBox, size: Size): Geometry {
  const [cx, cy] = inside([x, y], size);
  const shape: RotatedBox = [cx, cy, round(Math.abs(width)), round(Math.abs(height)), tidyAngle(angle)];
  return { kind: "rotated_box", box: bounds(corners(shape).map((p) => inside(p, size))), shape };
}

export function makePolygon(rings: readonly (readonly Point[])[], size: Size): Geometry {
  const shape = rings.map((ring) => ring.map((p) => inside(p, size)));
  return { kind: "polygon", box: bounds(shape.flat()), shape };
}

export function makePolyline(points: readonly Point[], size: Size): Geometry {
  const shape = points.map((p) => inside(p, size));
  return { kind: "polyline", box: bounds(shape), shape };
}

/** Absent points are put at 0, 0, as COCO does. */
export function makeKeypoints(points: readonly Keypoint[], size: Size): Geometry {
  const shape = points.map((p): Keypoint => (p[2] === ABSENT ? [0, 0, ABSENT] : [...inside(p, size), p[2]]));
  return { kind: "keypoints", box: bounds(shape.filter((p) => p[2] !== ABSENT)), shape };
}

/** Return a shape moved as far as the image allows, or null for what does not lie in the image or is not moved by hand. */
export function moved(g: Geometry, dx: number, dy: number, size: Size): Geometry | null {
  const [x, y] = [room(dx, g.box[0], g.box[2], size.width), room(dy, g.box[1], g.box[3], size.height)];
  const by = ([a, b]: readonly [number, number, ...unknown[]]): Point => [a + x, b + y];
  switch (g.kind) {
    case "box":
      return makeBox(by([g.box[0], g.box[1]]), by([g.box[2], g.box[3]]), size);
    case "rotated_box":
      return makeRotated([...by([g.shape[0], g.shape[1]]), g.shape[2], g.shape[3], g.shape[4]], size);
    case "polygon":
      return makePolygon(
        g.shape.map((ring) => ring.map(by)),
        size,
      );
    case "polyline":
      return makePolyline(g.shape.map(by), size);
    case "keypoints":
      return makeKeypoints(
        g.shape.map((p): Keypoint => [...by(p), p[2]]),
        size,
      );
    default:
      return null;
  }
}

/** Say whether a shape is too small to have been meant: less than a pixel long. */
export function isSpeck(g: Geometry): boolean {
  if (g.kind === "keypoints" || g.kind === "tag") return false;
  if (g.kind === "rotated_box") return g.shape[2] < 1 || g.shape[3] < 1;
  const [width, height] = [g.box[2] - g.box[0], g.box[3] - g.box[1]];
  return g.kind === "box" ? width < 1 || height < 1 : Math.max(width, height) < 1;
}

/** How far something from `low` to `high` can go before it leaves 0 to `end`; it never has to come back in. */
function room(by: number, low: number, high: number, end: number): number {
  return Math.min(Math.max(by, Math.min(0, -low)), Math.max(0, end - high));
}
