/** Changes of a volume's mask that can be taken back: each holds the bytes of one area of a plane, before and after. */
import type { Bits } from "./bits";
import { type Axis, isEmpty, NOTHING, planeSize, type Rect, union } from "./planes";

/** Hold a change of one area of a plane. */
export interface Patch {
  axis: Axis;
  k: number;
  area: Rect;
  before: Uint8Array;
  after: Uint8Array;
}

/** Gather what changes on one plane of a mask, from the first touch of a gesture to its end. */
export class PlaneEdit {
  /** The plane as it is now: bytes 0 or 1, row by row. */
  readonly bytes: Uint8Array;
  readonly width: number;
  readonly height: number;
  private readonly old: Uint8Array;
  private area: Rect = NOTHING;

  constructor(
    readonly bits: Bits,
    readonly axis: Axis,
    readonly k: number,
  ) {
    ({ width: this.width, height: this.height } = planeSize(bits.size, axis));
    this.bytes = bits.read(axis, k);
    this.old = this.bytes.slice();
  }

  /** Write the part of `bytes` that was touched to the mask. */
  touched(area: Rect): void {
    if (isEmpty(area)) return;
    this.bits.write(this.axis, this.k, area, this.bytes, true);
    this.area = union(this.area, area);
  }

  /** Return the change as a whole; null if there is none. */
  finish(): Patch | null {
    if (isEmpty(this.area)) return null;
    const cut = (from: Uint8Array): Uint8Array => {
      const { x0, y0, x1, y1 } = this.area;
      const out = new Uint8Array((x1 - x0) * (y1 - y0));
      for (let y = y0; y < y1; y++) {
        out.set(from.subarray(y * this.width + x0, y * this.width + x1), (y - y0) * (x1 - x0));
      }
      return out;
    };
    return { axis: this.axis, k: this.k, area: this.area, before: cut(this.old), after: cut(this.bytes) };
  }
}

/** Put planes back to how they were before or after changes. */
export function apply(bits: Bits, patches: readonly Patch[], to: "before" | "after"): void {
  const ordered = to === "before" ? [...patches].reverse() : patches;
  for (const patch of ordered) bits.write(patch.axis, patch.k, patch.area, patch[to]);
}
