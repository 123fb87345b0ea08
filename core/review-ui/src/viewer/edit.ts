/**
 * Change a shape by its handles: corners, sides, vertices, points and the knob that turns it. All in image pixels.
 *
 * Handles are numbered: of a box 0 to 7 clockwise from the top-left corner; of a rotated box the same, and 8 turns it; of a polygon
 * and a polyline their vertices, ring after ring; of keypoints the points in the order of the schema.
 */
import {
  ABSENT,
  HIDDEN,
  makeBox,
  makeKeypoints,
  makePolygon,
  makePolyline,
  makeRotated,
  moved,
  VISIBLE,
} from "./geometry";
import { distance, eachPiece, nearest } from "./hit";
import { EIGHT, place, resized, turned } from "./rotated";
import type { Geometry, Keypoint, Point, RotatedBox, Size } from "./types";

export const KNOB = 8;
const FAR_CORNER = 4;
const KNOB_AWAY = 28; // CSS pixels from the upper side

/** Return where the handles are, null for a point that is absent. `scale`: image pixels per CSS pixel. */
export function handles(g: Geometry, scale: number): (Point | null)[] {
  switch (g.kind) {
    case "box":
      return EIGHT.map(([x, y]) => place(upright(g.box), x, y));
    case "rotated_box": {
      const share = g.shape[3] > 0 ? 1 + (2 * KNOB_AWAY * scale) / g.shape[3] : 1;
      return [...EIGHT.map(([x, y]) => place(g.shape, x, y)), place(g.shape, 0, -share)];
    }
    case "polygon":
      return g.shape.flat();
    case "polyline":
      return g.shape;
    case "keypoints":
      return g.shape.map(([x, y, seen]) => (seen === ABSENT ? null : [x, y]));
    default:
      return [];
  }
}

/** Return the number of the handle nearest to p within `reach`, or null. */
export function handleAt(g: Geometry, p: Point, reach: number, scale: number): number | null {
  let [best, away]: [number | null, number] = [null, reach];
  handles(g, scale).forEach((at, i) => {
    if (!at || distance(at, p) > away) return;
    [best, away] = [i, distance(at, p)];
  });
  return best;
}

/** Return where on the edge of a polygon or polyline a vertex can be put in: after handle `after`, at `at`. */
export function edgeAt(g: Geometry, p: Point, reach: number): { after: number; at: Point } | null {
  if (g.kind !== "polygon" && g.kind !== "polyline") return null;
  let best: { after: number; at: Point } | null = null;
  let first = 0;
  for (const path of g.kind === "polygon" ? g.shape : [g.shape]) {
    eachPiece(path, g.kind === "polygon", (a, b, i) => {
      const at = nearest(a, b, p);
      if (distance(at, p) > (best ? distance(best.at, p) : reach)) return;
      best = { after: first + i, at };
    });
    first += path.length;
  }
  return best;
}

/** Return the shape after handle `i` was dragged to `to`. `step`: angles a knob stops at, in radians, 0 for any. */
export function dragged(g: Geometry, i: number, to: Point, size: Size, step = 0): Geometry {
  switch (g.kind) {
    case "box": {
      const [, , width, height] = upright(g.box);
      const [x, y, w, h] = resized(upright(g.box), i, to);
      const least: RotatedBox = [x, y, width < 1 ? w : Math.max(w, 1), height < 1 ? h : Math.max(h, 1), 0];
      return makeBox(place(least, -1, -1), place(least, 1, 1), size);
    }
    case "rotated_box": {
      const next = i === KNOB ? turned(g.shape, to, step) : resized(g.shape, i, to);
      return makeRotated([next[0], next[1], Math.max(next[2], 1), Math.max(next[3], 1), next[4]], size);
    }
    case "polygon":
      return makePolygon(
        mapVertices(g.shape, (p, at) => (at === i ? to : p)),
        size,
      );
    case "polyline":
      return makePolyline(
        g.shape.map((p, at) => (at === i ? to : p)),
        size,
      );
    case "keypoints":
      return makeKeypoints(
        g.shape.map((p, at): Keypoint => (at === i ? [...to, p[2] || VISIBLE] : p)),
        size,
      );
    default:
      return g;
  }
}

/** Return the shape with a vertex at `p` after vertex `after`. */
export function inserted(g: Geometry, after: number, p: Point, size: Size): Geometry {
  if (g.kind === "polyline") return makePolyline(g.shape.toSpliced(after + 1, 0, p), size);
  if (g.kind !== "polygon") return g;
  const [ring, i] = locate(g.shape, after);
  return makePolygon(g.shape.with(ring, g.shape[ring]!.toSpliced(i + 1, 0, p)), size);
}

/** Return the shape without vertex `i`, or with point `i` absent; null if too little would be left. */
export function removed(g: Geometry, i: number, size: Size): Geometry | null {
  if (g.kind === "polyline") return g.shape.length > 2 ? makePolyline(g.shape.toSpliced(i, 1), size) : null;
  if (g.kind === "keypoints") {
    const rest = g.shape.map((p, at): Keypoint => (at === i ? [0, 0, ABSENT] : p));
    return rest.some((p) => p[2] !== ABSENT) ? makeKeypoints(rest, size) : null;
  }
  if (g.kind !== "polygon") return null;
  const [ring, at] = locate(g.shape, i);
  if (g.shape[ring]!.length > 3) return makePolygon(g.shape.with(ring, g.shape[ring]!.toSpliced(at, 1)), size);
  return g.shape.length > 1 ? makePolygon(g.shape.toSpliced(ring, 1), size) : null;
}

/** Return keypoints with point `i` hidden instead of visible, or the reverse; null for what has none to toggle. */
export function toggled(g: Geometry, i: number, size: Size): Geometry | null {
  if (g.kind !== "keypoints" || !g.shape[i]?.[2]) return null;
  return makeKeypoints(
    g.shape.map((p, at): Keypoint => (at === i ? [p[0], p[1], p[2] === VISIBLE ? HIDDEN : VISIBLE] : p)),
    size,
  );
}

/** Return the shape, or its handle `i`, moved by dx, dy; null if it can't be. */
export function nudged(g: Geometry, i: number | null, dx: number, dy: number, size: Size): Geometry | null {
  if (i === null) return moved(g, dx, dy, size);
  const at = handles(g, 1)[i];
  return at ? dragged(g, i, [at[0] + dx, at[1] + dy], size) : null;
}

/** Return a box with its far edges moved by dx, dy: to the right and down, in the axes of the box; null for other shapes. */
export function enlarged(g: Geometry, dx: number, dy: number, size: Size): Geometry | null {
  if (g.kind === "box") return nudged(g, FAR_CORNER, dx, dy, size);
  if (g.kind !== "rotated_box") return null;
  const [cos, sin] = [Math.cos(g.shape[4]), Math.sin(g.shape[4])];
  return nudged(g, FAR_CORNER, dx * cos - dy * sin, dx * sin + dy * cos, size);
}

/** Return a rotated box turned by `angle`, clockwise as seen; null for other shapes. */
export function spun(g: Geometry, angle: number, size: Size): Geometry | null {
  if (g.kind !== "rotated_box") return null;
  const [x, y, width, height, old] = g.shape;
  return makeRotated([x, y, width, height, old + angle], size);
}

function upright([x0, y0, x1, y1]: readonly [number, number, number, number]): RotatedBox {
  return [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, 0];
}

function mapVertices(rings: readonly (readonly Point[])[], f: (p: Point, i: number) => Point): Point[][] {
  let i = 0;
  return rings.map((ring) => ring.map((p) => f(p, i++)));
}

/** Return the ring that a vertex is of, and its place there. */
function locate(rings: readonly (readonly Point[])[], i: number): [number, number] {
  let ring = 0;
  while (i >= rings[ring]!.length) i -= rings[ring++]!.length;
  return [ring, i];
}
