import { expect, test } from "vitest";
import { auto, dragged, greys, PRESETS } from "./windows";

test("a window runs from black to white around its centre", () => {
  const table = greys({ center: 40, width: 400 });
  expect([-32768, -160, -60, 40, 140, 239, 32767].map((hu) => table[hu & 0xffff])).toEqual([
    0, 0, 64, 128, 192, 255, 255,
  ]);
});

test("greys never fall as values rise", () => {
  for (const preset of PRESETS) {
    const table = greys(preset);
    const falls = Array.from({ length: 65535 }, (_, i) => i - 32767).filter(
      (value) => table[value & 0xffff]! < table[(value - 1) & 0xffff]!,
    );
    expect(falls).toEqual([]);
  }
});

test("auto leaves out a hundredth at either end", () => {
  const values = Int16Array.from({ length: 1000 }, (_, i) => (i < 5 ? -30000 : i > 994 ? 30000 : i));
  const { center, width } = auto(values);
  expect(center).toBeCloseTo(500, -1);
  expect(width).toBeCloseTo(980, -1);
  expect(auto(new Int16Array(10)).width).toBe(2);
});

test("a drag to the right widens, a drag down brightens", () => {
  expect(dragged({ center: 40, width: 400 }, 50, 20)).toEqual({ center: 20, width: 450 });
  expect(dragged({ center: 40, width: 80 }, -500, 0).width).toBe(2);
});
