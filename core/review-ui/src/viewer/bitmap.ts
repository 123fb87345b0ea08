/** A mask as a window of bytes, no larger than need be: a mask of a map of a gigapixel costs what its own box costs. */
import { bounds } from "../mask/brush";
import { counts, fitting } from "../mask/rle";
import type { Box, Point, Rle, Size } from "./types";

export interface Bitmap {
  x: number;
  y: number;
  width: number;
  height: number;
  /** 0 or 1, row by row. */
  bits: Uint8Array;
}

export function emptyBitmap(): Bitmap {
  return { x: 0, y: 0, width: 0, height: 0, bits: new Uint8Array(0) };
}

/** Return the window of a mask that just holds it; throw RangeError for runs that do not fit. */
export function bitmapOf(rle: Rle): Bitmap {
  const [height] = rle.size as [number, number];
  const runs = fitting(rle.counts, rle.size);
  let [x0, y0, x1, y1] = [Infinity, Infinity, 0, 0];
  eachRun(runs, height, (column, top, bottom) => {
    x0 = Math.min(x0, column);
    y0 = Math.min(y0, top);
    x1 = Math.max(x1, column + 1);
    y1 = Math.max(y1, bottom);
  });
  if (!x1) return emptyBitmap();
  const width = x1 - x0;
  const bits = new Uint8Array(width * (y1 - y0));
  eachRun(runs, height, (column, top, bottom) => {
    for (let y = top; y < bottom; y++) bits[(y - y0) * width + column - x0] = 1;
  });
  return { x: x0, y: y0, width, height: y1 - y0, bits };
}

/** Return the mask that a window holds, of an image of `size`. */
export function rleOf(bitmap: Bitmap, size: Size): Rle {
  const lengths: number[] = [];
  let [end, start, inside] = [0, 0, false];
  // `end`: first pixel, counted down the columns, that is not in a run yet; `start`: of the run that goes on.
  for (let x = 0; x < bitmap.width; x++) {
    const column = (bitmap.x + x) * size.height + bitmap.y;
    for (let y = 0; y <= bitmap.height; y++) {
      const set = y < bitmap.height && bitmap.bits[y * bitmap.width + x] === 1;
      if (set === inside) continue;
      const at = column + y;
      if (set) {
        if (at === end && lengths.length) start = end - lengths.pop()!;
        else {
          lengths.push(at - end);
          start = at;
        }
      } else {
        lengths.push(at - start);
        end = at;
      }
      inside = set;
    }
  }
  const rest = size.width * size.height - end;
  if (rest || !lengths.length) lengths.push(rest);
  return { size: [size.height, size.width], counts: counts(lengths) };
}

/** Return the box of what is set, in image pixels; null if nothing is. */
export function boxOf({ x, y, width, height, bits }: Bitmap): Box | null {
  const box = bounds(bits, width, height);
  return box && [box[0] + x, box[1] + y, box[2] + x, box[3] + y];
}

/** Return a window that holds `box` too (whole pixels, cut to the image), with room around it so that it seldom grows. */
export function grown(bitmap: Bitmap, box: Box, size: Size, margin = 128): Bitmap {
  const { x, y, width, height } = bitmap;
  const none = !bitmap.bits.length;
  const whole: Box = none ? box : [x, y, x + width, y + height];
  const clipped = [
    Math.max(0, Math.floor(box[0])),
    Math.max(0, Math.floor(box[1])),
    Math.min(size.width, Math.ceil(box[2])),
    Math.min(size.height, Math.ceil(box[3])),
  ] as const;
  if (clipped[0] >= clipped[2] || clipped[1] >= clipped[3]) return bitmap;
  const fits = clipped[0] >= x && clipped[1] >= y && clipped[2] <= x + width && clipped[3] <= y + height;
  if (!none && fits) return bitmap;
  const x0 = clipped[0] < whole[0] || none ? Math.max(0, clipped[0] - margin) : x;
  const y0 = clipped[1] < whole[1] || none ? Math.max(0, clipped[1] - margin) : y;
  const x1 = clipped[2] > whole[2] || none ? Math.min(size.width, clipped[2] + margin) : x + width;
  const y1 = clipped[3] > whole[3] || none ? Math.min(size.height, clipped[3] + margin) : y + height;
  const next = { x: x0, y: y0, width: x1 - x0, height: y1 - y0, bits: new Uint8Array((x1 - x0) * (y1 - y0)) };
  for (let row = 0; row < height; row++) {
    const line = bitmap.bits.subarray(row * width, (row + 1) * width);
    next.bits.set(line, (y + row - y0) * next.width + x - x0);
  }
  return next;
}

// Steps along an outline: right, down, left, up; then, from the corner reached, the pixels ahead on either hand.
const STEPS = [
  { dx: 1, dy: 0, right: [0, 0], left: [0, -1] },
  { dx: 0, dy: 1, right: [-1, 0], left: [0, 0] },
  { dx: -1, dy: 0, right: [-1, -1], left: [-1, 0] },
  { dx: 0, dy: -1, right: [0, -1], left: [-1, -1] },
] as const;

/** Return the outlines of a mask along the edges of its pixels, in image pixels, as rings for the even-odd rule. */
export function outlines({ x: left, y: top, width, height, bits }: Bitmap): Point[][] {
  const set = (x: number, y: number): boolean =>
    x >= 0 && y >= 0 && x < width && y < height && bits[y * width + x] === 1;
  const seen = new Uint8Array(width * height);
  const rings: Point[][] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      // Every outline goes right along the upper side of some pixel, with the mask on its right hand.
      if (!set(x, y) || set(x, y - 1) || seen[y * width + x]) continue;
      const ring: Point[] = [];
      let [px, py, turn] = [x, y, 0];
      do {
        if (turn === 0) seen[py * width + px] = 1;
        const step = STEPS[turn]!;
        [px, py] = [px + step.dx, py + step.dy];
        const next = !set(px + step.right[0], py + step.right[1])
          ? (turn + 1) % 4
          : set(px + step.left[0], py + step.left[1])
            ? (turn + 3) % 4
            : turn;
        if (next !== turn) ring.push([left + px, top + py]);
        turn = next;
      } while (px !== x || py !== y || turn !== 0);
      rings.push(ring);
    }
  }
  return rings;
}

function eachRun(
  runs: readonly number[],
  height: number,
  visit: (column: number, top: number, bottom: number) => void,
): void {
  let at = 0;
  runs.forEach((length, i) => {
    const end = at + length;
    if (i % 2) {
      for (let from = at; from < end;) {
        const column = Math.floor(from / height);
        const to = Math.min(end, (column + 1) * height);
        visit(column, from - column * height, to - column * height);
        from = to;
      }
    }
    at = end;
  });
}
