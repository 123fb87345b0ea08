import "../testing";
import { beforeEach, expect, test } from "vitest";
import type { LabelRow } from "../api/types";
import { Bits } from "../mask/bits";
import type { Axis, Size3 } from "../mask/planes";
import { type Key, Work } from "../work/work";
import { Checked } from "./checked";
import { Masks } from "./masks";

const SIZE: Size3 = [8, 12, 16];
const where = { screen: "volume", id: "ct" } as const;
let masks: Masks;
let checked: Checked;
let key: Key;
let other: Key;

function label(name: string, ...slices: number[]): LabelRow {
  const bits = new Bits(SIZE);
  for (const z of slices) bits.set(3, 5, z, 1);
  return { class: name, kind: "mask", box: [0, 0, 0, 0], score: 0.5, shape: { size: [...SIZE], counts: bits.toRle() } };
}

beforeEach(() => {
  const labels = [label("liver", 2, 3, 4, 6), label("heart", 0)];
  const state = { annotation: 3, open: [], lane: "review", outcome: null, decision: 0 };
  const work = new Work({ id: "ct", view: "volume", labels, state, context: {} }, { where, push: () => {} });
  masks = new Masks(work, SIZE, where, () => {});
  checked = new Checked(masks);
  [key, other] = work.entries().map((entry) => entry.key) as [Key, Key];
});

const right = () => [...checked.of(key)].sort();
const touch = (axis: Axis, k: number, y0: number, y1: number) =>
  masks.touched([{ key, axis, k, area: { x0: 0, y0, x1: 16, y1 } }], true);

test("a slice is marked and unmarked; one without a voxel is not", () => {
  checked.toggle(key, 3);
  checked.toggle(key, 5);
  expect(right()).toEqual([3]);
  expect(checked.count(key)).toEqual({ right: 1, all: 4 });
  checked.toggle(key, 3);
  expect(right()).toEqual([]);
});

test("a range goes from the slice marked last, else from the first of the structure, either way", () => {
  checked.range(key, 3);
  expect(right()).toEqual([2, 3]);
  checked.toggle(key, 6);
  checked.range(key, 4);
  expect(right()).toEqual([2, 3, 4, 6]);
  expect(checked.whole(key)).toBe(true);
  expect(checked.whole(other)).toBe(false);
});

test("what is painted on must be looked at again, in whichever plane it was painted", () => {
  checked.range(key, 6);
  touch("axial", 3, 0, 12);
  expect(right()).toEqual([2, 4, 6]);
  touch("coronal", 5, 4, 6); // rows of a coronal plane are slices
  expect(right()).toEqual([2, 6]);
  touch("sagittal", 3, 0, 3);
  expect(right()).toEqual([6]);
  expect(checked.whole(key)).toBe(false);
});

test("who listens hears of marks", () => {
  let heard = 0;
  const end = checked.on(() => (heard += 1));
  checked.toggle(key, 2);
  touch("axial", 2, 0, 12);
  touch("axial", 2, 0, 12);
  expect(heard).toBe(2);
  end();
  checked.close();
  checked.toggle(key, 2);
  touch("axial", 2, 0, 12);
  expect(heard).toBe(2);
  expect(right()).toEqual([2]);
});
