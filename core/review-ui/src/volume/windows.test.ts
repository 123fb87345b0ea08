import { expect, test } from "vitest";
import { auto, dragged, greys, preset, PRESETS } from "./windows";

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

test("the last preset is the window that came with the volume", () => {
  const ct = { unit: "HU", window: [-500, 1400] as const };
  expect(preset(7, ct)).toEqual({ name: "As stored", center: -500, width: 1400 });
  expect(preset(2, ct)?.name).toBe("Lung");
  const mr = { unit: "", window: [300, 600] as const };
  expect([1, 2, 3, 4, 5, 6, 7, 8].map((digit) => preset(digit, mr)?.name)).toEqual([
    ...Array<undefined>(5).fill(undefined),
    "Auto",
    "As stored",
    undefined,
  ]);
});
