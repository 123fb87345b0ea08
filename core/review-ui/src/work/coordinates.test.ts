import fc from "fast-check";
import { expect, test } from "vitest";
import { mayBeDegrees, placeIn } from "./coordinates";

test.each([
  ["13.405 52.52", 13.405, 52.52, false],
  [" 13.405,52.52 ", 13.405, 52.52, false],
  ["13.405, 52.52", 13.405, 52.52, false],
  ["13,405 52,52", 13.405, 52.52, false],
  ["13,405; 52,52", 13.405, 52.52, false],
  ["(500000.5, 4650000)", 500000.5, 4650000, false],
  ["-54.25\t-11.75", -54.25, -11.75, false],
  ["−54.25 −11.75", -54.25, -11.75, false],
  ["13.405° 52.52°", 13.405, 52.52, true],
  ["42.001292° N 15.000000° E", 15, 42.001292, true],
  ["11.75 S, 54.25 W", -54.25, -11.75, true],
  ["54.25W 11.75S", -54.25, -11.75, true],
  ["5e5 4.65e6", 500000, 4650000, false],
])("reads %j", (text, x, y, degrees) => {
  expect(placeIn(text)).toEqual({ x, y, degrees });
});

test.each([
  "",
  "13.4",
  "13.4 52.5 7",
  "a b",
  "13.4 E 52.5 E",
  "-13.4 W 52.5 N",
  "13.4 E 52.5",
  "1e999 1",
  "0x10 1",
  "NaN 1",
])("takes %j for no place", (text) => {
  expect(placeIn(text)).toBe(null);
});

test("reads back whatever two numbers are written", () => {
  const number = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(number, number, fc.constantFrom(" ", ", ", "; ", "\t"), (x, y, between) => {
      const place = placeIn(`${x}${between}${y}`);
      expect([place?.x, place?.y]).toEqual([x + 0, y + 0].map((v) => (v === 0 ? expect.closeTo(0) : v)));
    }),
  );
});

test("longitude and latitude have bounds", () => {
  expect(mayBeDegrees({ x: 180, y: -90, degrees: false })).toBe(true);
  expect(mayBeDegrees({ x: 500000, y: 45, degrees: false })).toBe(false);
  expect(mayBeDegrees({ x: 45, y: 91, degrees: false })).toBe(false);
});
