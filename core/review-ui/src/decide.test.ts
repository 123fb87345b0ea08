import { beforeEach, expect, test, vi } from "vitest";
import { local, quiet, session } from "./testing";
import type { Decisions, Undo } from "./api/types";

/** A server that numbers what it is sent, and knows what undoes what. */
function serve() {
  let seq = 0;
  const log: string[] = [];
  const keys = new Map<string, unknown>();
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    const key = (init.headers as Record<string, string>)["Idempotency-Key"]!;
    const body = JSON.parse(String(init.body)) as Decisions | Undo;
    if (!keys.has(key)) {
      const names = body.decisions.map((one) =>
        typeof one === "number" ? `undo ${one}` : `${one.action} ${one.item}`,
      );
      log.push(...names);
      const state = { annotation: 1, open: [], lane: "", outcome: "accept", decision: 1 };
      keys.set(key, { made: names.map((item) => ({ seq: ++seq, item, state })) });
    }
    expect(url).toBe(
      "decisions" in body && typeof body.decisions[0] === "number" ? "/api/v1/undo" : "/api/v1/decisions",
    );
    return new Response(JSON.stringify(keys.get(key)));
  });
  return log;
}

const accept = (item: string) => ({ item, action: "accept" as const, annotation: 1 });
const about = { label: "Accepted", where: { screen: "item" as const, id: "a" } };

let log: string[];

/** Load the page anew: modules forget, storages do not. */
async function load() {
  vi.resetModules();
  const decide = await import("./decide");
  const { history } = await import("./history");
  return { ...decide, history };
}

beforeEach(() => {
  local.clear();
  session.clear();
  log = serve();
});

test("undo and redo of what was sent, from the first on", async () => {
  const { send, resume, history } = await load();
  resume("anna");
  void send([accept("a"), accept("b")], about);
  await history.undo(); // before the decision was acknowledged
  await history.redo();
  await history.undo();
  expect(log).toEqual(["accept a", "accept b", "undo 2", "undo 1", "undo 4", "undo 3", "undo 6", "undo 5"]);
});

test("what was sent can be undone after a reload, by the same person only", async () => {
  const first = await load();
  first.resume("anna");
  await first.send([accept("a")], about);
  await first.send([accept("b"), accept("c")], about);
  await first.history.undo();
  const second = await load();
  second.resume("anna");
  expect(second.history.steps.map((step) => step.label)).toEqual(["Accepted"]);
  await second.history.undo();
  expect(log.slice(5)).toEqual(["undo 1"]);
  const third = await load();
  third.resume("ben");
  expect(third.history.canUndo).toBe(false);
});

test("a refused decision is no step", async () => {
  const { send, resume, history } = await load();
  resume("anna");
  vi.stubGlobal("fetch", async () =>
    Response.json({ error: { code: "stale", message: "changed" }, item: null }, { status: 409 }),
  );
  const sending = send([accept("a")], about);
  expect(history.canUndo).toBe(true);
  await expect(sending).rejects.toMatchObject({ status: 409, stale: { item: null } });
  expect(history.canUndo).toBe(false);
});

test("tells what the server acknowledged", async () => {
  const { send, resume, onmade } = await load();
  resume("anna");
  const seen: string[] = [];
  onmade((made) => seen.push(...made.map((one) => one.item)));
  await send([accept("a")], about);
  await quiet();
  expect(seen).toEqual(["accept a"]);
});

test("what a reload left unsent is sent by the next page, and can be undone there", async () => {
  const first = await load();
  first.resume("anna");
  const answers = fetch;
  vi.stubGlobal("fetch", () => new Promise(() => undefined));
  void first.send([accept("a")], { ...about, label: "left" });
  void first.send([accept("b")], { ...about, label: "left and undone" });
  void first.history.undo();
  await quiet();
  vi.stubGlobal("fetch", answers);
  const second = await load();
  const left = second.resume("anna");
  expect(left).toHaveLength(3);
  expect(second.history.steps.map((step) => step.label)).toEqual(["left"]);
  await second.history.undo();
  expect(log).toEqual(["accept a", "accept b", "undo 2", "undo 1"]);
});
