/**
 * Cuboids before a camera: x to the right, y down, z ahead, in metres, the camera at the origin.
 *
 * A cuboid is ten numbers: centre cx, cy, cz; unit quaternion qx, qy, qz, qw, which turns its own axes into the camera's; and its
 * length along each of its own axes. Of a car, they are length, height and width. Pixels are those of the picture, through a camera
 * matrix K (3 x 3).
 */

export type Cuboid = number[];
export type Vec = [number, number, number];
export type Quaternion = [number, number, number, number];
/** A line in the picture: x0, y0, x1, y1. */
export type Segment = [number, number, number, number];

/** Nearest depth that is drawn, in metres: what lies behind it can't be seen. */
export const NEAR = 0.1;
const SMALLEST = 0.01;

// Corner i lies at the near (-) or far (+) end of axis a as bit a of i says.
export const EDGES: readonly [number, number][] = [0, 1, 2].flatMap((axis) =>
  [0, 1, 2, 3, 4, 5, 6, 7].filter((i) => !(i & (1 << axis))).map((i): [number, number] => [i, i | (1 << axis)]),
);
/** The face that leads: the far end of the first axis (the front of a car), as corners in turn. */
export const FRONT: readonly number[] = [1, 3, 7, 5];

export function centre(c: Cuboid): Vec {
  return [c[0]!, c[1]!, c[2]!];
}

export function lengths(c: Cuboid): Vec {
  return [c[7]!, c[8]!, c[9]!];
}

/** Return the quaternion, of length 1; no turn at all where it has no length. */
export function quaternion(c: Cuboid): Quaternion {
  const q = c.slice(3, 7);
  const norm = Math.hypot(...q);
  return norm > 0 ? (q.map((v) => v / norm) as Quaternion) : [0, 0, 0, 1];
}

/** Return the cuboid's own axes as unit vectors of the camera. */
export function axes(c: Cuboid): [Vec, Vec, Vec] {
  const [x, y, z, w] = quaternion(c);
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)],
    [2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)],
    [2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)],
  ];
}

/** Return the 8 corners; see FRONT for their order. */
export function corners(c: Cuboid): Vec[] {
  const own = axes(c);
  const half = lengths(c).map((l) => l / 2);
  return [0, 1, 2, 3, 4, 5, 6, 7].map((i) =>
    [0, 1, 2].reduce((at, axis) => along(at, own[axis]!, i & (1 << axis) ? half[axis]! : -half[axis]!), centre(c)),
  );
}

/** Return the pixel of a point, or null if it is not before the camera. */
export function pixel(point: Vec, k: number[][]): [number, number] | null {
  if (point[2] < NEAR) return null;
  const [u, v, w] = k.map((row) => row[0]! * point[0] + row[1]! * point[1] + row[2]! * point[2]) as Vec;
  return [u / w, v / w];
}

/** Return the edges as lines in the picture, cut where they pass behind the camera; those of the front come first. */
export function wireframe(c: Cuboid, k: number[][]): Segment[] {
  const at = corners(c);
  const front = new Set(FRONT);
  const leads = ([a, b]: readonly [number, number]) => (front.has(a) && front.has(b) ? 0 : 1);
  return [...EDGES]
    .sort((a, b) => leads(a) - leads(b))
    .flatMap(([a, b]) => {
      const ends = before(at[a]!, at[b]!);
      const [p, q] = ends ? [pixel(ends[0], k), pixel(ends[1], k)] : [null, null];
      return p && q ? [[...p, ...q] as Segment] : [];
    });
}

/** Return the bounds of the cuboid in a picture of `size` (height, width), or null if none of it is seen. */
export function bounds(c: Cuboid, k: number[][], size: readonly number[]): [number, number, number, number] | null {
  const lines = wireframe(c, k);
  const [height, width] = size as [number, number];
  const xs = lines.flatMap(([x0, , x1]) => [x0, x1]);
  const ys = lines.flatMap(([, y0, , y1]) => [y0, y1]);
  const [x0, x1] = [Math.max(0, Math.min(...xs)), Math.min(width, Math.max(...xs))];
  const [y0, y1] = [Math.max(0, Math.min(...ys)), Math.min(height, Math.max(...ys))];
  return lines.length && x0 < x1 && y0 < y1 ? [x0, y0, x1, y1] : null;
}

/** Return the turn about the vertical in radians, -pi to pi: 0 where the first axis points right, pi / 2 where it points at us. */
export function yaw(c: Cuboid): number {
  const [ahead] = axes(c);
  return Math.atan2(-ahead[2], ahead[0]);
}

/** Turn a cuboid about the camera's vertical by an angle in radians. */
export function turned(c: Cuboid, angle: number): Cuboid {
  const [x, y, z, w] = quaternion(c);
  const [s, k] = [Math.sin(angle / 2), Math.cos(angle / 2)];
  return withTurn(c, [k * x + s * z, k * y + s * w, k * z - s * x, k * w - s * y]);
}

export function moved(c: Cuboid, by: Vec): Cuboid {
  return c.map((v, i) => (i < 3 ? v + by[i]! : v));
}

/** Move one face along its axis by `metres` outwards; the face across from it stays. `side`: 1 the far end, -1 the near end. */
export function stretched(c: Cuboid, axis: 0 | 1 | 2, side: 1 | -1, metres: number): Cuboid {
  const before = c[7 + axis]!;
  const after = Math.max(SMALLEST, before + metres);
  const shift = (side * (after - before)) / 2;
  const [x, y, z] = along(centre(c), axes(c)[axis], shift);
  return c.map((v, i) => (i < 3 ? [x, y, z][i]! : i === 7 + axis ? after : v));
}

/** Set one of the ten numbers; a quaternion is made unit length again, a length stays above a centimetre. */
export function withNumber(c: Cuboid, index: number, value: number): Cuboid {
  const set = c.map((v, i) => (i === index ? (index > 6 ? Math.max(SMALLEST, value) : value) : v));
  return index > 2 && index < 7 ? withTurn(set, quaternion(set)) : set;
}

/** Return a cuboid of a car's size, standing on a road 1.6 m below the camera, in the middle of the view. */
export function newCuboid(k: number[][] | null, size: readonly number[]): Cuboid {
  const [length, height, width] = [4.2, 1.6, 1.8];
  const depth = 15;
  const middle = k ? ((size[1]! / 2 - k[0]![2]!) / k[0]![0]!) * depth : 0;
  return [middle, 1.6 - height / 2, depth, 0, 0, 0, 1, length, height, width];
}

function withTurn(c: Cuboid, q: Quaternion): Cuboid {
  return [...c.slice(0, 3), ...q, ...c.slice(7)];
}

function along(at: Vec, axis: Vec, metres: number): Vec {
  return [at[0] + axis[0] * metres, at[1] + axis[1] * metres, at[2] + axis[2] * metres];
}

/** Return the part of a line that lies before the camera. */
function before(a: Vec, b: Vec): [Vec, Vec] | null {
  if (a[2] < NEAR && b[2] < NEAR) return null;
  const cut = (from: Vec, to: Vec): Vec => {
    const t = (NEAR - from[2]) / (to[2] - from[2]);
    return [from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1]), NEAR];
  };
  return [a[2] < NEAR ? cut(a, b) : a, b[2] < NEAR ? cut(b, a) : b];
}
