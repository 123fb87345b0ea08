import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decode, encode } from "../mask/rle";
import { type Bitmap, bitmapOf, boxOf, emptyBitmap, grown, outlines, rleOf } from "./bitmap";
import { within } from "./hit";

const mask = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 })).chain(([width, height]) =>
  fc.record({
    width: fc.constant(width),
    height: fc.constant(height),
    bits: fc
      .array(fc.constantFrom<0 | 1>(0, 1), { minLength: width * height, maxLength: width * height })
      .map((bits) => Uint8Array.from(bits)),
  }),
);
type Mask = { width: number; height: number; bits: Uint8Array };
const rle = ({ width, height, bits }: Mask) => ({ size: [height, width], counts: encode(bits, [height, width]) });
/** Whether a pixel of the image is set. */
const at = (b: Bitmap, x: number, y: number): number =>
  x < b.x || y < b.y || x >= b.x + b.width || y >= b.y + b.height ? 0 : b.bits[(y - b.y) * b.width + x - b.x]!;

describe("a window of a mask", () => {
  it("holds just what is set", () => {
    fc.assert(
      fc.property(mask, (m) => {
        const window = bitmapOf(rle(m));
        m.bits.forEach((bit, i) => expect(at(window, i % m.width, Math.floor(i / m.width))).toBe(bit));
        const box = boxOf(window);
        expect(box).toEqual(
          m.bits.includes(1) ? [window.x, window.y, window.x + window.width, window.y + window.height] : null,
        );
      }),
    );
  });

  it("writes the same string as the whole mask does, however large the window", () => {
    fc.assert(
      fc.property(mask, fc.integer({ min: 0, max: 3 }), (m, margin) => {
        const window = bitmapOf(rle(m));
        const wide = boxOf(window) ? grown(window, [0, 0, 1, 1], m, margin) : window;
        expect(rleOf(wide, m)).toEqual(rle(m));
        expect(decode(rleOf(wide, m).counts, [m.height, m.width])).toEqual(m.bits);
      }),
    );
  });

  it("grows to hold a box and stays in the image", () => {
    const none = grown(emptyBitmap(), [-5, 3, 4, 9], { width: 6, height: 8 }, 1);
    expect([none.x, none.y, none.width, none.height]).toEqual([0, 2, 5, 6]);
    expect(grown(none, [1, 3, 2, 4], { width: 6, height: 8 }, 1)).toBe(none);
    expect(grown(none, [9, 9, 12, 12], { width: 6, height: 8 }, 1)).toBe(none);
  });

  it("refuses runs that do not fit", () => {
    expect(() => bitmapOf({ size: [4, 4], counts: "!" })).toThrow(RangeError);
    expect(() => bitmapOf({ size: [5, 5], counts: encode(new Uint8Array(16), [4, 4]) })).toThrow(RangeError);
  });
});

describe("outlines", () => {
  it("hold the centres of the pixels that are set, and no others", () => {
    fc.assert(
      fc.property(mask, (m) => {
        const rings = outlines(bitmapOf(rle(m)));
        m.bits.forEach((bit, i) => {
          const centre: [number, number] = [(i % m.width) + 0.5, Math.floor(i / m.width) + 0.5];
          expect(within(rings, centre)).toBe(bit === 1);
        });
      }),
    );
  });

  it("go along the edges of pixels, with a corner only where they turn", () => {
    const bits = Uint8Array.from([1, 1, 1, 1, 0, 1, 1, 1, 1]);
    const rings = outlines({ x: 10, y: 20, width: 3, height: 3, bits });
    expect(rings.map((ring) => ring.length)).toEqual([4, 4]);
    expect(rings[0]).toContainEqual([13, 23]);
    expect(rings[1]).toContainEqual([11, 21]);
  });
});
