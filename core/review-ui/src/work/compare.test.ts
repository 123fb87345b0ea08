import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LabelRow } from "../api/types";
import { changesTo, difference, iou, match, onTop, wordsOf, type Draft } from "./compare";

const box = (name: string, x: number, y = 0, side = 10, more: Partial<LabelRow> = {}): LabelRow => ({
  class: name,
  kind: "box",
  box: [x, y, x + side, y + side],
  ...more,
});

const label = fc.record({
  class: fc.constantFrom("car", "bus"),
  kind: fc.constantFrom("box", "tag"),
  box: fc.tuple(fc.nat(30), fc.nat(30)).map(([x, y]) => [x, y, x + 10, y + 10]),
  score: fc.constantFrom(0.3, 1),
}) as fc.Arbitrary<LabelRow>;
const labels = fc.array(label, { maxLength: 7 });

const bare = (rows: LabelRow[]) => rows.map((row) => JSON.stringify([row.class, row.kind, row.box])).sort();

describe("match", () => {
  test("pairs no row twice", () => {
    fc.assert(
      fc.property(labels, labels, (a, b) => {
        const found = match(a, b).filter((row) => row !== null);
        expect(new Set(found).size).toBe(found.length);
      }),
    );
  });

  test("equal labels first, whatever lies on them", () => {
    const [a, b] = [
      [box("car", 0), box("car", 1)],
      [box("car", 1), box("car", 0)],
    ];
    expect(match(a, b)).toEqual([1, 0]);
  });

  test("one twin stands for one label", () => {
    expect(match([box("car", 0), box("car", 0)], [box("car", 0)])).toEqual([0, null]);
  });

  test("a moved label is the same one, one that jumped is another, unless its track says so", () => {
    expect(match([box("car", 0)], [box("car", 2)])).toEqual([0]);
    expect(match([box("car", 0)], [box("car", 50)])).toEqual([null]);
    expect(match([box("car", 0, 0, 10, { track: 4 })], [box("car", 50, 0, 10, { track: 4 })])).toEqual([0]);
    expect(match([box("car", 0)], [{ ...box("car", 0), kind: "polygon", shape: [] }])).toEqual([null]);
  });
});

test("difference says what was added, removed and changed, and no score", () => {
  const before = [box("car", 0, 0, 10, { score: 0.4 }), box("bus", 50), box("cat", 90)];
  const after = [box("car", 0), box("van", 50), box("dog", 200)];
  const found = difference(before, after);
  expect(found).toEqual({ added: [after[2]], removed: [before[2]], changed: [{ before: before[1], after: after[1] }] });
  expect(wordsOf(found.changed[0]!)).toBe("was bus");
});

test("changes lead from one to the other", () => {
  fc.assert(
    fc.property(labels, labels, (base, target) => {
      const { put = {}, add = [], drop = [] } = changesTo(base, target);
      const rows = base.map((row, i) => put[String(i)] ?? row).filter((_, i) => !drop.includes(i));
      expect(bare([...rows, ...add])).toEqual(bare(target));
    }),
  );
  expect(changesTo([box("car", 0)], [box("car", 0)])).toEqual({ put: {}, add: [], drop: [] });
});

describe("mine on top of theirs", () => {
  const base = [box("car", 0), box("bus", 50), box("cat", 90)];
  const draft: Draft = {
    annotation: 1,
    base,
    changes: { put: { "0": box("van", 0) }, add: [box("dog", 200)], drop: [1], context: { wet: true } },
    answers: [{ row: 2, mark: "accepted" }],
  };

  test("rows follow the labels", () => {
    const theirs = [box("owl", 300), box("cat", 90), box("car", 1), box("bus", 50)];
    expect(onTop(draft, theirs)).toEqual({
      changes: { put: { "2": box("van", 0) }, add: [box("dog", 200)], drop: [3], context: { wet: true } },
      answers: [{ row: 1, mark: "accepted" }],
    });
  });

  test("a label that they removed and I changed comes back; what I removed too stays away", () => {
    expect(onTop(draft, [])).toEqual({
      changes: { put: {}, add: [box("van", 0), box("dog", 200)], drop: [], context: { wet: true } },
      answers: [],
    });
  });
});

test("boxes of one pixel and of none have an overlap", () => {
  expect(iou([5, 5, 6, 6], [5, 5, 6, 6])).toBe(1);
  expect(iou([5, 5, 5, 5], [5, 5, 5, 5])).toBe(1);
  expect(iou([0, 0, 1, 1], [1, 0, 2, 1])).toBe(0);
});
