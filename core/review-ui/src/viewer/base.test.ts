import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { filterOf, tileUrl } from "./base";
import { mayRepeat, moveView } from "./keyboard";
import type { Press } from "./world";

describe("addresses of tiles", () => {
  const url = "/media/a%20b/tile/{z}/{x}/{y}.jpg";

  it("hold the place, and bands and stretch where they are given", () => {
    expect(tileUrl(url, 3, 1, 2, {})).toBe("/media/a%20b/tile/3/1/2.jpg");
    expect(tileUrl(url, 0, 0, 0, { bands: [3, 2, 1], stretch: "2-98" })).toBe(
      "/media/a%20b/tile/0/0/0.jpg?bands=3,2,1&stretch=2-98",
    );
    expect(tileUrl(`${url}?v=1`, 0, 0, 0, { bands: [], stretch: "none" })).toBe(
      "/media/a%20b/tile/0/0/0.jpg?v=1&stretch=none",
    );
  });
});

it("stretches from the 2nd to the 98th percentile", () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(share, share, (a, b) => {
      fc.pre(Math.abs(a - b) > 0.05);
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      const filter = filterOf([...Array<number>(50).fill(low), ...Array<number>(50).fill(high)]);
      const [, brightness, contrast] = /^brightness\((.+)\) contrast\((.+)\)$/.exec(filter)!.map(Number);
      // What browsers make of the two, see the filter effects module: brightness multiplies, contrast turns about the middle.
      const seen = (v: number) => contrast! * (brightness! * v) + (1 - contrast!) / 2;
      expect(seen(low)).toBeCloseTo(0, 2);
      expect(seen(high)).toBeCloseTo(1, 2);
    }),
  );
  expect(filterOf([0.5, 0.5])).not.toContain("Infinity");
});

it("moves the view by keys, and leaves all others to the page", () => {
  const done: string[] = [];
  const views = {
    zoom: (factor: number) => void done.push(`zoom ${factor > 1 ? "in" : "out"}`),
    pan: (dx: number, dy: number) => void done.push(`pan ${dx} ${dy}`),
    fit: () => void done.push("fit"),
  };
  const press = (key: string, more: Partial<Press> = {}) =>
    moveView({ key, shift: false, alt: false, ctrl: false, ...more }, views);
  for (const key of ["arrowleft", "+", "-", "0"]) expect(press(key)).toBe(true);
  for (const key of ["a", "enter", "1", "tab"]) expect(press(key)).toBe(false);
  expect(press("arrowleft", { ctrl: true })).toBe(false);
  expect(done).toEqual(["pan -80 0", "zoom in", "zoom out", "fit"]);
  expect(mayRepeat({ key: "arrowup", shift: false, alt: false, ctrl: false })).toBe(true);
  expect(mayRepeat({ key: "enter", shift: false, alt: false, ctrl: false })).toBe(false);
});
