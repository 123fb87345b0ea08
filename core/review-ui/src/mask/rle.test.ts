import fc from "fast-check";
import { describe, expect, test } from "vitest";
import golden from "./golden.json";
import { area, counts, decode, encode, runs } from "./rle";

describe("what hyla.geometry writes", () => {
  test.each(golden.masks.map((one) => [`${one.size.join("x")} ${one.counts.slice(0, 20)}`, one] as const))(
    "%s",
    (_, one) => {
      const mask = Uint8Array.from(one.mask, Number);
      expect(encode(mask, one.size)).toBe(one.counts);
      expect(decode(one.counts, one.size)).toEqual(mask);
      expect(area(one.counts)).toBe(one.area);
    },
  );

  test("runs beyond 31 bits", () => {
    expect(runs(golden.large.counts)).toEqual(golden.large.runs);
    expect(counts(golden.large.runs)).toBe(golden.large.counts);
  });
});

const sized = fc.oneof(fc.tuple(fc.nat(12), fc.nat(12)), fc.tuple(fc.nat(5), fc.nat(7), fc.nat(9))).chain((size) =>
  fc.record({
    size: fc.constant(size),
    mask: fc.uint8Array({ minLength: size.reduce((a, b) => a * b), maxLength: size.reduce((a, b) => a * b), max: 1 }),
  }),
);

test("a mask comes back from its string", () => {
  fc.assert(fc.property(sized, ({ size, mask }) => void expect(decode(encode(mask, size), size)).toEqual(mask)));
});

test("run lengths come back from their string", () => {
  const lengths = fc.array(fc.oneof(fc.nat(40), fc.integer({ min: 0, max: 2 ** 32 - 1 })), { minLength: 1 });
  fc.assert(fc.property(lengths, (some) => void expect(runs(counts(some))).toEqual(some)));
});

test.each(["", "!", "a b", "o", "oooooooooo0", "00Z", "é"])("%j is refused", (text) => {
  expect(() => decode(text, [3, 4])).toThrow(RangeError);
});
