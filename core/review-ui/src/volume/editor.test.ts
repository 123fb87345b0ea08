import { beforeEach, describe, expect, test } from "vitest";
import type { LabelRow, Slices } from "../api/types";
import type { Step } from "../history";
import { Bits } from "../mask/bits";
import type { Axis, Size3 } from "../mask/planes";
import { type Key, Work } from "../work/work";
import { SliceCache } from "./cache";
import { Editor } from "./editor";
import { Masks } from "./masks";
import { Scene } from "./scene";

const SIZE: Size3 = [9, 30, 40];
const SLICES: Slices = {
  url: "/{axis}/{first}-{last}",
  shape: [...SIZE],
  spacing: [2, 1, 1],
  directions: null,
  unit: "HU",
  window: [40, 400],
  strip: [],
  strip_of: "area",
};

function blob(name: string, z: number, radius: number, x = 20, y = 15): LabelRow {
  const bits = new Bits(SIZE);
  for (let v = 0; v < SIZE[1]; v++)
    for (let u = 0; u < SIZE[2]; u++) if (Math.hypot(u - x, v - y) <= radius) bits.set(u, v, z, 1);
  return { class: name, kind: "mask", box: bits.bounds()!, shape: { size: [...SIZE], counts: bits.toRle() } };
}

let work: Work;
let masks: Masks;
let scene: Scene;
let editor: Editor;
let steps: Step[];
let said: string[];

function setUp(...labels: LabelRow[]): Key[] {
  steps = [];
  said = [];
  const state = { annotation: 1, open: [], lane: "review", outcome: null, decision: 0 };
  work = new Work({ id: "ct", view: "volume", labels, state, context: {} }, { push: (step) => steps.push(step) });
  masks = new Masks(work, SIZE, { screen: "volume", id: "ct" }, (step) => steps.push(step));
  // Every plane is dark at the left and bright at the right.
  const fetch = (url: string) => {
    const [, axis, first, last] = /^\/(\w+)\/(\d+)-(\d+)$/.exec(url) as unknown as [string, Axis, string, string];
    const width = axis === "sagittal" ? SIZE[1] : SIZE[2];
    const height = axis === "axial" ? SIZE[1] : SIZE[0];
    const one = Int16Array.from({ length: width * height }, (_, i) => ((i % width) - width / 2) * 10);
    const n = +last - +first + 1;
    const all = new Int16Array(n * one.length);
    for (let i = 0; i < n; i++) all.set(one, i * one.length);
    return Promise.resolve(new Response(all.buffer));
  };
  scene = new Scene(new SliceCache(SLICES, { fetch, idle: (then) => then() }), masks, () => "#ff0000");
  editor = new Editor(
    scene,
    masks,
    (key) => work.get(key)!.label.class,
    (text) => said.push(text),
  );
  const keys = work.entries().map((entry) => entry.key);
  scene.label(work.entries(), keys[0] ?? null);
  return keys;
}

function count(key: Key): number[] {
  return [...masks.get(key)!.voxels];
}

describe("the cross", () => {
  beforeEach(() => void setUp(blob("liver", 6, 5, 9, 22)));

  test("stays inside the volume", () => {
    scene.move({ x: -4, y: 99, z: 3.7 });
    expect(scene.at).toEqual({ x: 0, y: 29, z: 3 });
    scene.step(99);
    expect(scene.at.z).toBe(8);
  });

  test("goes to the slice where a structure is largest, into its middle", () => {
    scene.goTo(masks.get(scene.selected!)!);
    expect(scene.at).toEqual({ x: 9, y: 22, z: 6 });
    expect(scene.under(scene.at).map((entry) => entry.label.class)).toEqual(["liver"]);
  });

  test("steps along the view that leads", () => {
    scene.lead();
    expect(scene.main).toBe("coronal");
    const before = scene.at;
    scene.step(2);
    expect(scene.at).toEqual({ ...before, y: before.y + 2 });
  });
});

describe("strokes", () => {
  test("are round in millimetres on every plane", () => {
    const [key] = setUp(blob("liver", 0, 1, 3, 3));
    editor.change({ radius: 6 });
    scene.lead("coronal");
    scene.move({ x: 20, y: 15, z: 4 });
    editor.dot(false);
    const plane = masks.get(key!)!.read("coronal", 15);
    const columns = plane.subarray(4 * 40, 5 * 40).reduce((sum, bit) => sum + bit, 0);
    const rows = Array.from({ length: 9 }, (_, z) => plane[z * 40 + 20]!).reduce((sum, bit) => sum + bit, 0);
    expect([columns, rows * 2]).toEqual([13, 14]); // pixels of 1 mm across, slices of 2 mm down
  });

  test("keep within a range of values, erasing does not", async () => {
    const [key] = setUp(blob("liver", 0, 1, 3, 3));
    scene.move({ x: 20, y: 15, z: 4 });
    scene.start();
    await expect.poll(() => scene.cache.progress).toBe(1);
    editor.change({ radius: 8, limited: true, low: 0, high: 30 });
    editor.dot(false);
    const plane = masks.get(key!)!.read("axial", 4);
    const columns = new Set([...plane.keys()].filter((i) => plane[i]).map((i) => i % 40));
    expect([...columns].sort((a, b) => a - b)).toEqual([20, 21, 22, 23]);
    editor.dot(true);
    expect(count(key!)[4]).toBe(0);
  });

  test("are one step each, and one that is cancelled none", () => {
    const [key] = setUp(blob("liver", 4, 3));
    const before = count(key!);
    editor.begin("axial", 4, 5, 5, false);
    editor.move(12, 8);
    expect(count(key!)).not.toEqual(before);
    editor.cancel();
    expect([count(key!), steps.length]).toEqual([before, 0]);
    editor.begin("axial", 4, 5, 5, false);
    editor.move(12, 8);
    editor.end();
    expect(steps.map((step) => step.label)).toEqual(["Paint liver"]);
    void steps[0]!.undo();
    expect(count(key!)).toEqual(before);
  });

  test("need a structure", () => {
    setUp();
    expect(editor.begin("axial", 4, 5, 5, false)).toBe(false);
    expect(said).toEqual(["Select a structure to paint on, or add a new one."]);
  });
});

describe("a slice", () => {
  test("is copied from its neighbour on either side, in place of what was there", () => {
    const [key] = setUp(blob("liver", 4, 6));
    scene.move({ z: 5 });
    editor.copy(-1);
    expect(masks.get(key!)!.read("axial", 5)).toEqual(masks.get(key!)!.read("axial", 4));
    editor.copy(1);
    expect(said).toEqual(["liver is not on the next slice."]);
    void steps[0]!.undo();
    expect(count(key!)[5]).toBe(0);
  });

  test("between painted ones is interpolated, all in one step", () => {
    const [key] = setUp(blob("liver", 2, 3));
    scene.move({ x: 20, y: 15, z: 6 });
    editor.change({ radius: 9 });
    editor.dot(false);
    editor.interpolate();
    const voxels = count(key!);
    expect(voxels.map((n) => n > 0)).toEqual([false, false, true, true, true, true, true, false, false]);
    for (let z = 3; z < 7; z++) expect(voxels[z]!).toBeGreaterThan(voxels[z - 1]!);
    expect(said).toEqual(["3 slices interpolated."]);
    void steps[1]!.undo();
    expect(count(key!).slice(3, 6)).toEqual([0, 0, 0]);
    void steps[0]!.undo();
    editor.interpolate();
    expect(said.at(-1)).toBe("There is no gap between painted slices.");
  });
});

describe("filling", () => {
  test("closes a ring, says so where there is none, and with the eraser takes a piece away", () => {
    const [key] = setUp(blob("liver", 4, 8));
    editor.change({ tool: "erase", radius: 4 });
    scene.move({ x: 20, y: 15, z: 4 });
    editor.dot(true);
    const ring = count(key!)[4]!;
    editor.change({ tool: "brush" });
    editor.fill();
    expect(count(key!)[4]!).toBeGreaterThan(ring);
    editor.fill({ u: 1, v: 1 });
    expect(said).toEqual(["Nothing closes this region in: draw its outline first."]);
    editor.change({ tool: "erase" });
    editor.fill();
    expect(count(key!)[4]).toBe(0);
    expect(steps.map((step) => step.label)).toEqual(["Erase liver", "Fill liver", "Clear liver"]);
  });
});
