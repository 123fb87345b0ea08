import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bounds, fill, paint } from "./brush";
import { isEmpty } from "./planes";

/** Read a picture of dots and hashes. */
function drawn(...rows: string[]): { mask: Uint8Array; width: number; height: number } {
  const mask = Uint8Array.from(rows.join(""), (c) => (c === "#" ? 1 : 0));
  return { mask, width: rows[0]!.length, height: rows.length };
}

function shown(mask: Uint8Array, width: number): string[] {
  return Array.from({ length: mask.length / width }, (_, y) =>
    [...mask.subarray(y * width, (y + 1) * width)].map((b) => (b ? "#" : ".")).join(""),
  );
}

describe("paint", () => {
  test("a disc", () => {
    const mask = new Uint8Array(49);
    expect(paint(mask, 7, 7, 3.5, 3.5, 3.5, 3.5, 2, 1)).toEqual({ x0: 1, y0: 1, x1: 6, y1: 6 });
    expect(shown(mask, 7)).toEqual([".......", "...#...", "..###..", ".#####.", "..###..", "...#...", "......."]);
  });

  test("a stroke leaves no gap", () => {
    const mask = new Uint8Array(50);
    paint(mask, 10, 5, 1.5, 2.5, 8.5, 2.5, 1, 1);
    expect(shown(mask, 10)).toEqual(["..........", ".########.", "##########", ".########.", ".........."]);
  });

  test("a brush of no size sets the pixel under it, and an eraser takes it away", () => {
    const mask = new Uint8Array(12);
    expect(paint(mask, 4, 3, 2.9, 1.1, 2.9, 1.1, 0, 1)).toEqual({ x0: 2, y0: 1, x1: 3, y1: 2 });
    expect(shown(mask, 4)).toEqual(["....", "..#.", "...."]);
    paint(mask, 4, 3, 2.1, 1.9, 2.1, 1.9, 0, 0);
    expect(bounds(mask, 4, 3)).toBeNull();
  });

  test("is round in millimetres where pixels are not square", () => {
    const mask = new Uint8Array(21 * 9);
    paint(mask, 21, 9, 10.5, 4.5, 10.5, 4.5, 6, 1, { aspect: 3 });
    expect(bounds(mask, 21, 9)).toEqual([4, 2, 17, 7]);
  });

  test("keeps within a threshold", () => {
    const mask = new Uint8Array(25);
    paint(mask, 5, 5, 2.5, 2.5, 2.5, 2.5, 9, 1, { within: (i) => i % 5 === 1 });
    expect(shown(mask, 5)).toEqual(Array(5).fill(".#..."));
  });

  test("changes only what it names, and nothing outside the picture", () => {
    const place = fc.double({ min: -20, max: 40, noNaN: true });
    fc.assert(
      fc.property(place, place, place, place, fc.double({ min: 0, max: 12, noNaN: true }), (x0, y0, x1, y1, radius) => {
        const mask = new Uint8Array(17 * 11);
        const dirty = paint(mask, 17, 11, x0, y0, x1, y1, radius, 1);
        const box = bounds(mask, 17, 11);
        expect(isEmpty(dirty) ? null : [dirty.x0, dirty.y0, dirty.x1, dirty.y1]).toEqual(box);
      }),
    );
  });
});

describe("fill", () => {
  test("closes a hole up to its outline", () => {
    const { mask, width, height } = drawn("......", ".####.", ".#..#.", ".##.#.", "..###.", "......");
    expect(fill(mask, width, height, 2, 2, 1)).toEqual({ x0: 2, y0: 2, x1: 4, y1: 4 });
    expect(shown(mask, width)).toEqual(["......", ".####.", ".####.", ".####.", "..###.", "......"]);
  });

  test("refuses an open region and leaves it", () => {
    const { mask, width, height } = drawn("......", ".####.", ".#....", ".####.", "......");
    const before = mask.slice();
    expect(fill(mask, width, height, 2, 2, 1)).toBeNull();
    expect(mask).toEqual(before);
  });

  test("does not pass between pixels that touch at a corner", () => {
    const { mask, width, height } = drawn(".....", "..#..", ".#.#.", "..#..", ".....");
    expect(fill(mask, width, height, 2, 2, 1)).toEqual({ x0: 2, y0: 2, x1: 3, y1: 3 });
  });

  test("takes one piece away, up to the border too", () => {
    const { mask, width, height } = drawn("##..#", "#...#", "....#");
    expect(fill(mask, width, height, 0, 0, 0)).toEqual({ x0: 0, y0: 0, x1: 2, y1: 2 });
    expect(shown(mask, width)).toEqual(["....#", "....#", "....#"]);
  });
});
