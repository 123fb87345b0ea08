import { beforeEach, expect, test } from "vitest";
import { FakeStorage, quiet } from "./testing";
import { ApiError } from "./api/error";
import type { AllMade, Decisions, Made } from "./api/types";
import { Outbox, type Job } from "./outbox";

const away = new ApiError(0, "not_connected", "away");
const where = { screen: "item" as const, id: "a" };

function made(seq: number, item: string): Made {
  return { seq, item, state: { annotation: 1, open: [], lane: "", outcome: "accept", decision: seq } };
}

function decide(...items: string[]): { decide: Decisions } {
  return { decide: { decisions: items.map((item) => ({ item, action: "accept", annotation: 1 })), tab: "t" } };
}

/** A server that keeps what it recorded by key, as the real one does. */
class Server {
  answers = new Map<string, AllMade>();
  log: string[] = [];
  script: (ApiError | "lost answer" | null)[] = [];
  #seq = 0;

  post = async (job: Job): Promise<AllMade> => {
    const step = this.script.shift() ?? null;
    if (step instanceof ApiError) throw step;
    const known = this.answers.get(job.key);
    if (known) return known;
    const items = "undo" in job.body ? job.body.undo.decisions.map((seq) => `undo ${seq}`) : job.items;
    this.log.push(...items);
    const answer = { made: items.map((item) => made(++this.#seq, item)) };
    this.answers.set(job.key, answer);
    if (step === "lost answer") throw away;
    return answer;
  };
}

let server: Server;
let storage: FakeStorage;
const waits: number[] = [];

function box(tab = "t"): Outbox {
  const made = new Outbox({ post: server.post, storage, tab, wait: async (ms) => void waits.push(ms) });
  made.open("anna @ shop");
  return made;
}

const about = (id: string) => ({ label: id, where, items: [id] });

beforeEach(() => {
  server = new Server();
  storage = new FakeStorage();
  waits.length = 0;
});

test("keeps the order, one request at a time", async () => {
  const outbox = box();
  const puts = ["a", "b", "c"].map((id) => outbox.put(decide(id), about(id)));
  expect(outbox.pending).toBe(3);
  await Promise.all(puts.map((put) => put.made));
  expect(server.log).toEqual(["a", "b", "c"]);
  expect(outbox.pending).toBe(0);
  expect(storage.length).toBe(0);
});

test("a lost server, and a lost answer, are tried again with the same key: exactly one event", async () => {
  server.script = [away, away, "lost answer", null];
  const outbox = box();
  const states: string[] = [];
  outbox.on("change", () => states.push(outbox.connection));
  const [one] = await outbox.put(decide("a"), about("a")).made;
  expect(one?.item).toBe("a");
  expect(server.log).toEqual(["a"]);
  expect(waits).toEqual([250, 500, 1000]);
  expect(states).toContain("away");
  expect(outbox.connection).toBe("up");
});

test("what is unsent at a reload is sent by the next page, in its name, once", async () => {
  server.post = () => new Promise(() => undefined);
  const first = box("old");
  void first.put(decide("a"), about("a"));
  void first.put(decide("b"), about("b"));
  await quiet();
  expect(storage.length).toBe(2);

  server = new Server();
  const tabs: string[] = [];
  const { post } = server;
  server.post = (job) => {
    if ("decide" in job.body) tabs.push(job.body.decide.tab);
    return post(job);
  };
  const second = box("new");
  expect(second.pending).toBe(2);
  await second.settled("b");
  expect(server.log).toEqual(["a", "b"]);
  expect(tabs).toEqual(["new", "new"]);
  expect(storage.length).toBe(0);
});

test("what another person left is not sent", () => {
  storage.setItem(
    "hyla.unsent.x",
    JSON.stringify({ owner: "ben @ shop", key: "x", at: 1, body: decide("a"), items: ["a"] }),
  );
  expect(box().pending).toBe(0);
  expect(storage.length).toBe(1);
});

test("a refusal reaches the caller with what holds now, and the next request goes on", async () => {
  const stale = { error: { code: "stale", message: "changed", hint: "" }, item: null, who: "Ben", at: "" };
  server.script = [new ApiError(409, "stale", "changed", "", stale)];
  const outbox = box();
  const first = outbox.put(decide("a"), about("a"));
  const second = outbox.put(decide("b"), about("b"));
  await expect(first.made).rejects.toMatchObject({ status: 409, stale: { who: "Ben" } });
  await second.made;
  expect(server.log).toEqual(["b"]);
});

test("a server that fails in itself is asked three times, then the others get their turn", async () => {
  const fault = new ApiError(500, "internal", "fault");
  server.script = [fault, fault, fault];
  const outbox = box();
  const first = outbox.put(decide("a"), about("a"));
  await expect(first.made).rejects.toBe(fault);
  await outbox.put(decide("b"), about("b")).made;
  expect(server.log).toEqual(["b"]);
});

test("without a login it waits, and goes on after one", async () => {
  server.script = [new ApiError(401, "session", "who?")];
  const outbox = box();
  const put = outbox.put(decide("a"), about("a"));
  await quiet();
  expect(outbox.connection).toBe("locked");
  expect(outbox.pending).toBe(1);
  outbox.wake();
  await put.made;
  expect(server.log).toEqual(["a"]);
  expect(outbox.connection).toBe("up");
});

test("an undo queued behind its decision names its numbers, the last first", async () => {
  const outbox = box();
  const put = outbox.put(decide("a", "b"), { label: "two", where, items: ["a", "b"] });
  const undo = outbox.put({ undo: { decisions: [], tab: "t" } }, { ...about("a"), of: put.key });
  await undo.made;
  expect(server.log).toEqual(["a", "b", "undo 2", "undo 1"]);
});

test("an undo of what was refused is refused too, and nothing is sent for it", async () => {
  server.script = [new ApiError(409, "taken", "no")];
  const outbox = box();
  const put = outbox.put(decide("a"), about("a"));
  const undo = outbox.put({ undo: { decisions: [], tab: "t" } }, { ...about("a"), of: put.key });
  await expect(put.made).rejects.toMatchObject({ code: "taken" });
  await expect(undo.made).rejects.toMatchObject({ code: "gone" });
  expect(server.log).toEqual([]);
});

test("a full storage does not stop a decision", async () => {
  storage.setItem = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  await box().put(decide("a"), about("a")).made;
  expect(server.log).toEqual(["a"]);
});

test("settled waits for the item named, and for nothing else", async () => {
  const outbox = box();
  let done = false;
  void outbox.put(decide("a"), about("a"));
  await outbox.settled("z");
  void outbox.settled("a").then(() => (done = true));
  expect(done).toBe(false);
  await quiet();
  expect(done).toBe(true);
  expect(outbox.holds("a")).toBe(false);
});
