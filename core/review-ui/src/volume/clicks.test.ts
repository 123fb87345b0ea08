import "../testing";
import { beforeEach, describe, expect, test } from "vitest";
import { ApiError } from "../api/error";
import type { ClickPoint, LabelRow, MaskShape } from "../api/types";
import type { Step } from "../history";
import { Bits } from "../mask/bits";
import { paint } from "../mask/brush";
import type { Axis, Size3 } from "../mask/planes";
import { PlaneEdit } from "../mask/undo";
import { quiet } from "../testing";
import { type Key, Work } from "../work/work";
import { type Asked, clickAt, Clicks, onPlane } from "./clicks";
import { Masks } from "./masks";

const SIZE: Size3 = [4, 12, 16];
const where = { screen: "volume", id: "ct" } as const;
const point = (x: number, inside = true): ClickPoint => ({ x, y: 5.5, z: 1, inside });

function shape(...columns: number[]): MaskShape {
  const bits = new Bits(SIZE);
  for (const x of columns) bits.set(x, 5, 1, 1);
  return { size: [...SIZE], counts: bits.toRle() };
}

function label(name: string, ...columns: number[]): LabelRow {
  return { class: name, kind: "mask", box: [0, 0, 0, 0], score: 0.5, shape: shape(...columns) };
}

let work: Work;
let masks: Masks;
let clicks: Clicks;
let keys: Key[];
let steps: Step[];
let told: string[];
/** What was asked, each with what answers it. */
let asked: { body: Asked; answer: (found: MaskShape | null) => void; fail: (error: Error) => void }[];

beforeEach(() => {
  steps = [];
  told = [];
  asked = [];
  const labels = [label("liver", 3), label("heart"), { class: "ct", kind: "tag", box: [0, 0, 16, 12] } as LabelRow];
  const state = { annotation: 3, open: [], lane: "review", outcome: null, decision: 0 };
  const push = (step: Step) => void (masks.quiet || steps.push(step));
  work = new Work({ id: "ct", view: "volume", labels, state, context: {} }, { where, push });
  masks = new Masks(work, SIZE, where, push);
  const ask = (body: Asked) => new Promise<MaskShape | null>((answer, fail) => void asked.push({ body, answer, fail }));
  const say = (text: string) => void told.push(text);
  clicks = new Clicks(work, masks, ask, { say, fail: say, done: (name) => told.push(`done ${name}`) });
  keys = work.entries().map((entry) => entry.key);
});

const liver = () => [...Array(16).keys()].filter((x) => masks.get(keys[0]!)!.get(x, 5, 1));
const shown = () => clicks.shown.map(({ x }) => x);

async function answer(found: MaskShape | null): Promise<void> {
  await quiet();
  asked.at(-1)!.answer(found);
  await quiet();
}

test("an answer is one step, and its clicks come and go with it", async () => {
  clicks.add(keys[0]!, point(7));
  expect(clicks.running).toBe(true);
  await answer(shape(3, 7));
  clicks.add(keys[0]!, point(9));
  await answer(shape(3, 7, 9));
  expect([clicks.running, liver(), shown(), steps.length]).toEqual([false, [3, 7, 9], [7, 9], 2]);
  expect(work.get(keys[0]!)!.label).toMatchObject({ class: "liver", score: 1, box: [3, 5, 10, 6] });
  expect(told).toEqual(["done liver", "done liver"]);
  await steps[1]!.undo();
  expect([liver(), shown()]).toEqual([[3, 7], [7]]);
  await steps[0]!.undo();
  expect([liver(), shown(), work.dirty]).toEqual([[3], [], false]);
  await steps[0]!.redo();
  await steps[1]!.redo();
  expect([liver(), shown()]).toEqual([
    [3, 7, 9],
    [7, 9],
  ]);
});

test("all clicks that hold are sent, with the mask as it is; no mask where there is none yet", async () => {
  clicks.add(keys[0]!, point(7));
  await answer(shape(3, 7));
  clicks.add(keys[0]!, point(9, false));
  await answer(shape(7));
  expect(asked.map(({ body }) => body)).toEqual([
    { class: "liver", clicks: [point(7)], mask: shape(3) },
    { class: "liver", clicks: [point(7), point(9, false)], mask: shape(3, 7) },
  ]);
  await steps[1]!.undo();
  clicks.add(keys[0]!, point(11));
  await quiet();
  expect(asked[2]!.body.clicks).toEqual([point(7), point(11)]);
  clicks.add(keys[1]!, point(2)); // another structure: those clicks are over
  expect(shown()).toEqual([2]);
  await answer(null);
  await quiet();
  expect(asked.at(-1)!.body).toEqual({ class: "heart", clicks: [point(2)], mask: null });
});

test("clicks made while the server works go with the next request", async () => {
  clicks.add(keys[0]!, point(7));
  await quiet();
  clicks.add(keys[0]!, point(8));
  clicks.add(keys[0]!, point(9));
  expect([asked.length, shown()]).toEqual([1, [7, 8, 9]]);
  await answer(shape(7));
  expect(asked[1]!.body.clicks.map(({ x }) => x)).toEqual([7, 8, 9]);
  await answer(shape(7, 8, 9));
  expect([liver(), shown(), clicks.running, steps.length]).toEqual([[7, 8, 9], [7, 8, 9], false, 2]);
});

describe("an answer does not count", () => {
  test("once the clicks are forgotten, and the next one waits for it to end", async () => {
    clicks.add(keys[0]!, point(7));
    await quiet();
    clicks.clear();
    expect([clicks.running, shown()]).toEqual([false, []]);
    clicks.add(keys[0]!, point(9));
    await quiet();
    expect(asked).toHaveLength(1);
    await answer(shape(7));
    expect(asked[1]!.body.clicks).toEqual([point(9)]);
    await answer(shape(9));
    expect([liver(), steps.length]).toEqual([[9], 1]);
  });

  test("once the mask was painted on", async () => {
    clicks.add(keys[0]!, point(7));
    await quiet();
    const edit = new PlaneEdit(masks.get(keys[0]!)!, "axial", 2);
    edit.touched(paint(edit.bytes, edit.width, edit.height, 6.5, 6.5, 6.5, 6.5, 2, 1));
    masks.commit(keys[0]!, "Paint", [edit.finish()!]);
    await answer(shape(7));
    expect(told).toEqual(["The mask was changed meanwhile: click again."]);
    expect([liver(), shown(), masks.get(keys[0]!)!.voxels[2]! > 0]).toEqual([[3], [], true]);
    // What was painted by hand is sent with the next click.
    clicks.add(keys[0]!, point(9));
    await quiet();
    expect(Bits.fromRle(asked[1]!.body.mask!.counts, SIZE).voxels[2]).toBeGreaterThan(0);
  });

  test("once the structure is gone", async () => {
    clicks.add(keys[0]!, point(7));
    await quiet();
    work.drop(keys[0]!);
    await answer(shape(7));
    expect([shown(), clicks.running, steps.length]).toEqual([[], false, 1]);
  });
});

test("what is not found, and what fails, is said, and those clicks are dropped", async () => {
  clicks.add(keys[0]!, point(7));
  await answer(shape(7));
  clicks.add(keys[0]!, point(9));
  await answer(null);
  clicks.add(keys[0]!, point(11));
  await quiet();
  asked.at(-1)!.fail(new ApiError(409, "model", "the model cannot be started here", "draw by hand"));
  await quiet();
  expect(told).toEqual([
    "done liver",
    "The model finds no liver there.",
    "The model cannot be started here. Draw by hand.",
  ]);
  expect([shown(), liver(), clicks.running]).toEqual([[7], [7], false]);
});

test("what is no mask takes no clicks, and no structure more than 64", async () => {
  clicks.add(null, point(1));
  clicks.add(keys[2]!, point(1));
  expect(told).toEqual(Array(2).fill("Select a structure to outline, or add a new one."));
  for (let i = 0; i < 65; i++) clicks.add(keys[0]!, point(1));
  expect([shown().length, told.length]).toEqual([64, 3]);
});

test("a click lies on the plane on which it was made, seen from each side", () => {
  const axes: [Axis, number, number, number, ClickPoint][] = [
    ["axial", 3.25, 7.75, 2, { x: 3.25, y: 7.75, z: 2, inside: true }],
    ["coronal", 3.25, 2.75, 9, { x: 3.25, y: 9.5, z: 2, inside: true }],
    ["sagittal", 3.25, 2.75, 9, { x: 9.5, y: 3.25, z: 2, inside: true }],
  ];
  for (const [axis, u, v, k, expected] of axes) {
    const made = clickAt(axis, u, v, k, true);
    expect(made).toEqual(expected);
    expect(onPlane(axis, k, made)).toEqual(axis === "axial" ? { u, v } : { u, v: 2.5 });
    expect(onPlane(axis, k + 1, made)).toBeNull();
  }
});
