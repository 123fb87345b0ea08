/** Where a voxel is in the patient, and how to say so. */
import { ALONG, type Axis, type Voxel } from "../mask/planes";
import { letters } from "./orientation";

export type Point = readonly [x: number, y: number, z: number];

/** Return millimetres in the patient (LPS) of a voxel's centre, by the affine of a `patient` frame; null for any other frame. */
export function world(frame: Record<string, unknown>, { x, y, z }: Voxel): Point | null {
  const affine = frame["affine"];
  if (frame["kind"] !== "patient" || !Array.isArray(affine)) return null;
  const rows = affine as number[][];
  const along = (row: number): number => rows[row]![0]! * x + rows[row]![1]! * y + rows[row]![2]! * z + rows[row]![3]!;
  return [along(0), along(1), along(2)];
}

/** Say where a point is, as letters and millimetres: "L 12.0 A 33.1 H 51.2 mm". */
export function place(point: Point): string {
  const parts = point.map((mm, i) => {
    const unit = [0, 1, 2].map((axis) => (axis === i ? (mm < 0 ? -1 : 1) : 0)) as [number, number, number];
    return `${letters(unit)} ${Math.abs(mm).toFixed(1)}`;
  });
  return `${parts.join(" ")} mm`;
}

/**
 * Return how much of the product of its edges a voxel holds: less than 1 where they are not at right angles, as of a tilted gantry.
 * `directions`: unit vectors along x, y and slices.
 */
export function upright(directions: readonly (readonly number[])[] | null): number {
  if (!directions) return 1;
  const [a, b, c] = directions as readonly [number[], number[], number[]];
  const across = [b[1]! * c[2]! - b[2]! * c[1]!, b[2]! * c[0]! - b[0]! * c[2]!, b[0]! * c[1]! - b[1]! * c[0]!];
  return Math.abs(a[0]! * across[0]! + a[1]! * across[1]! + a[2]! * across[2]!);
}

/** Return how far along the axis across a plane a voxel is, in mm: in the patient, or from the first plane. */
export function depth(
  axis: Axis,
  name: Axis,
  voxel: Voxel,
  frame: Record<string, unknown>,
  spacing: readonly number[] | null,
): number | null {
  const point = world(frame, voxel);
  if (point) return point[{ axial: 2, coronal: 1, sagittal: 0 }[name]]!;
  const across = ALONG[axis].k;
  return spacing ? voxel[across] * spacing[{ z: 0, y: 1, x: 2 }[across]]! : null;
}
