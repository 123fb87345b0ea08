/** Shape-based interpolation: the outline between two outlines, through their signed distances. */
import { bounds } from "./brush";

const FAR = 1e20;

/**
 * Return the masks at `shares` (0 to 1) of the way from mask `a` to mask `b`, width x height bytes each. Their centres of mass are
 * laid over each other first, so that shapes that do not overlap move instead of vanishing. `aspect`: height of a pixel by its width.
 */
export function between(
  a: Uint8Array,
  b: Uint8Array,
  width: number,
  height: number,
  shares: readonly number[],
  aspect = 1,
): Uint8Array[] {
  const from = shape(a, width, height, aspect);
  const to = shape(b, width, height, aspect);
  return shares.map((share) => {
    const out = new Uint8Array(width * height);
    if (!from || !to) return out;
    const cx = from.x + (to.x - from.x) * share;
    const cy = from.y + (to.y - from.y) * share;
    const reach = Math.max(from.reach, to.reach);
    for (let y = Math.max(0, Math.floor(cy - reach)); y < Math.min(height, cy + reach + 1); y++) {
      for (let x = Math.max(0, Math.floor(cx - reach)); x < Math.min(width, cx + reach + 1); x++) {
        const near =
          from.at(x - cx + from.x, y - cy + from.y) * (1 - share) + to.at(x - cx + to.x, y - cy + to.y) * share;
        if (near < 0) out[y * width + x] = 1;
      }
    }
    return out;
  });
}

interface Shape {
  x: number;
  y: number;
  reach: number;
  at(x: number, y: number): number;
}

/** Measure a mask: its centre of mass, how far it reaches from there, and the signed distance of any pixel, inside negative. */
function shape(mask: Uint8Array, width: number, height: number, aspect: number): Shape | null {
  const box = bounds(mask, width, height);
  if (!box) return null;
  const [x0, y0, x1, y1] = [box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1];
  const [w, h] = [x1 - x0, y1 - y0];
  const inside = new Float64Array(w * h).fill(FAR);
  const outside = new Float64Array(w * h);
  let [n, sx, sy] = [0, 0, 0];
  for (let y = box[1]; y < box[3]; y++) {
    for (let x = box[0]; x < box[2]; x++) {
      if (!mask[y * width + x]) continue;
      const i = (y - y0) * w + x - x0;
      [inside[i], outside[i]] = [0, FAR];
      [n, sx, sy] = [n + 1, sx + x, sy + y];
    }
  }
  const [cx, cy] = [sx / n, sy / n];
  squared(inside, w, h, aspect);
  squared(outside, w, h, aspect);
  return {
    x: cx,
    y: cy,
    reach: Math.hypot(w, h),
    at(x, y) {
      const column = Math.min(w - 1, Math.max(0, Math.round(x) - x0));
      const row = Math.min(h - 1, Math.max(0, Math.round(y) - y0));
      const i = row * w + column;
      // Beyond the border of the box: at least as far as from that border.
      const beyond = Math.hypot(Math.round(x) - x0 - column, (Math.round(y) - y0 - row) * aspect);
      // Half a pixel off, so that the border lies between the pixels in and the pixels out.
      return outside[i] ? 0.5 - Math.sqrt(outside[i]) : Math.sqrt(inside[i]!) - 0.5 + beyond;
    },
  };
}

/** Turn 0 (here) and FAR (elsewhere) into the squared distance to the nearest 0 (Felzenszwalb and Huttenlocher, 2012). */
function squared(field: Float64Array, width: number, height: number, aspect: number): void {
  for (let y = 0; y < height; y++) line(field, y * width, 1, width, 1);
  for (let x = 0; x < width; x++) line(field, x, width, height, aspect);
}

function line(field: Float64Array, start: number, stride: number, n: number, step: number): void {
  const value = Float64Array.from({ length: n }, (_, i) => field[start + i * stride]!);
  const vertex = new Int32Array(n);
  const edge = new Float64Array(n + 1);
  let k = 0;
  edge[0] = -Infinity;
  edge[1] = Infinity;
  const meet = (p: number, q: number): number =>
    (value[q]! - value[p]! + (q * q - p * p) * step * step) / (2 * (q - p) * step * step);
  for (let q = 1; q < n; q++) {
    let s = meet(vertex[k]!, q);
    while (s <= edge[k]!) s = meet(vertex[--k]!, q);
    vertex[++k] = q;
    edge[k] = s;
    edge[k + 1] = Infinity;
  }
  k = 0;
  for (let q = 0; q < n; q++) {
    while (edge[k + 1]! < q) k++;
    const p = vertex[k]!;
    field[start + q * stride] = ((q - p) * step) ** 2 + value[p]!;
  }
}
