import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bits, millilitres } from "./bits";
import golden from "./golden.json";
import { AXES, isEmpty, planeSize, type Size3, voxelAt } from "./planes";
import { encode } from "./rle";

const volumes = golden.masks.filter((one) => one.size.length === 3);
const sizes = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 19 }));
const masks = sizes.chain((size) =>
  fc.tuple(
    fc.constant(size as Size3),
    fc.uint8Array({ minLength: size[0] * size[1] * size[2], maxLength: size[0] * size[1] * size[2], max: 1 }),
  ),
);

function bitsOf(mask: Uint8Array, size: Size3): Bits {
  return Bits.fromRle(encode(mask, size), size);
}

test.each(volumes.map((one) => [one.counts, one] as const))("hyla.geometry's volume %s", (_, one) => {
  const size = one.size as unknown as Size3;
  const bits = Bits.fromRle(one.counts, size);
  expect(bits.toRle()).toBe(one.counts);
  expect(bits.total()).toBe(one.area);
  expect(bits.bounds() ?? [0, 0, 0, 0]).toEqual(exactBox(one.mask, size));
});

/** A run that crosses a line has hyla's box span the width; the page's box is exact, and inside it. */
function exactBox(mask: string, [depth, height, width]: Size3): number[] {
  const box = [Infinity, Infinity, 0, 0] as [number, number, number, number];
  for (let i = 0; i < depth * height * width; i++) {
    if (mask[i] === "0") continue;
    const [x, y] = [i % width, Math.floor(i / width) % height];
    box.splice(0, 4, Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x + 1), Math.max(box[3], y + 1));
  }
  return box[2] ? box : [0, 0, 0, 0];
}

describe("planes", () => {
  test("hold the voxels of the volume, whole and in part", () => {
    fc.assert(
      fc.property(masks, fc.nat(), fc.nat(), fc.nat(), ([size, mask], pick, left, top) => {
        const bits = bitsOf(mask, size);
        for (const axis of AXES) {
          const { width, height, planes } = planeSize(size, axis);
          const k = pick % planes;
          const area = { x0: left % width, y0: top % height, x1: width, y1: height };
          const want: number[] = [];
          for (let v = area.y0; v < height; v++) {
            for (let u = area.x0; u < width; u++) {
              const { x, y, z } = voxelAt(axis, u, v, k);
              want.push(mask[(z * size[1] + y) * size[2] + x]!);
            }
          }
          expect([...bits.read(axis, k, area)]).toEqual(want);
          const part = bits.around(axis, k, area);
          const inside = isEmpty(part) ? 0 : bits.read(axis, k, part).reduce((sum, bit) => sum + bit, 0);
          expect(inside).toBe(want.reduce((sum, bit) => sum + bit, 0));
          if (!isEmpty(part))
            expect([part.x0 >= area.x0, part.y0 >= area.y0, part.x1 <= width, part.y1 <= height]).not.toContain(false);
        }
      }),
    );
  });

  test("written are read back, and counted", () => {
    fc.assert(
      fc.property(masks, masks, fc.nat(), fc.constantFrom(...AXES), ([size, mask], [, paint], pick, axis) => {
        const bits = bitsOf(mask, size);
        const { width, height, planes } = planeSize(size, axis);
        const k = pick % planes;
        const bytes = Uint8Array.from({ length: width * height }, (_, i) => paint[i % paint.length]!);
        bits.write(axis, k, { x0: 0, y0: 0, x1: width, y1: height }, bytes);
        expect(bits.read(axis, k)).toEqual(bytes);
        const again = Bits.fromRle(bits.toRle(), size);
        expect([...bits.voxels]).toEqual([...again.voxels]);
        for (let z = 0; z < size[0]; z++) {
          expect(bits.read("axial", z).reduce((sum, bit) => sum + bit, 0)).toBe(bits.voxels[z]);
        }
      }),
    );
  });
});

test("millilitres", () => {
  expect(millilitres(1000, [5, 0.7, 0.7])).toBeCloseTo(2.45, 12);
});
