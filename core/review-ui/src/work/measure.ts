/** Sizes of labels, in pixels. */
import type { LabelRow } from "../api/types";

type Ring = readonly (readonly [number, number])[];

/** Return the area of a label in square pixels, by the even-odd rule for rings inside rings; null where it has none. */
export function areaOf(label: LabelRow): number | null {
  if (label.kind === "box") return (label.box[2] - label.box[0]) * (label.box[3] - label.box[1]);
  if (label.kind === "rotated_box") {
    const [, , width, height] = label.shape as number[];
    return width! * height!;
  }
  return label.kind === "polygon" ? ringsArea(label.shape as Ring[]) : null;
}

/** Tell whether the outline of a polygon crosses itself. Costs the square of its points, so long ones are not asked. */
export function crossesItself(label: LabelRow): boolean {
  if (label.kind !== "polygon") return false;
  return (label.shape as Ring[]).some((ring) => ring.length <= 500 && crosses(ring));
}

// Rings that do not cross each other: one that lies in an odd number of others is a hole.
function ringsArea(rings: readonly Ring[]): number {
  return rings.reduce((sum, ring, i) => {
    const around = rings.filter((other, j) => i !== j && ring[0] && inside(ring[0], other)).length;
    return sum + (around % 2 ? -1 : 1) * Math.abs(shoelace(ring));
  }, 0);
}

function shoelace(ring: Ring): number {
  const sum = ring.reduce((sum, [x, y], i) => {
    const [nx, ny] = ring[(i + 1) % ring.length]!;
    return sum + x * ny - nx * y;
  }, 0);
  return sum / 2;
}

function inside([x, y]: readonly [number, number], ring: Ring): boolean {
  return ring.reduce((is, [ax, ay], i) => {
    const [bx, by] = ring[(i + ring.length - 1) % ring.length]!;
    return ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax ? !is : is;
  }, false);
}

function crosses(ring: Ring): boolean {
  const n = ring.length;
  for (let i = 0; i < n; i++)
    for (let j = i + 2; j < n; j++) {
      if (i === 0 && j === n - 1) continue; // neighbours at the closing point
      if (cut(ring[i]!, ring[(i + 1) % n]!, ring[j]!, ring[(j + 1) % n]!)) return true;
    }
  return false;
}

type P = readonly [number, number];

function cut(a: P, b: P, c: P, d: P): boolean {
  return side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0;
}

function side(a: P, b: P, p: P): number {
  return Math.sign((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]));
}
