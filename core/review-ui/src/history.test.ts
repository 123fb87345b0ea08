import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { StepList, type Undone } from "./history";

const where = (id: string) => ({ screen: "item" as const, id });

/** A gesture that appends a number to a list, or a decision of which the server hears later. */
function step(state: number[], value: number, sent: boolean) {
  const redo = () => {
    state.push(value);
  };
  const undo = () => {
    expect(state.pop()).toBe(value);
  };
  redo();
  const slow = (act: () => void) => async () => {
    await Promise.resolve();
    act();
  };
  const id = `item ${value}`;
  return { label: id, where: where(id), undo: sent ? slow(undo) : undo, redo: sent ? slow(redo) : redo, sent };
}

test("undoing and redoing gestures and decisions, in any order, leads back to the identical state", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 20 }), fc.nat(25), async (kinds, back) => {
      const list = new StepList();
      const state: number[] = [];
      const states = [[...state]];
      kinds.forEach((sent, value) => {
        list.push(step(state, value, sent));
        states.push([...state]);
      });
      const full = [...state];
      for (let i = 1; i <= back; i++) {
        await list.undo();
        expect(state).toEqual(states[Math.max(kinds.length - i, 0)]);
      }
      expect(list.canUndo).toBe(kinds.length > back);
      while (list.canRedo) await list.redo();
      expect(state).toEqual(full);
    }),
  );
});

test("a step after an undo ends what could be redone", async () => {
  const list = new StepList();
  const state: number[] = [];
  list.push(step(state, 1, false));
  await list.undo();
  list.push(step(state, 2, false));
  expect(list.canRedo).toBe(false);
  expect(await list.redo()).toBeNull();
  expect(state).toEqual([2]);
});

test("take drops the unsent gestures of one item only", async () => {
  const list = new StepList();
  const gesture = (id: string) => ({ label: id, where: where(id), undo: vi.fn(), redo: vi.fn() });
  const [one, two] = [gesture("a"), gesture("b")];
  const sent = { ...gesture("a"), sent: true };
  for (const each of [one, sent, two, gesture("a")]) list.push(each);
  list.take("a");
  expect(list.steps).toEqual([two, sent]);
});

test("goes to where it happened, and tells the place when a decision was taken back", async () => {
  const list = new StepList();
  const seen: string[] = [];
  list.visit = (place) => seen.push(`go ${place.id}`);
  list.on("undone", ({ step, direction }: Undone) => seen.push(`${direction} ${step.label}`));
  const act = (name: string) => async () => void seen.push(name);
  list.push({ label: "one", where: where("a"), undo: act("undone"), redo: act("redone"), sent: true });
  list.push({ label: "two", where: where("b"), undo: () => void seen.push("gesture"), redo: () => undefined });
  await list.undo();
  await list.undo();
  await list.redo();
  expect(seen).toEqual(["go b", "gesture", "undone", "go a", "undo one", "redone", "go a", "redo one"]);
});

test("pressing undo three times at once takes back three steps, in order", async () => {
  const list = new StepList();
  const state: number[] = [];
  for (const value of [1, 2, 3]) list.push(step(state, value, true));
  await Promise.all([list.undo(), list.undo(), list.undo()]);
  expect(state).toEqual([]);
});

test("what the server refuses to take back is no step any more, and the others can still be undone", async () => {
  const list = new StepList();
  const state: number[] = [];
  list.push(step(state, 1, true));
  const refused = {
    label: "no",
    where: where("x"),
    undo: () => Promise.reject(new Error("409")),
    redo: () => undefined,
    sent: true,
  };
  list.push(refused);
  await expect(list.undo()).rejects.toThrow("409");
  expect(list.canRedo).toBe(false);
  await list.undo();
  expect(state).toEqual([]);
});

test("keeps a bounded number of steps", () => {
  const list = new StepList(10);
  for (let i = 0; i < 25; i++) list.push(step([], i, false));
  expect(list.steps.length).toBe(10);
  expect(list.steps[0]?.label).toBe("item 24");
});
