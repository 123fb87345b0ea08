/**
 * The three planes of a volume (depth, height, width), named by the axes of the array, as the server names them: axial is [y][x]
 * at a slice, coronal [z][x] at a line y, sagittal [z][y] at a column x. What they show of a patient follows from the volume's
 * directions; see volume/orientation.ts.
 */

export const AXES = ["axial", "coronal", "sagittal"] as const;
export type Axis = (typeof AXES)[number];
export type Size3 = readonly [depth: number, height: number, width: number];

/** Hold a place among voxels: x, y, slice, each counted from 0. */
export interface Voxel {
  x: number;
  y: number;
  z: number;
}

/** Hold an area of a plane; the far edges are outside, and one with x1 <= x0 is empty. */
export interface Rect {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

export const NOTHING: Rect = { x0: 0, y0: 0, x1: 0, y1: 0 };

/** Name the coordinates that run along a plane's width and height and across it. */
export const ALONG: Record<Axis, { u: keyof Voxel; v: keyof Voxel; k: keyof Voxel }> = {
  axial: { u: "x", v: "y", k: "z" },
  coronal: { u: "x", v: "z", k: "y" },
  sagittal: { u: "y", v: "z", k: "x" },
};

/** Return how many voxels there are along a coordinate. */
export function length(size: Size3, along: keyof Voxel): number {
  return size[along === "z" ? 0 : along === "y" ? 1 : 2];
}

/** Return the width and height of a plane, and how many planes there are. */
export function planeSize(size: Size3, axis: Axis): { width: number; height: number; planes: number } {
  const { u, v, k } = ALONG[axis];
  return { width: length(size, u), height: length(size, v), planes: length(size, k) };
}

/** Return the voxel at column u and row v of plane k. */
export function voxelAt(axis: Axis, u: number, v: number, k: number): Voxel {
  const along = ALONG[axis];
  return { x: 0, y: 0, z: 0, [along.u]: u, [along.v]: v, [along.k]: k };
}

export function isEmpty(r: Rect): boolean {
  return r.x1 <= r.x0 || r.y1 <= r.y0;
}

/** Return the smallest area that holds both. */
export function union(a: Rect, b: Rect): Rect {
  if (isEmpty(a)) return b;
  if (isEmpty(b)) return a;
  return {
    x0: Math.min(a.x0, b.x0),
    y0: Math.min(a.y0, b.y0),
    x1: Math.max(a.x1, b.x1),
    y1: Math.max(a.y1, b.y1),
  };
}

/** Return an area grown by `by` on each side and cut to width x height. */
export function grown(r: Rect, by: number, width: number, height: number): Rect {
  if (isEmpty(r)) return r;
  return {
    x0: Math.max(0, r.x0 - by),
    y0: Math.max(0, r.y0 - by),
    x1: Math.min(width, r.x1 + by),
    y1: Math.min(height, r.y1 + by),
  };
}
