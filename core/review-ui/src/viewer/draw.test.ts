import { describe, expect, it } from "vitest";
import { BrushTool } from "./brushing";
import { bitmapOf } from "./bitmap";
import { DrawTool } from "./draw";
import { click, drag, fakeWorld, press } from "./testworld";
import type { Box, Point, Rle, Tool } from "./types";

function begin(name: Tool) {
  const world = fakeWorld();
  return { world, tool: new DrawTool(world, name) };
}

describe("a box", () => {
  it("is a drag, or two clicks", () => {
    const { world, tool } = begin("box");
    drag(tool, [[10, 20], [60, 70]]); // prettier-ignore
    click(tool, [100, 100]);
    expect(tool.drawing).toBe(true);
    click(tool, [80, 130]);
    expect(world.drawn.map((g) => g.box)).toEqual([
      [10, 20, 60, 70],
      [80, 100, 100, 130],
    ]);
    expect(tool.drawing).toBe(false);
  });

  it("ends at the border, and is nothing without a size", () => {
    const { world, tool } = begin("box");
    drag(tool, [[390, 290], [900, 900]]); // prettier-ignore
    drag(tool, [[50, 50], [50.4, 80]]); // prettier-ignore
    expect(world.drawn.map((g) => g.box)).toEqual([[390, 290, 400, 300]]);
  });

  it("is drawn by keys: Enter puts one in the middle, arrows move and resize it", () => {
    const { world, tool } = begin("box");
    expect(press(tool, "Enter")).toBe(true);
    expect(world.drawn).toEqual([]);
    press(tool, "ArrowLeft", "Shift+ArrowUp", "Ctrl+Shift+ArrowRight", "Enter");
    expect(world.drawn.map((g) => g.box)).toEqual([[149, 102.5, 259, 177.5]]);
    press(tool, "Enter", "Escape");
    expect(tool.drawing).toBe(false);
    expect(world.left).toBe(0);
    press(tool, "Escape");
    expect(world.left).toBe(1);
  });
});

it("draws a rotated box by a side and its width", () => {
  const { world, tool } = begin("rotated_box");
  for (const p of [[100, 100], [140, 100], [120, 130]] as Point[]) click(tool, p); // prettier-ignore
  expect(world.drawn.map((g) => g.shape)).toEqual([[120, 115, 40, 30, 0]]);
  press(tool, "Enter", "Alt+ArrowRight", "Enter"); // the mouse is at work: Enter is not for the tool
  expect(world.drawn).toHaveLength(1);
  tool.hover(null);
  press(tool, "Enter", "Alt+ArrowRight", "Enter");
  expect((world.drawn[1]!.shape as number[])[4]).toBeCloseTo(Math.PI / 180, 3);
});

describe("a polygon", () => {
  const path: Point[] = [[10, 10], [100, 10], [100, 100]]; // prettier-ignore

  it.each(["Enter", "first", "double"])("is closed by %s", (how) => {
    const { world, tool } = begin("polygon");
    path.forEach((p) => click(tool, p));
    if (how === "Enter") press(tool, "Enter");
    else if (how === "first") click(tool, [12, 11]);
    else {
      click(tool, [50, 150]);
      click(tool, [50, 151]); // the second half of the double click
      tool.double();
    }
    expect(world.drawn.map((g) => g.shape)).toEqual([[how === "double" ? [...path, [50, 150]] : path]]);
  });

  it("goes back with Backspace, and needs three points", () => {
    const { world, tool } = begin("polygon");
    path.forEach((p) => click(tool, p));
    expect(press(tool, "Backspace", "Enter")).toBe(true);
    expect(world.drawn).toEqual([]);
    expect(press(tool, "Backspace", "Backspace")).toBe(true);
    expect(press(tool, "Backspace")).toBe(false);
  });

  it("is drawn freehand with Shift", () => {
    const { world, tool } = begin("polygon");
    drag(tool, [[10, 10], [11, 10], [30, 10], [30, 40], [10, 40]], { shift: true }); // prettier-ignore
    expect(world.drawn.map((g) => g.shape)).toEqual([[[[10, 10], [30, 10], [30, 40], [10, 40]]]]); // prettier-ignore
  });

  it("is drawn by keys: Enter shows a crosshair, then drops a point, twice on one place closes", () => {
    const { world, tool } = begin("polygon");
    press(tool, "Enter");
    expect(tool.marks()).toEqual([{ type: "cross", at: [200, 150] }]);
    press(tool, "Enter", "Shift+ArrowRight", "Enter", "Shift+ArrowDown", "Enter", "Enter");
    expect(world.drawn.map((g) => g.shape)).toEqual([[[[200, 150], [210, 150], [210, 160]]]]); // prettier-ignore
  });
});

it("draws a polyline, which does not close", () => {
  const { world, tool } = begin("polyline");
  for (const p of [[10, 10], [100, 10], [100, 100], [10, 11]] as Point[]) click(tool, p); // prettier-ignore
  press(tool, "Enter");
  expect(world.drawn.map((g) => g.shape)).toEqual([[[10, 10], [100, 10], [100, 100], [10, 11]]]); // prettier-ignore
});

it("asks for keypoints in the order of the schema; hidden with Shift, absent with N", () => {
  const { world, tool } = begin("keypoints");
  expect(tool.hint).toContain("nose");
  click(tool, [10, 10], { shift: true });
  expect(tool.hint).toContain("left eye");
  press(tool, "n");
  click(tool, [30, 30]);
  expect(world.drawn.map((g) => g.shape)).toEqual([[[10, 10, 1], [0, 0, 0], [30, 30, 2]]]); // prettier-ignore
  click(tool, [40, 40]);
  press(tool, "Enter");
  expect(world.drawn[1]!.shape).toEqual([[40, 40, 2], [0, 0, 0], [0, 0, 0]]); // prettier-ignore
  press(tool, "n", "n", "n");
  expect(world.drawn).toHaveLength(2);
  expect(tool.hint).toContain("nose");
});

it("sets a single point with each click, and by keys", () => {
  const { world, tool } = begin("point");
  click(tool, [10, 10]);
  click(tool, [30.125, 30]);
  expect(world.drawn.map((g) => g.shape)).toEqual([[[10, 10, 2]], [[30.13, 30, 2]]]);
  expect(world.drawn[0]!.box).toEqual([10, 10, 10, 10]);
  tool.hover(null);
  press(tool, "Enter", "ArrowRight", "Enter");
  expect(world.drawn[2]!.shape).toEqual([[201, 150, 2]]);
  press(tool, "Enter");
  expect(world.drawn).toHaveLength(3); // not twice on one place
  press(tool, "Escape");
  expect(world.left).toBe(1);
});

describe("a brush", () => {
  function brushing() {
    const world = fakeWorld();
    const painted: (Box | null)[] = [];
    const tool = new BrushTool(world, (area) => painted.push(area));
    world.tool = tool;
    world.ondraw = (g) => {
      const key = world.entries.size + 1;
      world.entries.set(key, { key, open: false, label: { class: "a", kind: g.kind, box: g.box, shape: g.shape } });
      world.select(key);
    };
    return { world, tool, painted };
  }

  it("paints a new mask, then on it, then another after Escape", () => {
    const { world, tool, painted } = brushing();
    drag(tool, [[100, 100], [150, 100]]); // prettier-ignore
    expect(world.drawn.map((g) => g.box)).toEqual([[95, 95, 155, 105]]);
    painted.length = 0;
    drag(tool, [[150, 100], [150, 140]]); // prettier-ignore
    expect(world.edits.map((edit) => edit.geometry.box)).toEqual([[95, 95, 155, 145]]);
    expect(painted).not.toContain(null); // only what the brush touched was drawn anew
    expect(world.drawn).toHaveLength(1);
    press(tool, "Escape");
    drag(tool, [[20, 20], [30, 20]]); // prettier-ignore
    expect(world.drawn.map((g) => g.box)).toEqual([
      [95, 95, 155, 105],
      [15, 15, 35, 25],
    ]);
  });

  it("erases with Alt, but not all", () => {
    const { world, tool } = brushing();
    drag(tool, [[100, 100], [150, 100]]); // prettier-ignore
    drag(tool, [[145, 90], [155, 110]], { alt: true }); // prettier-ignore
    const left = world.edits.at(-1)!.geometry;
    expect(left.box[2]).toBeLessThan(150);
    world.brush = 100;
    const before = world.edits.length;
    drag(tool, [[120, 100], [121, 100]], { alt: true }); // prettier-ignore
    expect(world.edits).toHaveLength(before);
    expect(bitmapOf(left.shape as Rle).bits).toEqual(bitmapOf(world.entries.get(1)!.label.shape as Rle).bits);
    world.brush = 5;
    drag(tool, [[101, 100], [101, 101]]); // prettier-ignore
    expect(world.edits.at(-1)?.geometry.box[0] ?? left.box[0]).toBe(left.box[0]);
  });

  it("follows what others make of the mask", () => {
    const { world, tool } = brushing();
    drag(tool, [[100, 100], [150, 100]]); // prettier-ignore
    const first = world.drawn[0]!;
    drag(tool, [[150, 100], [150, 140]]); // prettier-ignore
    world.entries.set(1, {
      key: 1,
      open: false,
      label: { class: "a", kind: "mask", box: first.box, shape: first.shape },
    });
    tool.sync();
    expect(tool.bitmap.bits).toEqual(bitmapOf(first.shape as Rle).bits);
  });

  it("works by keys: Enter shows it, sets it down and lifts it; brackets change its size", () => {
    const { world, tool } = brushing();
    press(tool, "Enter", "Enter", "Shift+ArrowRight", "Enter");
    expect(world.drawn.map((g) => g.box)).toEqual([[195, 145, 215, 155]]);
    press(tool, "]", "]");
    expect(world.brush).toBeGreaterThan(7);
    press(tool, "[", "[", "[");
    expect(world.brush).toBeLessThan(5);
  });

  it("gives a stroke up with Escape", () => {
    const { world, tool } = brushing();
    tool.down({ p: [100, 100], shift: false, alt: false });
    tool.drag({ p: [300, 100], shift: false, alt: false });
    press(tool, "Escape");
    tool.up();
    expect(world.drawn).toEqual([]);
    expect(tool.bitmap.bits.includes(1)).toBe(false);
  });
});
