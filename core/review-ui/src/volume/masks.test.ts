import { expect, test } from "vitest";
import type { LabelRow } from "../api/types";
import type { Step } from "../history";
import { Bits } from "../mask/bits";
import { paint } from "../mask/brush";
import type { Size3 } from "../mask/planes";
import { PlaneEdit } from "../mask/undo";
import { type Key, Work } from "../work/work";
import { Masks } from "./masks";

const SIZE: Size3 = [4, 12, 16];
const where = { screen: "volume", id: "ct" } as const;

function label(name: string, ...voxels: [number, number, number][]): LabelRow {
  const bits = new Bits(SIZE);
  for (const [x, y, z] of voxels) bits.set(x, y, z, 1);
  const shape = { size: [...SIZE], counts: bits.toRle() };
  return { class: name, kind: "mask", box: bits.bounds() ?? [0, 0, 0, 0], score: 0.5, shape };
}

function setUp(...labels: LabelRow[]) {
  const steps: Step[] = [];
  let masks: Masks | null = null;
  const state = { annotation: 3, open: labels.map((_, row) => row), lane: "review", outcome: null, decision: 0 };
  const work = new Work(
    { id: "ct", view: "volume", labels, state, context: {} },
    { where, push: (step) => masks?.quiet || steps.push(step) },
  );
  masks = new Masks(work, SIZE, where, (step) => steps.push(step));
  return { work, masks, steps, keys: work.entries().map((entry) => entry.key) };
}

function stroke(masks: Masks, key: Key, z: number, value: 0 | 1 = 1, radius = 2): void {
  const edit = new PlaneEdit(masks.get(key)!, "axial", z);
  edit.touched(paint(edit.bytes, edit.width, edit.height, 6.5, 6.5, 6.5, 6.5, radius, value));
  masks.commit(key, "Paint", [edit.finish()!].filter(Boolean));
}

test("strokes become one change of the label, with its exact box and all its voxels", () => {
  const { work, masks, steps, keys } = setUp(label("liver", [1, 1, 0]), label("heart", [2, 2, 2]));
  stroke(masks, keys[0]!, 1);
  stroke(masks, keys[0]!, 2);
  expect([work.dirty, masks.edited(keys[0]!)]).toEqual([false, true]);
  masks.flush();
  expect(steps).toHaveLength(2);
  const changes = work.changes()!;
  expect(Object.keys(changes.put!)).toEqual(["0"]);
  const sent = changes.put!["0"]!;
  expect(sent).toMatchObject({ class: "liver", kind: "mask", score: 1, box: [1, 1, 9, 9] });
  const counts = (sent.shape as { counts: string }).counts;
  expect([...Bits.fromRle(counts, SIZE).voxels]).toEqual([1, 13, 13, 0]);
});

test("what was undone is no change, before and after the labels heard of it", () => {
  const { work, masks, steps, keys } = setUp(label("liver", [1, 1, 0]));
  stroke(masks, keys[0]!, 1);
  void steps[0]!.undo();
  expect(masks.edited(keys[0]!)).toBe(false);
  void steps[0]!.redo();
  masks.sync();
  expect(work.dirty).toBe(true);
  void steps[0]!.undo();
  masks.sync();
  expect(work.dirty).toBe(false);
  expect(steps).toHaveLength(1);
});

test("a new structure that stays empty is not sent, one that is painted is", () => {
  const { work, masks } = setUp();
  const [empty, painted] = [work.add(masks.blank("liver")), work.add(masks.blank("heart"))];
  stroke(masks, painted, 3);
  masks.flush();
  expect(work.get(empty)).toBeUndefined();
  expect(work.changes()!.add!.map((one) => one.class)).toEqual(["heart"]);
});

test("a structure whose last voxel was erased goes", () => {
  const { work, masks, keys } = setUp(label("liver", [6, 6, 1]), label("heart", [6, 6, 1]));
  stroke(masks, keys[0]!, 1, 0);
  masks.sync();
  expect(work.entries()).toHaveLength(2);
  masks.flush();
  expect(work.changes()).toMatchObject({ put: {}, add: [], drop: [0] });
});

test("a label that got another shape from elsewhere shows that shape", () => {
  const { work, masks, keys } = setUp(label("liver", [1, 1, 0]));
  stroke(masks, keys[0]!, 1);
  work.set(keys[0]!, label("liver", [3, 3, 3]));
  expect([...masks.get(keys[0]!)!.voxels]).toEqual([0, 0, 0, 1]);
  expect(masks.edited(keys[0]!)).toBe(false);
});

test("a gesture under way is interrupted by undo", () => {
  const { masks, steps, keys } = setUp(label("liver"));
  let interrupted = 0;
  masks.interrupt = () => interrupted++;
  stroke(masks, keys[0]!, 1);
  void steps[0]!.undo();
  expect(interrupted).toBe(1);
});
