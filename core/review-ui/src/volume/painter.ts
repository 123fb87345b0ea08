/** Draw a plane of a volume into pixels: greys through a window, masks over them, the outline of the selected one. */
import type { Bits } from "../mask/bits";
import { type Axis, grown, isEmpty, type Rect } from "../mask/planes";
import { greys, type Window } from "./windows";

const OPACITY = 0.4;
const ABSENT = 24; // grey of a slice that is not here yet
const OPAQUE = 0xff000000;

/** Say how a mask is drawn. */
export interface Layer {
  bits: Bits;
  /** `#rrggbb` */
  color: string;
  selected: boolean;
}

/** Keep the tables that all views of a volume paint with. */
export class Inks {
  /** Pixel of each of the 65,536 values. */
  pixels = new Uint32Array(65536);
  private greys: Uint8Array = new Uint8Array(65536);
  private readonly blends = new Map<string, { blend: Uint32Array; line: number }>();

  set window(window: Window) {
    this.greys = greys(window);
    this.pixels = Uint32Array.from(this.greys, gray);
  }

  grey(value: number): number {
    return this.greys[value & 0xffff]!;
  }

  /** Return the pixels of a colour over each grey, and of its outline. */
  of(color: string): { blend: Uint32Array; line: number } {
    let inks = this.blends.get(color);
    if (!inks) {
      const rgb = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16)) as [number, number, number];
      const blend = Uint32Array.from({ length: 256 }, (_, grey) => {
        const [r, g, b] = rgb.map((part) => Math.round(grey * (1 - OPACITY) + part * OPACITY)) as [
          number,
          number,
          number,
        ];
        return pixel(r, g, b);
      });
      this.blends.set(color, (inks = { blend, line: pixel(...rgb) }));
    }
    return inks;
  }
}

/** Paint an area of a plane, `width` wide, into `out` (RGBA as in ImageData); `values` is null while they are not here. */
export function paintPlane(
  out: Uint32Array,
  width: number,
  height: number,
  values: Int16Array | null,
  layers: readonly Layer[],
  inks: Inks,
  axis: Axis,
  k: number,
  area: Rect,
): void {
  const { x0, y0, x1, y1 } = area;
  const { pixels } = inks;
  for (let y = y0; y < y1; y++) {
    const [from, to] = [y * width + x0, y * width + x1];
    if (!values) out.fill(gray(ABSENT), from, to);
    else for (let i = from; i < to; i++) out[i] = pixels[values[i]! & 0xffff]!;
  }
  for (const { bits, color, selected } of layers) {
    const part = bits.around(axis, k, area);
    if (isEmpty(part)) continue;
    const { blend, line } = inks.of(color);
    const around = selected ? grown(part, 1, width, height) : part;
    const mask = bits.read(axis, k, around);
    const stride = around.x1 - around.x0;
    for (let y = part.y0; y < part.y1; y++) {
      let at = (y - around.y0) * stride + part.x0 - around.x0;
      for (let x = part.x0, i = y * width + x; x < part.x1; x++, i++, at++) {
        if (!mask[at]) continue;
        const border =
          selected &&
          !(x > 0 && mask[at - 1] && x < width - 1 && mask[at + 1] && y > 0 && mask[at - stride] && mask[at + stride]);
        out[i] = border ? line : blend[values ? inks.grey(values[i]!) : ABSENT]!;
      }
    }
  }
}

function gray(grey: number): number {
  return pixel(grey, grey, grey);
}

/** Return a pixel as the little-endian number that ImageData holds: every browser runs on such machines. */
function pixel(r: number, g: number, b: number): number {
  return (OPAQUE | (b << 16) | (g << 8) | r) >>> 0;
}
