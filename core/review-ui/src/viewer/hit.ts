/** Which shapes are under the cursor, and what is near enough to snap to. All in image pixels. */
import type { Drawing } from "./shapes";
import type { Point, Size } from "./types";

export interface Hit {
  /** The smaller one wins over the larger one that it lies in. */
  area: number;
}

/** Say whether a point is in a drawing, or nearer than `reach` to its lines; lines and points count as having no area. */
export function hits(drawing: Drawing, p: Point, reach: number): Hit | null {
  const { box, rings, lines, seen, hidden } = drawing;
  if (drawing.pin) return onPin([...seen, ...hidden][0], p, reach) ? { area: 0 } : null;
  if (p[0] < box[0] - reach || p[1] < box[1] - reach || p[0] > box[2] + reach || p[1] > box[3] + reach) return null;
  const area = rings.length ? (box[2] - box[0]) * (box[3] - box[1]) : 0;
  if (rings.length && within(rings, p)) return { area };
  const near =
    rings.some((ring) => distanceToPath(ring, p, true) <= reach) ||
    lines.some((line) => distanceToPath(line, p) <= reach) ||
    [...seen, ...hidden].some((q) => distance(p, q) <= reach);
  return near ? { area } : null;
}

/** How far a pin reaches from its tip, as multiples of how near counts as on it. */
export const PIN = { up: 4.2, side: 1.5 };

function onPin(tip: Point | undefined, [x, y]: Point, reach: number): boolean {
  if (!tip) return false;
  const up = tip[1] - y;
  return Math.abs(x - tip[0]) <= PIN.side * reach && up >= -reach && up <= PIN.up * reach;
}

/** Say whether a point lies in rings by the even-odd rule. */
export function within(rings: readonly (readonly Point[])[], [x, y]: Point): boolean {
  let odd = false;
  for (const ring of rings) {
    let b = ring[ring.length - 1]!;
    for (const a of ring) {
      if (a[1] > y !== b[1] > y && x < ((b[0] - a[0]) * (y - a[1])) / (b[1] - a[1]) + a[0]) odd = !odd;
      b = a;
    }
  }
  return odd;
}

export function distance(a: Point, b: Point): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

/** Return the point of the line from a to b that is nearest to p. */
export function nearest(a: Point, b: Point, p: Point): Point {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const long = dx * dx + dy * dy;
  const along = long ? Math.min(1, Math.max(0, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / long)) : 0;
  return [a[0] + along * dx, a[1] + along * dy];
}

/** Call `visit` with the ends of every piece of a path and the number of the first end. */
export function eachPiece(
  path: readonly Point[],
  closed: boolean,
  visit: (a: Point, b: Point, i: number) => void,
): void {
  for (let i = 0; i + 1 < path.length; i++) visit(path[i]!, path[i + 1]!, i);
  if (closed && path.length > 2) visit(path[path.length - 1]!, path[0]!, path.length - 1);
}

/** Return the point of the drawings to snap to from p: a corner nearer than `reach`, else a line, else p itself. */
export function snapTo(drawings: readonly Drawing[], p: Point, reach: number): Point {
  let [corner, toCorner, edge, toEdge] = [p, reach, p, reach];
  const take = (q: Point): void => {
    const away = distance(p, q);
    if (away <= toCorner) [corner, toCorner] = [q, away];
  };
  const along = (path: readonly Point[], closed: boolean): void => {
    path.forEach(take);
    eachPiece(path, closed, (a, b) => {
      const q = nearest(a, b, p);
      const away = distance(p, q);
      if (away <= toEdge) [edge, toEdge] = [q, away];
    });
  };
  for (const { rings, lines, seen, hidden } of drawings) {
    for (const ring of rings) along(ring, true);
    for (const line of lines) along(line, false);
    seen.forEach(take);
    hidden.forEach(take);
  }
  return corner !== p ? corner : edge;
}

/** Return p moved onto the border of the image where it is nearer than `reach`, and back into the image where it is outside. */
export function snapToBorder([x, y]: Point, size: Size, reach: number): Point {
  const stick = (v: number, end: number): number => (v <= reach ? 0 : v >= end - reach ? end : v);
  return [stick(x, size.width), stick(y, size.height)];
}

function distanceToPath(path: readonly Point[], p: Point, closed = false): number {
  let best = path.length ? distance(path[0]!, p) : Infinity;
  eachPiece(path, closed, (a, b) => {
    best = Math.min(best, distance(nearest(a, b, p), p));
  });
  return best;
}
