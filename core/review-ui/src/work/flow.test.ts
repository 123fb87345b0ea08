import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Decide, Item, ItemState, LabelRow, Made } from "../api/types";
import type { Draft } from "./compare";
import { Flow } from "./flow";
import { byDoubt, neighbour, nextOpen } from "./order";
import { answers, question } from "./question";
import { Sender } from "./sender";
import { Work } from "./work";

vi.mock("../history", () => ({ history: { push: () => {} } }));

const box = (name: string, score: number, x = 0): LabelRow => ({
  class: name,
  kind: "box",
  box: [x, 0, x + 9, 9],
  score,
});

function itemOf(labels: LabelRow[], over: Partial<Item> = {}, state: Partial<ItemState> = {}): Item {
  return {
    id: "a",
    scenes: [],
    name: "a.jpg",
    group: "",
    index: 0,
    view: "image",
    size: [100, 200],
    frame: { kind: "pixel" },
    media: { image: "/media/a/image.jpg", tiles: null, slices: null },
    state: { annotation: 1, open: [...labels.keys()], lane: "review", outcome: null, decision: 0, ...state },
    labels,
    flags: [],
    context: {},
    reason: "low_score",
    mode: "single",
    opinions: [],
    ...over,
  };
}

interface Call {
  decide: Decide;
  answer(state: Partial<ItemState>): Promise<void>;
  refuse(error: unknown): Promise<void>;
}

/** A flow whose server answers when the test says so. */
function start(item: Item) {
  const calls: Call[] = [];
  const seen = { finished: 0, taken: 0, failed: null as Draft | null };
  const work = new Work(item);
  let state = item.state;
  const flow = new Flow(item, work, {
    where: { screen: "item", id: item.id },
    send: ([decide]) =>
      new Promise<Made[]>((resolve, reject) => {
        const settle = async (run: () => void) => {
          run();
          await new Promise((done) => setTimeout(done));
        };
        calls.push({
          decide: decide!,
          answer: (over) => {
            state = { ...state, ...over };
            return settle(() => resolve([{ seq: calls.length, item: item.id, state }]));
          },
          refuse: (error) => settle(() => reject(error)),
        });
      }),
    take: () => seen.taken++,
    lap: () => 500,
    note: () => "",
    selected: () => {},
    finished: () => seen.finished++,
    failed: (_, draft) => (seen.failed = draft),
  });
  flow.begin();
  const sent = () => calls.map(({ decide }) => ({ action: decide.action, rows: decide.rows, changes: decide.changes }));
  return { flow, work, calls, seen, sent };
}

describe("order", () => {
  const { work } = start(itemOf([box("a", 0.9), box("b", 0.2), box("c", 0.5), box("d", 0.2)], {}, { open: [0, 1, 2] }));
  const keys = work.entries().map((entry) => entry.key);

  test("open first, least sure first, ties by row", () => {
    expect(byDoubt(work.entries()).map((entry) => entry.label.class)).toEqual(["b", "c", "a", "d"]);
  });

  test("the next open one comes after the one in hand, then from the start", () => {
    expect(nextOpen(work.entries(), null)).toBe(keys[1]);
    expect(nextOpen(work.entries(), keys[1]!)).toBe(keys[2]);
    expect(nextOpen(work.entries(), keys[0]!)).toBe(keys[1]);
    expect(nextOpen(work.entries(), keys[3]!)).toBe(keys[2]);
    expect(nextOpen([], null)).toBeNull();
  });

  test("neighbours end at the ends", () => {
    expect(neighbour(work.entries(), null, 1)).toBe(keys[1]);
    expect(neighbour(work.entries(), keys[3]!, 1)).toBeNull();
    expect(neighbour(work.entries(), keys[1]!, -1)).toBeNull();
  });
});

describe("label by label", () => {
  let t: ReturnType<typeof start>;
  beforeEach(() => (t = start(itemOf([box("car", 0.9), box("bus", 0.2, 20), box("cat", 0.5, 40)]))));

  test("A sends at once, row by row, least sure first, and ends the item after the last", () => {
    t.flow.accept();
    t.flow.accept();
    expect(t.seen.finished).toBe(0);
    t.flow.accept();
    expect(t.sent().map(({ action, rows }) => [action, rows])).toEqual([
      ["accept", [1]],
      ["accept", [2]],
      ["accept", [0]],
    ]);
    expect(t.calls.map(({ decide }) => decide.active_ms)).toEqual([500, 500, 500]);
    expect(t.seen.finished).toBe(1);
  });

  test("X and Space mark, Del removes, each goes to the next", () => {
    t.flow.repair();
    t.flow.unsure();
    t.flow.reject();
    expect(t.sent().map(({ action, rows }) => [action, rows])).toEqual([
      ["repair", [1]],
      ["unsure", [2]],
      ["reject", [0]],
    ]);
    expect(t.work.entries().map((entry) => entry.mark)).toEqual(["wrong", "unsure"]);
    expect(t.seen.finished).toBe(1);
  });

  test("after a removal the next answer waits, and names the rows of the new labels", async () => {
    t.flow.reject(); // row 1
    t.flow.accept(); // row 2, which will be row 1
    expect(t.sent()).toHaveLength(1);
    await t.calls[0]!.answer({ annotation: 7, open: [0, 1] });
    expect(t.calls[1]!.decide).toMatchObject({ action: "accept", annotation: 7, rows: [1] });
    expect(t.work.dirty).toBe(false);
  });

  test("a gesture on the label in hand is its answer", async () => {
    t.flow.classify(schema, "car");
    t.flow.accept();
    expect(t.sent()).toEqual([
      {
        action: "edit",
        rows: undefined,
        changes: { put: { "1": { ...box("car", 1, 20), attributes: {} } }, add: [], drop: [] },
      },
    ]);
    expect(t.calls[0]!.decide.done).toBe(false);
    expect(t.seen.taken).toBe(1);
    expect(t.flow.entry?.label.class).toBe("cat");
    await t.calls[0]!.answer({ annotation: 2, open: [0, 2] });
    expect(t.sent()).toHaveLength(1);
  });

  test("gestures elsewhere are sent before an answer, which waits for the new rows", async () => {
    t.work.drop(t.work.entries()[0]!.key);
    t.flow.accept();
    expect(t.calls[0]!.decide).toMatchObject({ action: "edit", changes: { drop: [0] } });
    await t.calls[0]!.answer({ annotation: 4, open: [0, 1] });
    expect(t.calls[1]!.decide).toMatchObject({ action: "accept", annotation: 4, rows: [0] });
  });

  test("Enter accepts what is open, and spares what was called wrong", () => {
    t.flow.repair();
    t.flow.acceptItem();
    expect(t.sent()[1]).toMatchObject({ action: "accept", rows: [0, 2] });
    expect(t.seen.finished).toBe(1);
  });

  test("Enter after gestures is one edit that ends the item", () => {
    t.work.add(box("van", 1, 60));
    t.flow.acceptItem();
    expect(t.calls.map(({ decide }) => [decide.action, decide.done])).toEqual([["edit", true]]);
    expect(t.flow.open).toBe(0);
  });

  test("an added label that is removed again never leaves the page", () => {
    t.flow.select(t.work.add(box("van", 1, 60)));
    t.flow.reject();
    expect(t.sent()).toEqual([]);
    expect(t.flow.leave()).toBeNull();
    expect(t.sent()).toEqual([]);
  });

  test("leaving with gestures sends them, without ending the item", () => {
    t.work.add(box("van", 1, 60));
    expect(t.flow.leave()).toBeNull();
    expect(t.calls[0]!.decide).toMatchObject({ action: "edit", done: false });
  });

  test("answers that come fast after a change wait their turn", async () => {
    t.work.add(box("van", 1, 60));
    t.flow.unsure(); // an edit first; the answer waits
    t.flow.reject(); // waits too
    expect(t.sent()).toHaveLength(1);
    await t.calls[0]!.answer({ annotation: 2, open: [0, 1, 2] });
    expect(t.calls.slice(1).map(({ decide }) => [decide.action, decide.rows])).toEqual([
      ["unsure", [1]],
      ["reject", [2]],
    ]);
  });

  test("with nothing selected, X and Space ask about a label first", () => {
    for (const press of ["repair", "unsure"] as const) {
      t.flow.select(null);
      t.flow[press]();
      expect(t.flow.entry?.label.class).toBe("bus");
    }
    expect(t.sent()).toEqual([]);
  });

  test("an answer that was refused is kept when the item is left", async () => {
    t.flow.accept();
    await t.calls[0]!.refuse(new Error("taken"));
    expect(t.flow.leave()).toMatchObject({ changes: null, answers: [{ row: 1, mark: "accepted" }] });
    t.flow.resume();
    expect(t.flow.open).toBe(3);
    expect(t.flow.leave()).toBeNull();
  });

  test("a refusal stops the rest, and what was answered is kept for later", async () => {
    t.flow.reject(); // row 1
    t.flow.accept(); // waits
    await t.calls[0]!.refuse(new Error("stale"));
    expect(t.sent()).toHaveLength(1);
    expect(t.seen.failed).toMatchObject({
      annotation: 1,
      changes: { drop: [1] },
      answers: [{ row: 2, mark: "accepted" }],
    });
    t.flow.accept();
    expect(t.sent()).toHaveLength(1);
  });

  test("a draft goes on top of what another person did", async () => {
    t.flow.reject();
    t.flow.accept();
    await t.calls[0]!.refuse(new Error("stale"));
    const theirs = itemOf(
      [box("van", 1, 80), box("bus", 0.2, 20), box("cat", 0.5, 40)],
      {},
      { annotation: 9, open: [1, 2] },
    );
    const again = start(theirs);
    const { onTop } = await import("./compare");
    again.flow.apply(onTop(t.seen.failed!, theirs.labels));
    expect(again.calls[0]!.decide).toMatchObject({ action: "edit", annotation: 9, changes: { drop: [1] } });
    await again.calls[0]!.answer({ annotation: 10, open: [1] });
    expect(again.calls[1]!.decide).toMatchObject({ action: "accept", annotation: 10, rows: [1] });
  });
});

describe("other ways of asking", () => {
  test("an item without labels: A says so, X says that something is missing", () => {
    for (const [press, action] of [
      ["accept", "accept"],
      ["repair", "repair"],
      ["unsure", "unsure"],
    ] as const) {
      const t = start(itemOf([]));
      expect(question(t.flow).text).toBe("Is it right that nothing is here?");
      t.flow[press]();
      expect(t.sent()).toMatchObject([{ action, rows: [] }]);
      expect(t.seen.finished).toBe(1);
    }
  });

  test("blind: only Enter states the labels, and A does nothing", () => {
    const t = start(itemOf([], { mode: "blind" }));
    t.flow.select(t.work.add(box("car", 1)));
    t.flow.accept();
    t.flow.repair();
    expect(t.sent()).toEqual([]);
    expect(t.flow.leave()).toMatchObject({ changes: { add: [box("car", 1)] } });
    t.flow.acceptItem();
    expect(t.calls[0]!.decide).toMatchObject({ action: "edit", done: true, changes: { add: [box("car", 1)] } });
  });

  test("blind: nothing seen is an answer too", () => {
    const t = start(itemOf([], { mode: "blind" }));
    t.flow.acceptItem();
    expect(t.sent()).toEqual([{ action: "edit", rows: undefined, changes: {} }]);
  });

  test("a second opinion is one statement after the last label", () => {
    const t = start(itemOf([box("car", 0.9), box("bus", 0.2, 20)], { mode: "second" }, { lane: "second" }));
    t.flow.accept();
    expect(t.sent()).toEqual([]);
    t.flow.reject();
    t.flow.accept();
    expect(t.calls.map(({ decide }) => [decide.action, decide.changes])).toEqual([
      ["opinion", { put: {}, add: [], drop: [0] }],
    ]);
    expect(t.seen.finished).toBe(1);
  });

  test("choosing sends what makes the standing labels the chosen ones", () => {
    const t = start(
      itemOf([box("car", 1), box("bus", 1, 20)], { mode: "adjudicate" }, { lane: "adjudicate", open: [] }),
    );
    t.flow.acceptItem();
    expect(t.sent()).toEqual([]);
    t.flow.adjudicate([box("car", 1), box("van", 1, 60)]);
    expect(t.sent()).toMatchObject([
      { action: "adjudicate", changes: { put: {}, add: [box("van", 1, 60)], drop: [1] } },
    ]);
  });

  test("an item that is done sends nothing more on Enter", () => {
    const t = start(itemOf([box("car", 1)], {}, { lane: "", open: [], outcome: "accept", decision: 3 }));
    expect(question(t.flow).text).toBe("This item is done.");
    t.flow.acceptItem();
    expect(t.sent()).toEqual([]);
    expect(t.seen.finished).toBe(1);
  });

  test("in the repair lane a label is mended, removed or accepted, not called wrong again", () => {
    const t = start(itemOf([box("car", 0.4)], {}, { lane: "repair" }));
    expect(question(t.flow).text).toMatch(/^This was called wrong/);
    expect(answers(t.flow).map((answer) => answer.command)).not.toContain("repair");
    t.flow.repair();
    expect(t.sent()).toEqual([]);
    t.flow.accept();
    expect(t.sent()).toMatchObject([{ action: "accept", rows: [0] }]);
  });
});

test("an answer about labels that are gone is not one about the whole item", () => {
  const sent: Decide[] = [];
  const item = itemOf([box("car", 0.4)]);
  const parts = {
    where: { screen: "item" as const, id: "a" },
    send: async (decisions: Decide[]) => (sent.push(...decisions), []),
    lap: () => 0,
    note: () => "",
    failed: () => {},
  };
  const work = new Work(item);
  const sender = new Sender(item, work, parts);
  const answer = { action: "accept", label: "", mark: "accepted" } as const;
  sender.put({ ...answer, keys: [99] });
  expect(sent).toEqual([]);
  sender.put({ ...answer, keys: [work.entries()[0]!.key, 99] });
  expect(sent).toMatchObject([{ rows: [0] }]);
});

test("what a lot asks is about what is missing, too", () => {
  const detail = "Is anything missing? Draw it before you go on.";
  const lot = start(itemOf([box("owl", 0.5)], { reason: "lot" }));
  lot.flow.begin();
  expect(question(lot.flow)).toEqual({ text: "Is this an", subject: "owl", rest: "?", place: "", detail });
  const seen = start(itemOf([box("owl", 0.5)], { reason: "lot" }, { open: [] }));
  expect(question(seen.flow).text).toBe("Are all labels of this image right?");
  expect(question(seen.flow).detail).toBe(detail);
  for (const over of [{ reason: "low_score" }, { reason: "lot", mode: "blind" as const }])
    expect(question(start(itemOf([box("owl", 0.5)], over)).flow).detail).toBeUndefined();
  expect(question(start(itemOf([], { reason: "lot" })).flow).detail).toBeUndefined();
});

test("the question counts on", () => {
  const t = start(itemOf([box("car", 0.9), box("owl", 0.2, 20), box("cat", 0.5, 40)]));
  expect(question(t.flow)).toEqual({ text: "Is this an", subject: "owl", rest: "?", place: "1 of 3" });
  t.flow.accept();
  expect(question(t.flow)).toEqual({ text: "Is this a", subject: "cat", rest: "?", place: "2 of 3" });
});

test("a class that may not have the kind is refused, and attributes of the old class go", () => {
  const labels = [{ ...box("car", 0.9), attributes: { wheels: 4, occluded: true } }];
  const t = start(itemOf(labels));
  expect(t.flow.classify(schema, "scene")).toBe(false);
  expect(t.flow.classify(schema, "bus")).toBe(true);
  expect(t.flow.entry?.label.attributes).toEqual({ occluded: true });
});

const attribute = {
  type: "boolean",
  scope: "label",
  choices: [],
  unit: "",
  minimum: null,
  maximum: null,
  identity: false,
} as const;
const about = { parent: "", keypoints: [], skeleton: [], color: "", abstract: false, confirmations: 0 };
const schema = {
  name: "s",
  version: "1",
  kinds: ["box", "tag"],
  classes: [
    { ...about, name: "car", kinds: ["box"] },
    { ...about, name: "bus", kinds: ["box"] },
    { ...about, name: "scene", kinds: ["tag"] },
  ],
  attributes: [
    { ...attribute, name: "wheels", classes: ["car"], choices: [] },
    { ...attribute, name: "occluded", classes: [], choices: [] },
  ],
};
