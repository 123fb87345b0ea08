/** Painting on the mask of a plane: bytes 0 or 1, row by row. Points are in pixels; the centre of the first is (0.5, 0.5). */
import { NOTHING, type Rect } from "./planes";

/** Say which pixels a stroke may change, and how much taller than wide a pixel is, for a brush that is round in millimetres. */
export interface Stroke {
  within?: ((index: number) => boolean) | undefined;
  aspect?: number;
}

/**
 * Set the pixels whose centre lies within `radius` (in pixel widths) of the line from x0, y0 to x1, y1, and always the pixel under
 * its end; return the area that was touched.
 */
export function paint(
  mask: Uint8Array,
  width: number,
  height: number,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  radius: number,
  value: 0 | 1,
  { within, aspect = 1 }: Stroke = {},
): Rect {
  const reach = radius / aspect;
  const left = Math.max(0, Math.floor(Math.min(x0, x1) - radius));
  const right = Math.min(width, Math.ceil(Math.max(x0, x1) + radius) + 1);
  const top = Math.max(0, Math.floor(Math.min(y0, y1) - reach));
  const bottom = Math.min(height, Math.ceil(Math.max(y0, y1) + reach) + 1);
  const dx = x1 - x0;
  const dy = (y1 - y0) * aspect;
  const long = dx * dx + dy * dy;
  const under = Math.floor(x1) + Math.floor(y1) * width;
  let dirty: Rect | null = null;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const px = x + 0.5 - x0;
      const py = (y + 0.5 - y0) * aspect;
      const along = long ? Math.min(1, Math.max(0, (px * dx + py * dy) / long)) : 0;
      const away = (px - along * dx) ** 2 + (py - along * dy) ** 2;
      const i = y * width + x;
      if (away > radius * radius && i !== under) continue;
      if (mask[i] === value || (within && !within(i))) continue;
      mask[i] = value;
      if (!dirty) dirty = { x0: x, y0: y, x1: x + 1, y1: y + 1 };
      else {
        if (x < dirty.x0) dirty.x0 = x;
        if (x >= dirty.x1) dirty.x1 = x + 1;
        dirty.y1 = y + 1;
      }
    }
  }
  return dirty ?? NOTHING;
}

/**
 * Fill the hole around a pixel, up to the mask (`value` 1), or take the piece of the mask away that the pixel is in (0); neighbours
 * are those at the four sides. Return the area that was touched, or null, changing nothing, if the hole is open: it reaches the
 * border, so that nothing closes it in.
 */
export function fill(mask: Uint8Array, width: number, height: number, x: number, y: number, value: 0 | 1): Rect | null {
  const start = Math.floor(y) * width + Math.floor(x);
  if (!(x >= 0 && y >= 0 && x < width && y < height) || mask[start] === value) return NOTHING;
  const seen = [start];
  mask[start] = value;
  const rect = { x0: width, y0: height, x1: 0, y1: 0 };
  let open = false;
  for (let at = 0; at < seen.length && !open; at++) {
    const i = seen[at]!;
    const row = Math.floor(i / width);
    const column = i - row * width;
    rect.x0 = Math.min(rect.x0, column);
    rect.x1 = Math.max(rect.x1, column + 1);
    rect.y0 = Math.min(rect.y0, row);
    rect.y1 = Math.max(rect.y1, row + 1);
    const inner = column > 0 && row > 0 && column < width - 1 && row < height - 1;
    open = value === 1 && !inner;
    const visit = (neighbour: number): void => {
      if (mask[neighbour] === value) return;
      mask[neighbour] = value;
      seen.push(neighbour);
    };
    if (column > 0) visit(i - 1);
    if (column < width - 1) visit(i + 1);
    if (row > 0) visit(i - width);
    if (row < height - 1) visit(i + width);
  }
  if (!open) return rect;
  for (const i of seen) mask[i] = value ? 0 : 1;
  return null;
}

/** Return the box x0, y0, x1, y1 around a mask, far edges outside; null for one without a pixel. */
export function bounds(mask: Uint8Array, width: number, height: number): [number, number, number, number] | null {
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    const row = mask.subarray(y * width, (y + 1) * width);
    const first = row.indexOf(1);
    if (first < 0) continue;
    x0 = Math.min(x0, first);
    x1 = Math.max(x1, row.lastIndexOf(1) + 1);
    y0 = Math.min(y0, y);
    y1 = y + 1;
  }
  return x1 > x0 ? [x0, y0, x1, y1] : null;
}
