/**
 * The mask of a volume, one bit a voxel, slice by slice; a slice without a voxel takes no memory. Within a slice, bit
 * i = y * width + x is bit i % 8, lowest first, of byte i / 8.
 */
import { type Axis, NOTHING, planeSize, type Rect, type Size3 } from "./planes";
import { counts as stringOf, fitting } from "./rle";

export class Bits {
  readonly size: Size3;
  /** Voxels in each slice. */
  readonly voxels: Uint32Array;
  private readonly slices: (Uint8Array | null)[];

  constructor(size: Size3) {
    this.size = size;
    this.voxels = new Uint32Array(size[0]);
    this.slices = Array.from({ length: size[0] }, () => null);
  }

  /** Return the mask of COCO's string; throw RangeError if it does not fit `size`. */
  static fromRle(counts: string, size: Size3): Bits {
    const bits = new Bits(size);
    const slice = size[1] * size[2];
    let at = 0;
    fitting(counts, size).forEach((length, i) => {
      const end = at + length;
      if (i % 2 === 0) at = end;
      while (at < end) {
        const z = Math.floor(at / slice);
        const until = Math.min(end, (z + 1) * slice);
        setRange(bits.slice(z), at - z * slice, until - z * slice);
        bits.voxels[z]! += until - at;
        at = until;
      }
    });
    return bits;
  }

  /** Return COCO's string. */
  toRle(): string {
    const [depth, height, width] = this.size;
    const slice = height * width;
    const lengths: number[] = [];
    let start = 0;
    let inside = 0;
    for (let z = 0; z < depth; z++) {
      const from = z * slice;
      const bytes = this.slices[z];
      if (!bytes) {
        if (inside) {
          lengths.push(from - start);
          [start, inside] = [from, 0];
        }
        continue;
      }
      for (let i = 0; i < slice; i += 8) {
        const byte = bytes[i >> 3]!;
        if (byte === (inside ? 0xff : 0) && i + 8 <= slice) continue;
        for (let bit = i; bit < Math.min(i + 8, slice); bit++) {
          if (((byte >> (bit & 7)) & 1) === inside) continue;
          lengths.push(from + bit - start);
          [start, inside] = [from + bit, 1 - inside];
        }
      }
    }
    lengths.push(depth * slice - start);
    return stringOf(lengths);
  }

  /** Return how many voxels are in. */
  total(): number {
    return this.voxels.reduce((sum, n) => sum + n, 0);
  }

  get(x: number, y: number, z: number): 0 | 1 {
    const i = y * this.size[2] + x;
    const byte = this.slices[z]?.[i >> 3] ?? 0;
    return ((byte >> (i & 7)) & 1) as 0 | 1;
  }

  set(x: number, y: number, z: number, value: 0 | 1): void {
    if (this.get(x, y, z) === value) return;
    const i = y * this.size[2] + x;
    this.slice(z)[i >> 3]! ^= 1 << (i & 7);
    this.voxels[z]! += value ? 1 : -1;
    if (!this.voxels[z]) this.slices[z] = null;
  }

  /** Return the bytes, 0 or 1, of a plane or of an area of it, row by row. */
  read(axis: Axis, k: number, area?: Rect): Uint8Array<ArrayBuffer> {
    const plane = planeSize(this.size, axis);
    const { x0, y0, x1, y1 } = area ?? { x0: 0, y0: 0, x1: plane.width, y1: plane.height };
    const out = new Uint8Array(Math.max(0, x1 - x0) * Math.max(0, y1 - y0));
    const width = this.size[2];
    for (let v = y0; v < y1; v++) {
      const bytes = this.slices[axis === "axial" ? k : v];
      if (!bytes) continue;
      const to = (v - y0) * (x1 - x0);
      if (axis === "sagittal") {
        for (let u = x0, i = x0 * width + k; u < x1; u++, i += width)
          out[to + u - x0] = (bytes[i >> 3]! >> (i & 7)) & 1;
        continue;
      }
      const line = (axis === "axial" ? v : k) * width;
      for (let u = x0; u < x1; u++) {
        const i = line + u;
        const byte = bytes[i >> 3]!;
        if (byte === 0) u += 7 - (i & 7);
        else out[to + u - x0] = (byte >> (i & 7)) & 1;
      }
    }
    return out;
  }

  /** Set an area of a plane to `bytes`, row by row: of the area alone, or of the whole plane with `whole`. */
  write(axis: Axis, k: number, area: Rect, bytes: Uint8Array, whole = false): void {
    const stride = whole ? planeSize(this.size, axis).width : area.x1 - area.x0;
    const from = whole ? 0 : area.y0 * stride + area.x0;
    for (let v = area.y0; v < area.y1; v++) {
      for (let u = area.x0; u < area.x1; u++) {
        const value = bytes[v * stride + u - from] ? 1 : 0;
        if (axis === "axial") this.set(u, v, k, value);
        else if (axis === "coronal") this.set(u, k, v, value);
        else this.set(k, u, v, value);
      }
    }
  }

  /** Return a part of an area of a plane that holds all its voxels, mostly much smaller; empty if there is none. */
  around(axis: Axis, k: number, area: Rect): Rect {
    const width = this.size[2];
    const out = { x0: area.x1, y0: area.y1, x1: area.x0, y1: area.y0 };
    for (let v = area.y0; v < area.y1; v++) {
      const bytes = this.slices[axis === "axial" ? k : v];
      if (!bytes) continue;
      let [first, last] = [area.x0, area.x1];
      if (axis !== "sagittal") {
        const line = (axis === "axial" ? v : k) * width;
        let [start, end] = [(line + area.x0) >> 3, (line + area.x1 - 1) >> 3];
        while (start <= end && !bytes[start]) start++;
        while (end > start && !bytes[end]) end--;
        if (start > end) continue;
        [first, last] = [Math.max(first, start * 8 - line), Math.min(last, end * 8 + 8 - line)];
      }
      if (out.y0 > v) out.y0 = v;
      out.y1 = v + 1;
      if (first < out.x0) out.x0 = first;
      if (last > out.x1) out.x1 = last;
    }
    return out.x1 > out.x0 ? out : NOTHING;
  }

  /** Return the box x0, y0, x1, y1 around the mask over all slices, far edges outside; null without a voxel. */
  bounds(): [number, number, number, number] | null {
    const [depth, height, width] = this.size;
    let [x0, y0, x1, y1] = [width, height, 0, 0];
    for (let z = 0; z < depth; z++) {
      const bytes = this.slices[z];
      if (!bytes) continue;
      for (let at = 0; at < bytes.length; at++) {
        for (let byte = bytes[at]!, i = at * 8; byte; byte >>= 1, i++) {
          if (!(byte & 1)) continue;
          const y = Math.floor(i / width);
          const x = i - y * width;
          if (x < x0) x0 = x;
          if (x >= x1) x1 = x + 1;
          if (y < y0) y0 = y;
          if (y >= y1) y1 = y + 1;
        }
      }
    }
    return x1 > x0 ? [x0, y0, x1, y1] : null;
  }

  private slice(z: number): Uint8Array {
    return (this.slices[z] ??= new Uint8Array(Math.ceil((this.size[1] * this.size[2]) / 8)));
  }
}

/** Return millilitres of `voxels` of `spacing` (mm along each axis). */
export function millilitres(voxels: number, spacing: readonly number[]): number {
  return spacing.reduce((volume, mm) => volume * mm, voxels / 1000);
}

/** Set the bits from `start` up to `end`. */
function setRange(bytes: Uint8Array, start: number, end: number): void {
  const first = start >> 3;
  const last = end >> 3;
  const head = (0xff << (start & 7)) & 0xff;
  const tail = (1 << (end & 7)) - 1;
  if (first === last) {
    bytes[first]! |= head & tail;
    return;
  }
  bytes[first]! |= head;
  bytes.fill(0xff, first + 1, last);
  if (tail) bytes[last]! |= tail;
}
