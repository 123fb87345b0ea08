import { expect, test, vi } from "vitest";
import type { Slices } from "../api/types";
import { type Axis, planeSize, type Size3, voxelAt } from "../mask/planes";
import { type CacheOptions, SliceCache } from "./cache";

const SIZE: Size3 = [40, 5, 6];

function value(x: number, y: number, z: number): number {
  return z * 100 + y * 10 + x - 1000;
}

function slices(size: Size3): Slices {
  return {
    url: "/media/a/slices/{axis}/{first}-{last}",
    shape: [...size],
    spacing: null,
    directions: null,
    unit: "HU",
    window: [40, 400],
    strip: [],
    strip_of: "area",
  };
}

function body(size: Size3, axis: Axis, first: number, last: number): ArrayBuffer {
  const { width, height } = planeSize(size, axis);
  const out: number[] = [];
  for (let k = first; k <= last; k++) {
    for (let v = 0; v < height; v++) {
      for (let u = 0; u < width; u++) {
        const { x, y, z } = voxelAt(axis, u, v, k);
        out.push(value(x, y, z));
      }
    }
  }
  return Int16Array.from(out).buffer;
}

/** Answer requests when told to, and remember them. */
function server(size: Size3 = SIZE, options: CacheOptions = {}) {
  const asked: string[] = [];
  let release: (() => void) | null = null;
  const fetch: CacheOptions["fetch"] = (url, { signal }) => {
    const [, axis, first, last] = /slices\/(\w+)\/(\d+)-(\d+)$/.exec(url)!;
    asked.push(`${axis} ${first}-${last}`);
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
      release = () => resolve(new Response(body(size, axis as Axis, +first!, +last!)));
    });
  };
  const idles: (() => void)[] = [];
  const cache = new SliceCache(slices(size), { fetch, idle: (then) => idles.push(then), ...options });
  async function answer(times = 1): Promise<void> {
    for (let i = 0; i < times; i++) {
      if (!release && idles.length) idles.shift()!();
      const let_go = release;
      release = null;
      let_go?.();
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  return { cache, asked, answer };
}

test("what is shown comes first, then its neighbours, then the rest when idle", async () => {
  const { cache, asked, answer } = server();
  cache.show({ axial: 20, coronal: 2, sagittal: 3 }, "axial");
  await answer(20);
  expect(asked.slice(0, 3)).toEqual(["axial 20-20", "coronal 2-2", "sagittal 3-3"]);
  expect(asked.slice(3, 7)).toEqual(["axial 21-28", "axial 12-19", "axial 29-36", "axial 4-11"]);
  expect(asked.slice(7)).toEqual(["axial 37-39", "axial 0-3"]);
  expect(cache.progress).toBe(1);
});

test("a scrub gives up what is no longer wanted", async () => {
  const { cache, asked, answer } = server();
  cache.show({ axial: 0, coronal: 0, sagittal: 0 }, "axial");
  cache.show({ axial: 30, coronal: 0, sagittal: 0 }, "axial");
  await answer(2);
  expect(asked.slice(0, 2)).toEqual(["axial 0-0", "axial 30-30"]);
  expect(cache.get("axial", 0)).toBeNull();
  expect(cache.get("axial", 30)![0]).toBe(value(0, 0, 30));
});

test("once all slices are here, the other planes are cut from them", async () => {
  const { cache, asked, answer } = server();
  cache.show({ axial: 0, coronal: 0, sagittal: 0 }, "axial");
  await answer(20);
  const before = asked.length;
  for (const axis of ["coronal", "sagittal"] as const) {
    expect(cache.get(axis, 4)).toEqual(new Int16Array(body(SIZE, axis, 4, 4)));
  }
  expect(cache.value(5, 4, 39)).toBe(value(5, 4, 39));
  expect(asked.length).toBe(before);
});

test("a volume beyond the limit is kept in part, what is shown always", async () => {
  const limit = 12 * 5 * 6 * 2;
  const { cache, asked, answer } = server(SIZE, { limit });
  for (const axial of [0, 20, 39]) {
    cache.show({ axial, coronal: 0, sagittal: 0 }, "axial");
    await answer(12);
    expect(cache.get("axial", axial)).toEqual(new Int16Array(body(SIZE, "axial", axial, axial)));
  }
  expect(cache.get("axial", 0)).toBeNull();
  expect(cache.progress).toBeLessThanOrEqual(12 / 40);
  expect(asked.length).toBeLessThan(40);
});

test("a failure is told once, and the next step tries again", async () => {
  let broken = true;
  const fetch = vi.fn(async () =>
    broken ? new Response("", { status: 410 }) : new Response(body(SIZE, "axial", 1, 1)),
  );
  const cache = new SliceCache(slices(SIZE), { fetch, idle: () => {} });
  const told: string[] = [];
  cache.onerror = (message) => told.push(message);
  cache.show({ axial: 0, coronal: 0, sagittal: 0 }, "axial");
  await vi.waitFor(() => expect(told).toEqual(["The server did not give the slices (410)."]));
  broken = false;
  cache.show({ axial: 1, coronal: 0, sagittal: 0 }, "axial");
  await vi.waitFor(() => expect(cache.get("axial", 1)?.[0]).toBe(value(0, 0, 1)));
});

test("an answer of the wrong size is refused", async () => {
  const cache = new SliceCache(slices(SIZE), { fetch: async () => new Response(new ArrayBuffer(10)), idle: () => {} });
  const told: string[] = [];
  cache.onerror = (message) => told.push(message);
  cache.show({ axial: 0, coronal: 0, sagittal: 0 }, "axial");
  await vi.waitFor(() => expect(told).toHaveLength(1));
  expect(cache.get("axial", 0)).toBeNull();
});
