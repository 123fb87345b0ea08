import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { quiet } from "./testing";
import type { Cell, Decide, Made, TakeGrid } from "./api/types";
import { decisionsOf, keyOf, PAGE, Pages, renamesOf, type GridSource } from "./grid";

function cell(annotation: number, row: number): Cell {
  const name = `item ${annotation}`;
  return {
    item: name,
    name,
    annotation,
    row,
    score: 0.9,
    called: "",
    title: "",
    reason: "",
    crop: `/${annotation}/${row}`,
    box: [0, 0, 1, 1],
  };
}

const cells = fc
  .uniqueArray(fc.tuple(fc.nat(9), fc.nat(9)), { minLength: 1, maxLength: 48, selector: (pair) => pair.join() })
  .map((pairs) => pairs.map(([annotation, row]) => cell(annotation, row)));

test("every crop is decided once, marked or not, and the time is all there", () => {
  const ending = fc.constantFrom("repair" as const, "reject" as const);
  fc.assert(
    fc.property(cells, fc.func(fc.boolean()), ending, fc.nat(100_000), (page, isMarked, ending, ms) => {
      const marked = new Set(page.filter((one) => isMarked(keyOf(one))).map(keyOf));
      const decisions = decisionsOf(page, marked, ending, ms);
      const told = decisions.flatMap((one) => (one.rows ?? []).map((row) => `${one.annotation}/${row} ${one.action}`));
      const meant = page.map((one) => `${keyOf(one)} ${marked.has(keyOf(one)) ? ending : "accept"}`);
      expect(told.sort()).toEqual(meant.sort());
      expect(decisions.reduce((sum, one) => sum + (one.active_ms ?? 0), 0)).toBe(ms);
      // What changes the rows of an item is the last thing said of it.
      const last = new Map(decisions.map((one, at) => [one.item, at]));
      decisions.forEach((one, at) => one.action === "accept" || expect(last.get(one.item)).toBe(at));
    }),
  );
});

/** A server with labels of one class; like the real one it gives a tab the same page until that is decided. */
class Server implements GridSource {
  open: Cell[];
  sent: Decide[][] = [];
  fetched: string[] = [];
  release: (() => void) | null = null;
  refuse: Error | null = null;

  constructor(n: number) {
    this.open = Array.from({ length: n }, (_, i) => cell(Math.floor(i / 3), i % 3));
  }
  async grid(take: Omit<TakeGrid, "tab">) {
    return { class: take.class, cells: this.open.slice(0, take.n), waiting: this.open.length, seconds: 600 };
  }
  async send(decisions: Decide[]): Promise<Made[]> {
    this.sent.push(decisions);
    if (this.release) await new Promise<void>((resolve) => (this.release = resolve));
    if (this.refuse) throw this.refuse;
    const done = new Set(decisions.flatMap((one) => (one.rows ?? []).map((row) => `${one.annotation}/${row}`)));
    this.open = this.open.filter((one) => !done.has(keyOf(one)));
    return decisions.filter((one) => one.action === "edit").map((one) => this.renamed(one));
  }
  /** A renaming leaves other labels, with the same rows. */
  renamed({ item, annotation }: Decide): Made {
    const now = annotation + 1000;
    this.open = this.open.map((one) => (one.item === item ? { ...one, annotation: now } : one));
    return {
      seq: this.sent.length,
      item,
      state: { annotation: now, open: [], lane: "review", outcome: null, decision: 1 },
    };
  }
  ahead(url: string) {
    this.fetched.push(url);
  }
  /** Pictures appear at once. */
  shows = true;
  onchange = (): unknown => undefined;
}

let server: Server;
let pages: Pages;

beforeEach(async () => {
  server = new Server(120);
  pages = new Pages({ class: "bottle", name: null }, server);
  server.onchange = () => pages.cells.forEach((cell) => server.shows && pages.see(cell));
  await pages.open();
});

const keys = (list: readonly Cell[]) => list.map(keyOf);

test("shows a page and fetches the next one", () => {
  expect(pages.cells).toHaveLength(PAGE);
  expect(pages.next).toHaveLength(PAGE);
  expect(server.fetched).toHaveLength(2 * PAGE);
  expect(pages.loading).toBe(false);
});

test("the next page is there at once, before the server has answered", async () => {
  server.release = () => undefined;
  const next = keys(pages.next);
  const done = pages.confirm("repair", 5000);
  expect(keys(pages.cells)).toEqual(next);
  await quiet();
  server.release();
  server.release = null;
  await done;
  expect(keys(pages.cells)).toEqual(next);
  expect(pages.next).toHaveLength(120 - 2 * PAGE);
});

test("two pages confirmed quickly show no crop twice", async () => {
  const seen = [...keys(pages.cells)];
  server.release = () => undefined;
  const first = pages.confirm("repair", 1000);
  seen.push(...keys(pages.cells));
  const release = server.release;
  server.release = null;
  await pages.confirm("repair", 1000); // answered before the first
  const third = keys(pages.cells);
  release();
  await first;
  expect(keys(pages.cells)).toEqual(third);
  seen.push(...third);
  expect(new Set(seen).size).toBe(seen.length);
});

test("marked crops go to repair, the others are accepted", async () => {
  pages.mark(pages.cells[1]!);
  pages.mark(pages.cells[2]!);
  pages.mark(pages.cells[2]!);
  expect(keys(pages.marked)).toEqual(["0/1"]);
  await pages.confirm("repair", 480);
  const repairs = server.sent[0]!.filter((one) => one.action === "repair");
  expect(repairs).toMatchObject([{ item: "item 0", rows: [1], annotation: 0, active_ms: 10 }]);
  expect(server.open).toHaveLength(120 - PAGE);
});

test("crops of an item of which one was removed leave the next page, since its rows are counted anew", async () => {
  server.open = [cell(7, 0), ...Array.from({ length: 60 }, (_, i) => cell(100 + i, 0)), cell(7, 1)];
  await pages.open();
  expect(keys(pages.next)).toContain("7/1");
  pages.mark(pages.cells[0]!);
  server.release = () => undefined;
  void pages.confirm("reject", 1000);
  expect(keys(pages.cells)).not.toContain("7/1");
});

test("a page that was taken back comes first again, with its marks", async () => {
  const page = keys(pages.cells);
  const before = [...server.open];
  pages.mark(pages.cells[3]!);
  await pages.confirm("repair", 1000);
  server.open = before;
  await pages.open();
  expect(keys(pages.cells)).toEqual(page);
  expect(keys(pages.marked)).toEqual([page[3]]);
});

test("a refused page is not lost", async () => {
  server.refuse = new Error("409");
  const page = keys(pages.cells);
  await expect(pages.confirm("repair", 1000)).rejects.toThrow("409");
  expect(server.open).toHaveLength(120);
  await pages.open();
  expect(keys(pages.cells)).toEqual(page);
});

test("crops whose picture has not appeared are not decided about, and come again", async () => {
  server.shows = false;
  server.open = server.open.map((one) => cell(one.annotation + 100, one.row));
  await pages.open();
  const [first, second] = pages.cells;
  pages.see(second!);
  pages.mark(first!);
  expect(pages.marked).toEqual([]);
  await pages.confirm("repair", 1000);
  expect(server.sent).toEqual([[{ item: "item 100", action: "accept", annotation: 100, rows: [1], active_ms: 1000 }]]);
  await pages.open();
  expect(pages.cells[0]).toEqual(first);
});

test("a crop that cannot be shown is neither accepted nor offered again", async () => {
  server.shows = false;
  server.open = server.open.map((one) => cell(one.annotation + 100, one.row));
  await pages.open();
  const [broken, ...others] = pages.cells;
  others.forEach((one) => pages.see(one));
  pages.broken(broken!);
  await pages.confirm("repair", 1000);
  const rows = server.sent[0]!.filter((one) => one.item === broken!.item).flatMap((one) => one.rows ?? []);
  expect(rows).toEqual([1, 2]);
  await pages.open();
  expect(keys(pages.cells)).not.toContain(keyOf(broken!));
});

test("at the end nothing is shown, and nothing loads", async () => {
  for (let i = 0; i < 3; i++) await pages.confirm("repair", 1000);
  expect(pages.cells).toHaveLength(0);
  expect(pages.loading).toBe(false);
  expect(pages.waiting).toBe(0);
});

const TO = { name: "Cola", class: "drink" };

test("renaming is one edit of each item that answers these rows, and the time is all there", () => {
  fc.assert(
    fc.property(cells, fc.nat(100_000), (page, ms) => {
      const decisions = renamesOf(page, TO, ms);
      expect(new Set(decisions.map((one) => one.item)).size).toBe(decisions.length);
      const told = decisions.flatMap((one) => (one.rows ?? []).map((row) => `${one.annotation}/${row}`));
      expect(told.sort()).toEqual(page.map(keyOf).sort());
      for (const one of decisions) {
        expect(Object.keys(one.changes?.rename ?? {}).map(Number)).toEqual(one.rows);
        expect(one).toMatchObject({ action: "edit", done: false });
      }
      expect(decisions.reduce((sum, one) => sum + (one.active_ms ?? 0), 0)).toBe(ms);
    }),
  );
});

test("renamed crops leave the page at once; others of their items stay, with their marks, under the new number", async () => {
  const [first, second, third] = pages.cells;
  pages.mark(second!);
  server.release = () => undefined;
  const done = pages.rename([first!], TO, 100);
  expect(pages.cells).toHaveLength(PAGE - 1);
  expect(keys(pages.cells)).not.toContain(keyOf(first!));
  await quiet();
  server.release();
  server.release = null;
  await done;
  expect(keys(pages.cells).slice(0, 2)).toEqual(["1000/1", "1000/2"]);
  expect(keys(pages.marked)).toEqual(["1000/1"]);
  expect(pages.judged.map((cell) => cell.row)).toContain(third!.row);
  expect(pages.waiting).toBe(119);
});

test("what is named or confirmed next is about the labels that the renaming before left", async () => {
  const [first, second, third] = pages.cells;
  void pages.rename([first!], TO, 100);
  void pages.rename([second!], TO, 100);
  await pages.confirm("repair", 1000);
  expect(server.sent[0]).toMatchObject([{ item: first!.item, annotation: 0, rows: [0] }]);
  expect(server.sent[1]).toMatchObject([{ item: first!.item, annotation: 1000, rows: [1] }]);
  expect(server.sent[2]!.find((one) => one.item === third!.item)).toMatchObject({ annotation: 2000, rows: [2] });
});

test("a refused renaming brings its crops back, and is told once", async () => {
  server.refuse = new Error("422");
  const crop = pages.cells[4]!;
  await expect(pages.rename([crop], TO, 100)).rejects.toThrow("422");
  server.refuse = null;
  expect([...keys(pages.cells), ...keys(pages.next)]).toContain(keyOf(crop));
  await pages.confirm("repair", 1000);
  expect(server.sent).toHaveLength(2);
});

test("a page of one name asks for it, most doubtful first if so wished", async () => {
  const asked: Omit<TakeGrid, "tab">[] = [];
  const grid = server.grid.bind(server);
  server.grid = (take) => (asked.push(take), grid(take));
  await new Pages({ class: "drink", name: "" }, server, true).open();
  await new Pages({ class: "drink", name: null }, server, true).open();
  expect(asked).toEqual([
    { class: "drink", name: "", doubtful: true, n: 2 * PAGE },
    { class: "drink", n: 2 * PAGE },
  ]);
});
