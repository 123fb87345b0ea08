import { beforeEach, expect, test, vi } from "vitest";
import { quiet } from "./testing";
import { ApiError } from "./api/error";
import type { Head, Item, Made, Take } from "./api/types";
import { Worklist, type Source } from "./worklist";

const FILTER = { lane: "review", reason: null, mode: "single" } as const;

/** An item; of the clip `x` if it is called `x/0`. */
function head(id: string): Head {
  const group = id.includes("/") ? id.split("/")[0]! : "";
  return {
    id,
    name: id,
    group,
    index: 0,
    view: group ? "video" : "image",
    size: [10, 10],
    lane: "review",
    reason: "low_score",
    image: `/${id}.jpg`,
  };
}

/** A lane of items, of which the server gives out those after one, as the real one does: own leases do not hide them. */
class Lane implements Source {
  takes: Omit<Take, "tab">[] = [];
  renewed: string[] = [];
  released: string[] = [];
  fetched: string[] = [];
  images: string[] = [];
  lost: string[] = [];
  pending = new Set<string>();
  fail: ApiError | null = null;

  constructor(public ids: string[]) {}

  async take(take: Omit<Take, "tab">) {
    this.takes.push(take);
    if (this.fail) throw this.fail;
    const from = take.after ? this.ids.indexOf(take.after) + 1 : 0;
    return { seconds: 600, items: this.ids.slice(from, from + (take.n ?? 5)).map(head) };
  }
  async takeOne(id: string) {
    if (this.fail) throw this.fail;
    return { seconds: 600, items: [head(id)] };
  }
  async renew(ids: string[]) {
    this.renewed = ids;
    return { seconds: 600, lost: this.lost };
  }
  async release(ids: string[]) {
    this.released.push(...ids);
  }
  async item(id: string) {
    this.fetched.push(id);
    return { id } as Item;
  }
  async settled() {}
  holds(id: string) {
    return this.pending.has(id);
  }
  ahead(url: string) {
    this.images.push(url);
  }
}

let lane: Lane;
let list: Worklist;

beforeEach(() => {
  lane = new Lane(["a", "b", "c", "d", "e", "f", "g", "h"]);
  list = new Worklist(lane);
});

test("keeps five items ahead, with their pictures", async () => {
  expect((await list.open(FILTER))?.id).toBe("a");
  await quiet();
  expect(list.peek()?.id).toBe("b");
  expect(lane.fetched).toEqual(["b", "c", "d", "e", "f"]);
  expect(lane.images).toContain("/f.jpg");
  await list.next();
  await quiet();
  expect(lane.fetched).toContain("g");
});

test("walks to the end and back, each item once", async () => {
  const seen = [(await list.open(FILTER))?.id];
  for (let one = await list.next(); one; one = await list.next()) seen.push(one.id);
  expect(seen).toEqual(["a", "b", "c", "d", "e", "f", "g", "h"]);
  expect(await list.next()).toBeNull();
  expect(list.current?.id).toBe("h");
  expect(list.previous()?.id).toBe("g");
});

test("a prefetched item is not asked for again, one that changed is", async () => {
  await list.open(FILTER);
  await quiet();
  await list.next();
  expect((await list.item("b")).id).toBe("b");
  expect(lane.fetched.filter((id) => id === "b")).toHaveLength(1);
  await list.item("b", true);
  expect(lane.fetched.filter((id) => id === "b")).toHaveLength(2);
});

test("an item that is opened by its address is taken, and the lane goes on after it", async () => {
  await list.item("c");
  expect(list.current?.id).toBe("c");
  expect((await list.next())?.id).toBe("d");
});

test("what is far behind is given back, and taken again when one returns", async () => {
  await list.open(FILTER);
  for (let i = 0; i < 5; i++) await list.next();
  await quiet();
  expect(lane.released).toEqual(["a", "b"]);
  await list.item("a");
  expect(list.current?.id).toBe("a");
});

test("an item that left its lane is no longer held by this tab", async () => {
  await list.open(FILTER);
  const takeOne = vi.spyOn(lane, "takeOne");
  list.made({ seq: 1, item: "a", state: { annotation: 1, open: [], lane: "", outcome: "accept", decision: 1 } });
  await list.next();
  list.previous();
  await list.item("a");
  expect(takeOne).toHaveBeenCalledWith("a", "single");
});

test("leaves out what it has just decided, when the server does not know yet", async () => {
  lane.pending.add("a");
  expect((await list.open(FILTER))?.id).toBe("b");
});

test("leaving gives everything back, also what was on its way", async () => {
  const opening = list.open(FILTER);
  await Promise.resolve();
  await list.close();
  await opening;
  await quiet();
  expect(lane.released.sort()).toEqual(["a", "b", "c", "d", "e"]);
  expect(list.current).toBeNull();
});

test("a lease that was lost is skipped", async () => {
  await list.open(FILTER);
  await quiet();
  lane.lost = ["b"];
  await list.renew();
  expect(list.current?.id).toBe("a");
  expect((await list.next())?.id).toBe("c");
});

test("renews every three minutes", async () => {
  vi.useFakeTimers();
  const renew = vi.spyOn(lane, "renew");
  await list.open(FILTER);
  await vi.advanceTimersByTimeAsync(370_000);
  expect(renew).toHaveBeenCalledTimes(2);
  await list.close();
  await vi.advanceTimersByTimeAsync(370_000);
  expect(renew).toHaveBeenCalledTimes(2);
  vi.useRealTimers();
});

test("somebody else has it: the error reaches the screen; who may only look takes nothing", async () => {
  lane.fail = new ApiError(409, "taken", "Ben works on this item just now");
  await expect(list.item("c")).rejects.toMatchObject({ code: "taken" });
  lane.fail = new ApiError(403, "role", "viewer");
  expect((await list.item("c")).id).toBe("c");
});

test("without a connection the prefetched items still come; then the error does", async () => {
  await list.open(FILTER);
  await quiet();
  lane.fail = new ApiError(0, "not_connected", "away");
  for (const id of ["b", "c", "d", "e", "f"]) expect((await list.next())?.id).toBe(id);
  await expect(list.next()).rejects.toMatchObject({ status: 0 });
});

const FRAMES = ["x/0", "x/1", "x/2", "x/3", "x/4", "x/5", "x/6", "x/7"];
const through = (item: string): Made => ({
  seq: 1,
  item,
  state: { annotation: 1, open: [], lane: "", outcome: "accept", decision: 1 },
});

test("one clip ahead is enough, and no second frame of it is an item of the list", async () => {
  lane.ids = ["a", "x/0"];
  expect((await list.open(FILTER))?.id).toBe("a");
  await quiet();
  expect(lane.takes).toHaveLength(1);
  lane.ids = ["a", "x/1", "b"]; // the server offers the clip again, with the frame that waits now
  lane.takes = [];
  expect((await list.next())?.id).toBe("x/0");
  expect((await list.next())?.id).toBe("b");
});

test("a clip is held on to while frames of it are decided on, and given back as one", async () => {
  lane.ids = ["x/0", "a", "b", "c", "d"];
  await list.open(FILTER);
  await list.item("x/0");
  list.made(through("x/0"));
  list.made(through("x/1"));
  await list.renew();
  expect(lane.renewed).toContain("x/0");
  for (let i = 0; i < 3; i++) await list.next();
  expect(lane.released).toEqual([]);
  await list.next();
  expect(lane.released).toEqual(["x/0"]);
});

test("a clip that was decided on is taken anew when it is opened again", async () => {
  lane.ids = ["x/0"];
  await list.open(FILTER);
  await list.item("x/0");
  const takeOne = vi.spyOn(lane, "takeOne");
  await list.item("x/0");
  expect(takeOne).not.toHaveBeenCalled();
  list.made(through("x/0"));
  await list.item("x/0");
  expect(takeOne).toHaveBeenCalledTimes(1);
});

test("answered picture by picture, a clip goes on frame by frame and stays held", async () => {
  lane.ids = [...FRAMES, "a"];
  const seen = [(await list.open({ ...FILTER, mode: "blind" }))?.id];
  for (let one = await list.next(); one; one = await list.next()) {
    list.made(through(one.id));
    seen.push(one.id);
    if (one.id === "x/7") expect(lane.released).toEqual([]);
  }
  expect(seen).toEqual([...FRAMES, "a"]);
});

test("the rest of a clip is passed over", async () => {
  lane.ids = [...FRAMES, "a", "b"];
  await list.open({ ...FILTER, lane: "second" });
  await quiet();
  lane.takes = [];
  expect((await list.beyond("x", "x/7"))?.id).toBe("a");
  expect(lane.takes[0]?.after).toBe("x/7");
  expect((await list.next())?.id).toBe("b");
  expect(await list.next()).toBeNull();
});
