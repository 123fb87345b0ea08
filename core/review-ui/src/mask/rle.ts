/**
 * COCO's compressed run lengths, as `hyla.geometry` and pycocotools write them.
 *
 * Runs are outside and inside by turns, beginning outside. In a picture, size (height, width), they go down the columns; in a
 * volume, size (depth, height, width), along x, then y, then slices. Masks here are bytes 0 or 1 in the order of the pixels: x
 * fastest, then y, then slices.
 */

const FIRST = 48; // "0"
const BITS = 5;
const BASE = 2 ** BITS;
const MORE = 0x20;
const LONGEST = 8; // characters of one run: more than any 32-bit length needs

/** Return the run lengths of COCO's string; throw RangeError for what is no such string. */
export function runs(counts: string): number[] {
  const out: number[] = [];
  let value = 0;
  let place = 1;
  let length = 0;
  for (let i = 0; i < counts.length; i++) {
    const code = counts.charCodeAt(i) - FIRST;
    if (code < 0 || code >= 2 * BASE || ++length > LONGEST) throw notRuns();
    value += (code & (BASE - 1)) * place; // not shifted: lengths go beyond 31 bits
    place *= BASE;
    if (code & MORE) continue;
    if (code & (BASE / 2)) value -= place;
    // From the fourth on, the string holds the difference to the last but one.
    if (out.length > 2) value += out[out.length - 2]!;
    if (value < 0) throw notRuns();
    out.push(value);
    value = length = 0;
    place = 1;
  }
  if (length || !out.length) throw notRuns();
  return out;
}

/** Return COCO's string of run lengths; the inverse of `runs`. */
export function counts(lengths: readonly number[]): string {
  let out = "";
  for (let i = 0; i < lengths.length; i++) {
    let x = lengths[i]! - (i > 2 ? lengths[i - 2]! : 0);
    for (let more = true; more;) {
      const rest = Math.floor(x / BASE);
      const code = x - rest * BASE;
      more = rest !== (code & (BASE / 2) ? -1 : 0);
      out += String.fromCharCode(FIRST + code + (more ? MORE : 0));
      x = rest;
    }
  }
  return out;
}

/** Return how many pixels or voxels are in. */
export function area(counts: string): number {
  return runs(counts).reduce((sum, length, i) => sum + (i % 2 ? length : 0), 0);
}

/** Return the mask of COCO's string; throw RangeError if it does not fit `size`. */
export function decode(counts: string, size: readonly number[]): Uint8Array {
  const lengths = fitting(counts, size);
  const flat = new Uint8Array(pixels(size));
  let at = 0;
  for (let i = 0; i < lengths.length; i++) {
    if (i % 2) flat.fill(1, at, at + lengths[i]!);
    at += lengths[i]!;
  }
  return size.length === 2 ? turned(flat, size[1]!, size[0]!) : flat;
}

/** Return COCO's string of a mask of `size`. */
export function encode(mask: Uint8Array, size: readonly number[]): string {
  if (mask.length !== pixels(size)) throw new RangeError(`${mask.length} pixels are not a mask of ${size.join(" x ")}`);
  const flat = size.length === 2 ? turned(mask, size[0]!, size[1]!) : mask;
  const lengths: number[] = [];
  let start = 0;
  let inside = false;
  for (let i = 0; i < flat.length; i++) {
    if ((flat[i] !== 0) === inside) continue;
    lengths.push(i - start);
    start = i;
    inside = !inside;
  }
  lengths.push(flat.length - start);
  return counts(lengths);
}

/** Return the runs of COCO's string; throw RangeError if they do not add up to `size`. */
export function fitting(counts: string, size: readonly number[]): number[] {
  const lengths = runs(counts);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (total !== pixels(size)) throw new RangeError(`the runs of a mask do not add up to its size ${size.join(" x ")}`);
  return lengths;
}

/** Return the number of pixels or voxels of a size. */
export function pixels(size: readonly number[]): number {
  return size.reduce((product, length) => product * length, 1);
}

/** Return `rows` lines of `columns` read column by column, as lines of `rows`. */
function turned(from: Uint8Array, rows: number, columns: number): Uint8Array {
  const to = new Uint8Array(from.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0, i = row * columns; column < columns; column++, i++) to[column * rows + row] = from[i]!;
  }
  return to;
}

function notRuns(): RangeError {
  return new RangeError("the runs of a mask are not COCO's run-length string");
}
