import { describe, expect, it } from "vitest";
import type { LabelRow } from "../api/types";
import { click, drag, fakeWorld, press } from "./testworld";
import { SelectTool } from "./select";
import type { Point } from "./types";

function begin(...labels: Partial<LabelRow>[]) {
  const world = fakeWorld(labels);
  const tool = new SelectTool(world);
  world.tool = tool;
  return { world, tool };
}
const big = { box: [0, 0, 200, 200] as LabelRow["box"] };
const small = { box: [50, 50, 90, 90] as LabelRow["box"] };
const square: Point[] = [[100, 100], [200, 100], [200, 200], [100, 200]]; // prettier-ignore
const polygon = { kind: "polygon", box: [100, 100, 200, 200] as LabelRow["box"], shape: [square] };

describe("a single point", () => {
  const pin = { kind: "keypoints", box: [50, 100, 50, 100] as LabelRow["box"], shape: [[50, 100, 2]] };

  it("is taken by the head of its pin, before the field that it stands on", () => {
    const { world, tool } = begin(big, pin);
    click(tool, [50, 80]);
    expect(world.selected).toBe(2);
    click(tool, [50, 70]);
    expect(world.selected).toBe(1);
  });

  it("is dragged by its tip and by its head, and moved by arrows", () => {
    const { world, tool } = begin(pin);
    world.select(1);
    drag(tool, [[54, 103], [80, 110]]); // prettier-ignore
    expect(world.entries.get(1)!.label.shape).toEqual([[80, 110, 2]]);
    drag(tool, [[80, 92], [90, 102]]); // prettier-ignore
    expect(world.entries.get(1)!.label.shape).toEqual([[90, 120, 2]]);
    press(tool, "Shift+ArrowUp");
    expect(world.entries.get(1)!.label.box).toEqual([90, 110, 90, 110]);
  });

  it("is not taken apart: Delete means the label", () => {
    const { world, tool } = begin(pin);
    world.select(1);
    press(tool, "v");
    expect(press(tool, "Delete")).toBe(false);
    expect(world.edits).toEqual([]);
  });
});

describe("selecting", () => {
  it("takes the small one first, and goes down the stack on the same place", () => {
    const { world, tool } = begin(big, small);
    click(tool, [70, 70]);
    expect(world.selected).toBe(2);
    click(tool, [70, 70]);
    expect(world.selected).toBe(1);
    click(tool, [71, 70]);
    expect(world.selected).toBe(2);
    click(tool, [150, 150]);
    expect(world.selected).toBe(1);
    click(tool, [300, 250]);
    expect(world.selected).toBeNull();
  });

  it("takes a small one that lies in the one that is selected", () => {
    const { world, tool } = begin(big, small);
    world.select(1);
    click(tool, [70, 70]);
    expect(world.selected).toBe(2);
    expect(world.edits).toEqual([]);
  });

  it("tells what is under the cursor, and forgets it when that is gone", () => {
    const { world, tool } = begin(small);
    tool.hover({ p: [70, 70], shift: false, alt: false });
    expect(tool.hovered).toBe(1);
    world.entries.clear();
    tool.sync();
    expect(tool.hovered).toBeNull();
  });
});

describe("dragging", () => {
  it("moves the label that is selected, and no other", () => {
    const { world, tool } = begin(small);
    expect(drag(tool, [[70, 70], [80, 75]])).toBe(false); // prettier-ignore
    world.select(1);
    expect(drag(tool, [[70, 70], [80, 75]])).toBe(true); // prettier-ignore
    expect(world.edits.map((edit) => edit.geometry.box)).toEqual([[60, 55, 100, 95]]);
  });

  it("shows a draft until the end, which Escape gives up", () => {
    const { world, tool } = begin(small);
    world.select(1);
    tool.down({ p: [90, 90], shift: false, alt: false });
    tool.drag({ p: [120, 130], shift: false, alt: false });
    expect(tool.draft?.geometry.box).toEqual([50, 50, 120, 130]);
    expect(press(tool, "Escape")).toBe(true);
    tool.up({ p: [120, 130], shift: false, alt: false }, false);
    expect(tool.draft).toBeNull();
    expect(world.edits).toEqual([]);
  });

  it("puts a vertex into an edge, which a click alone does not", () => {
    const { world, tool } = begin(polygon);
    world.select(1);
    click(tool, [150, 101]);
    expect(world.edits).toEqual([]);
    drag(tool, [[150, 101], [150, 80], [151, 60]]); // prettier-ignore
    expect(world.edits).toHaveLength(1);
    expect(world.edits[0]!.geometry.shape).toEqual([[square[0], [151, 60], ...square.slice(1)]]);
  });

  it("moves the whole with Shift, even by a vertex", () => {
    const { world, tool } = begin(polygon);
    world.select(1);
    drag(tool, [[100, 100], [90, 110]], { shift: true }); // prettier-ignore
    expect(world.edits[0]!.geometry.box).toEqual([90, 110, 190, 210]);
  });

  it("takes a vertex out with Alt, once", () => {
    const { world, tool } = begin(polygon);
    world.select(1);
    drag(tool, [[200, 200], [250, 250]], { alt: true }); // prettier-ignore
    expect(world.edits.map((edit) => edit.geometry.shape)).toEqual([[[square[0], square[1], square[3]]]]);
  });
});

describe("keys", () => {
  it("move and resize; those in a row are one step", () => {
    const { world, tool } = begin(small);
    expect(press(tool, "ArrowLeft")).toBe(false);
    world.select(1);
    press(tool, "ArrowLeft", "Shift+ArrowDown", "Ctrl+ArrowRight");
    expect(world.edits.map((edit) => edit.geometry.box)).toEqual([
      [49, 50, 89, 90],
      [49, 60, 89, 100],
      [49, 60, 90, 100],
    ]);
    expect(new Set(world.edits.map((edit) => edit.step)).size).toBe(1);
    drag(tool, [[70, 80], [71, 80]]); // prettier-ignore
    press(tool, "ArrowLeft");
    expect(new Set(world.edits.map((edit) => edit.step)).size).toBe(3);
  });

  it("go from vertex to vertex, move it, put one in and take it out", () => {
    const { world, tool } = begin(polygon);
    world.select(1);
    press(tool, "v", "v", "ArrowUp");
    expect(world.edits.at(-1)!.geometry.shape).toEqual([[square[0], [200, 99], square[2], square[3]]]);
    press(tool, "Insert");
    expect(world.edits.at(-1)!.geometry.shape).toEqual([[square[0], [200, 99], [200, 149.5], square[2], square[3]]]);
    expect(press(tool, "Delete")).toBe(true);
    expect(press(tool, "Delete")).toBe(false); // no vertex is active: the key may delete the label
    expect(press(tool, "Shift+V", "ArrowLeft")).toBe(true);
    expect(world.edits.at(-1)!.geometry.shape).toEqual([[square[0], [200, 99], square[2], [99, 200]]]);
    expect(press(tool, "Escape")).toBe(true);
    expect(world.selected).toBe(1);
    expect(press(tool, "Escape")).toBe(true);
    expect(world.selected).toBeNull();
    expect(press(tool, "Escape")).toBe(false);
  });

  it("turn a rotated box", () => {
    const { world, tool } = begin({ kind: "rotated_box", box: [80, 90, 120, 110], shape: [100, 100, 40, 20, 0] });
    world.select(1);
    press(tool, "Shift+Alt+ArrowRight");
    expect((world.edits[0]!.geometry.shape as number[])[4]).toBeCloseTo(Math.PI / 18, 4);
  });

  it("hide keypoints, and place one that is absent", () => {
    const shape = [[10, 10, 2], [0, 0, 0], [30, 30, 2]]; // prettier-ignore
    const { world, tool } = begin({ kind: "keypoints", box: [10, 10, 30, 30], shape });
    world.select(1);
    press(tool, "v", "Shift+V");
    expect(world.edits.at(-1)!.geometry.shape).toEqual([[10, 10, 1], shape[1], shape[2]]);
    press(tool, "v");
    expect(tool.hint).toBe("Click where left eye is");
    click(tool, [100, 90]);
    expect(world.edits.at(-1)!.geometry.shape).toEqual([[10, 10, 1], [100, 90, 2], shape[2]]);
    press(tool, "Delete", "Enter");
    expect((world.edits.at(-1)!.geometry.shape as number[][])[1]).toEqual([20, 20, 2]);
  });
});
