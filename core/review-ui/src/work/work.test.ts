import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import type { Changes, ItemState, LabelRow } from "../api/types";
import { same } from "./labels";
import { Work, type Key, type WorkItem } from "./work";

vi.mock("../history", () => ({ history: { push: () => {} } }));

interface Step {
  label: string;
  undo(): void;
  redo(): void;
}

const row = fc.record({
  class: fc.constantFrom("car", "bus", "<img src=x onerror=alert(1)>", "שלום 🚲"),
  kind: fc.constant("box"),
  box: fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99), fc.nat(99)),
  score: fc.integer({ min: 0, max: 100 }).map((n) => n / 100),
  attributes: fc.dictionary(fc.constantFrom("occluded", "colour"), fc.constantFrom<unknown>(true, false, "red", 3)),
}) as fc.Arbitrary<LabelRow>;
const context = fc.dictionary(fc.constantFrom("weather", "time"), fc.constantFrom("rain", "sun", "night"));
const rows = fc.array(row, { maxLength: 8 });

type Deed =
  | { do: "set"; at: number; label: LabelRow }
  | { do: "drop"; at: number }
  | { do: "add"; label: LabelRow }
  | { do: "context"; name: string; value: unknown }
  | { do: "undo" | "redo" };
const deed: fc.Arbitrary<Deed> = fc.oneof(
  fc.record({ do: fc.constant("set" as const), at: fc.nat(20), label: row }),
  fc.record({ do: fc.constant("drop" as const), at: fc.nat(20) }),
  fc.record({ do: fc.constant("add" as const), label: row }),
  fc.record({
    do: fc.constant("context" as const),
    name: fc.constantFrom("weather", "time"),
    value: fc.constantFrom("rain", "sun", undefined),
  }),
  fc.record({ do: fc.constantFrom("undo" as const, "redo" as const) }),
);
const deeds = fc.array(deed, { maxLength: 30 });

function state(annotation: number, open: number[] = []): ItemState {
  return { annotation, open, lane: "review", outcome: null, decision: 0 };
}

/** A Work with a history of its own: the last step done is undone first. */
function start(labels: LabelRow[], whole: Record<string, unknown> = {}, open: number[] = []) {
  const item: WorkItem = { id: "a", view: "image", labels, context: whole, state: state(1, open) };
  const done: Step[] = [];
  const undone: Step[] = [];
  const work = new Work(item, {
    push: (step) => {
      done.push(step);
      undone.length = 0;
    },
  });
  const undo = () => {
    const step = done.pop();
    if (step) undone.push(step);
    step?.undo();
  };
  const redo = () => {
    const step = undone.pop();
    if (step) done.push(step);
    step?.redo();
  };
  const act = (one: Deed) => {
    const key = (at: number): Key | undefined => work.entries()[at % Math.max(1, work.entries().length)]?.key;
    if (one.do === "add") work.add(one.label);
    else if (one.do === "context") work.setContext(one.name, one.value);
    else if (one.do === "undo") undo();
    else if (one.do === "redo") redo();
    else if (one.do === "set" && key(one.at)) work.set(key(one.at)!, one.label);
    else if (one.do === "drop" && key(one.at)) work.drop(key(one.at)!);
  };
  return { work, done, undone, undo, redo, act };
}

/** The contract's rule: what is kept in its order with what was put in place, then what was added. */
function apply(base: LabelRow[], changes: Changes | null): LabelRow[] {
  const kept = base.map((label, at) => changes?.put?.[String(at)] ?? label);
  return [...kept.filter((_, at) => !changes?.drop?.includes(at)), ...(changes?.add ?? [])];
}

/** A label that was put back differs in score alone, and that is no change. */
const bare = (labels: LabelRow[]) => labels.map((label) => ({ ...label, score: 1 }));
const labelsOf = (work: Work) => work.entries().map((entry) => entry.label);

describe("changes", () => {
  test("applied to the base by the contract's rule, they are the entries", () => {
    fc.assert(
      fc.property(rows, context, deeds, (base, whole, todo) => {
        const { work, act } = start(base, whole);
        todo.forEach(act);
        const changes = work.changes();
        expect(bare(apply(base, changes))).toEqual(bare(labelsOf(work)));
        expect(changes?.context ?? whole).toEqual(work.context);
        expect(work.dirty).toBe(changes !== null);
      }),
    );
  });

  test("they name no row that did not change", () => {
    fc.assert(
      fc.property(rows, deeds, (base, todo) => {
        const { work, act } = start(base);
        todo.forEach(act);
        const changes = work.changes();
        for (const [at, label] of Object.entries(changes?.put ?? {}))
          expect(same({ ...base[Number(at)]!, score: 1 }, label)).toBe(false);
        const named = [...Object.keys(changes?.put ?? {}).map(Number), ...(changes?.drop ?? [])];
        expect(new Set(named).size).toBe(named.length);
      }),
    );
  });

  test("an added label that was dropped again is none", () => {
    const { work } = start([]);
    work.drop(work.add({ class: "car", kind: "box", box: [0, 0, 1, 1] }));
    expect(work.changes()).toBeNull();
  });
});

describe("undo", () => {
  test("of everything is the start, and redo of everything the end", () => {
    fc.assert(
      fc.property(rows, context, deeds, (base, whole, todo) => {
        const { work, act, undo, redo, done, undone } = start(base, whole);
        const keys = work.entries().map((entry) => entry.key);
        todo.forEach(act);
        while (undone.length) redo();
        const end = [...work.entries()];
        const endContext = work.context;
        while (done.length) undo();
        expect(labelsOf(work)).toEqual(base);
        expect(work.entries().map((entry) => entry.key)).toEqual(keys);
        expect(work.context).toEqual(whole);
        expect(work.dirty).toBe(false);
        while (undone.length) redo();
        expect(work.entries()).toEqual(end);
        expect(work.context).toEqual(endContext);
      }),
    );
  });

  test("arrow keys in a row are one step, the next gesture another", () => {
    const label: LabelRow = { class: "car", kind: "box", box: [0, 0, 9, 9] };
    const { work, undo, redo, done } = start([label]);
    const key = work.entries()[0]!.key;
    for (const x of [1, 2, 3]) work.set(key, { ...label, box: [x, 0, 9, 9] }, 7);
    work.set(key, { ...label, box: [4, 0, 9, 9] }, 8);
    expect(done.map((step) => step.label)).toEqual(["Reshaped car", "Reshaped car"]);
    undo();
    expect(work.get(key)!.label.box[0]).toBe(3);
    undo();
    expect(work.get(key)!.label).toBe(label);
    redo();
    expect(work.get(key)!.label.box[0]).toBe(3);
    work.set(key, { ...label, box: [5, 0, 9, 9] }, 7);
    undo();
    expect(work.get(key)!.label.box[0]).toBe(3);
  });
});

describe("rebase", () => {
  test("keys survive, and what was done since a decision left stays a change", () => {
    fc.assert(
      fc.property(rows, context, fc.array(deeds, { maxLength: 4 }), deeds, (base, whole, parts, later) => {
        const { work, act, done, undone } = start(base, whole);
        const queue = parts.map((part) => {
          part.forEach(act);
          done.length = undone.length = 0; // as history.take does: they are one decision now
          return work.seal();
        });
        expect(work.dirty && queue.length > 0).toBe(false);
        later.forEach(act);
        const before = work.entries().map(({ key, label }) => ({ key, label }));
        const unsent = work.changedKeys();
        let held = base;
        for (const [i, target] of queue.entries()) {
          held = apply(held, work.changes(target));
          work.rebase(state(i + 2), target);
          expect(bare(work.base())).toEqual(bare(held));
        }
        expect(new Map(work.entries().map(({ key, label }) => [key, label]))).toEqual(
          new Map(before.map(({ key, label }) => [key, label])),
        );
        if (queue.length) expect(work.changedKeys()).toEqual(unsent);
        for (const { key, row, label } of work.entries())
          if (row !== null && !work.changedKeys().includes(key)) expect(bare([held[row]!])).toEqual(bare([label]));
        expect(bare(apply(held, work.changes()))).toEqual(bare(labelsOf(work)));
      }),
    );
  });

  test("a decision that only answered moves no rows, and open follows the server", () => {
    const label: LabelRow = { class: "car", kind: "box", box: [0, 0, 9, 9], score: 0.4 };
    const { work } = start([label, label, label], {}, [0, 1, 2]);
    const [a, b, c] = work.entries().map((entry) => entry.key) as [Key, Key, Key];
    work.answered([a]);
    work.answered([b], "unsure");
    work.rebase(state(1, [1, 2]), null); // the answer to the first decision; the second is on its way
    expect(work.entries().map((entry) => entry.open)).toEqual([false, false, true]);
    expect(work.entries().map((entry) => entry.mark)).toEqual(["accepted", "unsure", null]);
    expect(work.get(c)!.row).toBe(2);
  });

  test("rows close up after labels that a decision took away", () => {
    const label = (x: number): LabelRow => ({ class: "car", kind: "box", box: [x, 0, 9, 9], score: 0.4 });
    const { work } = start([label(0), label(1), label(2)], {}, [0, 1, 2]);
    const [a, b, c] = work.entries().map((entry) => entry.key) as [Key, Key, Key];
    work.remove([b]);
    const target = work.seal();
    expect(work.entries().map((entry) => entry.key)).toEqual([a, c]);
    expect(work.dirty).toBe(false);
    work.rebase(state(5, [0, 1]), target);
    expect(work.dirty).toBe(false);
    expect(work.get(c)).toMatchObject({ row: 1, open: true });
    expect(work.annotation).toBe(5);
  });
});

test("a simple user asks for changes, sends them and rebases", () => {
  const { work } = start([{ class: "car", kind: "box", box: [0, 0, 9, 9] }]);
  work.drop(work.entries()[0]!.key);
  const key = work.add({ class: "bus", kind: "box", box: [0, 0, 9, 9] });
  expect(work.changes()).toEqual({
    put: {},
    add: [{ class: "bus", kind: "box", box: [0, 0, 9, 9], score: 1 }],
    drop: [0],
  });
  expect(work.dirty).toBe(true);
  work.rebase(state(2));
  expect(work.dirty).toBe(false);
  expect(work.changes()).toBeNull();
  expect(work.rowOf(key)).toBe(0);
});

test("what the server refused is not sent", () => {
  const { work } = start([]);
  work.add({ class: "bus", kind: "box", box: [0, 0, 9, 9] });
  work.seal();
  expect(work.dirty).toBe(false);
  work.unseal();
  expect(work.dirty).toBe(true);
});

test("what a person set is sure, and has nothing that a model knew", () => {
  const { work } = start([{ class: "car", kind: "box", box: [0, 0, 9, 9], score: 0.4, evidence: { margin: 0.1 } }]);
  const entry = work.entries()[0]!;
  work.set(entry.key, { ...entry.label, class: "bus" });
  expect(work.get(entry.key)!.label).toEqual({ class: "bus", kind: "box", box: [0, 0, 9, 9], score: 1 });
});

test("listeners hear which labels changed, until they leave", () => {
  const { work, undo } = start([{ class: "car", kind: "box", box: [0, 0, 9, 9] }]);
  const heard: (readonly Key[])[] = [];
  const leave = work.onchange((keys) => heard.push(keys));
  const key = work.add({ class: "bus", kind: "box", box: [1, 1, 2, 2] });
  undo();
  leave();
  work.add({ class: "bus", kind: "box", box: [1, 1, 2, 2] });
  expect(heard).toEqual([[key], [key]]);
});
