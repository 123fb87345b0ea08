/** Pages of crops of one class, or of one name: what is shown, what is marked as wrong, and what confirming a page decides. */
import type { Cell, Decide, Grid, Made, TakeGrid } from "./api/types";
import { said as written, type Group, type To } from "./names";

export const PAGE = 48;
/** Faster than this for each crop, and nobody has looked. */
export const HASTE_MS = 80;

export type Ending = "repair" | "reject";

export const keyOf = (cell: Cell): string => `${cell.annotation}/${cell.row}`;

/**
 * Say what confirming a page decides: unmarked labels are accepted, marked ones go to repair or are rejected. What is decided about
 * an item names the annotation that was seen, and only rejecting changes it: so accepting comes first.
 *
 * @param ms active time on the page; every crop has an equal part of it
 */
export function decisionsOf(cells: readonly Cell[], marked: ReadonlySet<string>, ending: Ending, ms: number): Decide[] {
  const decisions: Decide[] = [];
  let counted = 0;
  const until = (n: number) => Math.round((ms * n) / cells.length);
  for (const item of new Set(cells.map((cell) => cell.item))) {
    const own = cells.filter((cell) => cell.item === item);
    const wrong = own.filter((cell) => marked.has(keyOf(cell)));
    const right = own.filter((cell) => !marked.has(keyOf(cell)));
    for (const [action, part] of [["accept", right] as const, [ending, wrong] as const]) {
      if (part.length === 0) continue;
      const active_ms = until(counted + part.length) - until(counted);
      counted += part.length;
      const rows = part.map((cell) => cell.row).sort((a, b) => a - b);
      decisions.push({ item, action, annotation: part[0]!.annotation, rows, active_ms });
    }
  }
  return decisions;
}

/** Say what calling crops something else decides: one edit of each item, in which these labels are answered. */
export function renamesOf(cells: readonly Cell[], to: To, ms: number): Decide[] {
  const until = (n: number) => Math.round((ms * n) / cells.length);
  let counted = 0;
  return [...new Set(cells.map((cell) => cell.item))].map((item) => {
    const own = cells.filter((cell) => cell.item === item);
    const rows = own.map((cell) => cell.row).sort((a, b) => a - b);
    const active_ms = until(counted + own.length) - until(counted);
    counted += own.length;
    const changes = { rename: Object.fromEntries(rows.map((row) => [row, { name: to.name, class: to.class }])) };
    return { item, action: "edit", annotation: own[0]!.annotation, rows, changes, done: false, active_ms };
  });
}

/** What pages need of the page that shows them. */
export interface GridSource {
  grid(take: Omit<TakeGrid, "tab">): Promise<Grid>;
  send(decisions: Decide[], label: string): Promise<Made[]>;
  /** Fetch and decode a picture that will be wanted soon. */
  ahead(url: string): void;
  onchange(): unknown;
}

export class Pages {
  /** Crops on the screen. */
  cells: readonly Cell[] = [];
  /** Crops of the next page. */
  next: readonly Cell[] = [];
  /** Labels of the class that wait, as far as the server knew. */
  waiting = 0;
  loading = true;

  #marked = new Set<string>();
  #sent = new Set<string>();
  #seen = new Set<string>();
  #broken = new Set<string>();
  #filling: Promise<void> | null = null;
  #again = false;
  /** The last renaming that is on its way: what is decided next must name the labels that it leaves. */
  #renaming: Promise<unknown> | null = null;
  /** Labels that hold of an item since a renaming. */
  #holds = new Map<string, number>();

  constructor(
    readonly group: Group,
    private readonly source: GridSource,
    readonly doubtful = false,
  ) {}

  isMarked(cell: Cell): boolean {
    return this.#marked.has(keyOf(cell));
  }

  /** Marked crops of this page. */
  get marked(): readonly Cell[] {
    return this.judged.filter((cell) => this.isMarked(cell));
  }

  mark(cell: Cell): void {
    const key = keyOf(cell);
    if (!this.#seen.has(key)) return;
    if (!this.#marked.delete(key)) this.#marked.add(key);
    this.source.onchange();
  }

  /** The picture of a crop is on the screen. */
  see(cell: Cell): void {
    const key = keyOf(cell);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.source.onchange();
  }

  /** The picture of a crop cannot be shown: it is not offered again. */
  broken(cell: Cell): void {
    this.#broken.add(keyOf(cell));
    this.source.onchange();
  }

  isBroken(cell: Cell): boolean {
    return this.#broken.has(keyOf(cell));
  }

  /** Crops that confirming this page decides about: those whose picture was on the screen. The others come again. */
  get judged(): readonly Cell[] {
    return this.cells.filter((cell) => this.#seen.has(keyOf(cell)));
  }

  /** Begin, or begin anew after an undo: the page that was taken back comes first again, with its marks. */
  async open(): Promise<void> {
    this.cells = [];
    this.next = [];
    this.#holds.clear();
    this.loading = true;
    this.source.onchange();
    await this.#fill();
  }

  /** Decide about this page and show the next one; fails if the server refuses, and then shows the page again. */
  async confirm(ending: Ending, ms: number): Promise<void> {
    if (this.#renaming) await this.#renaming;
    const cells = this.judged;
    const wrong = cells.filter((cell) => this.isMarked(cell));
    const decisions = decisionsOf(cells, this.#marked, ending, ms);
    // Rows of an item are counted anew when some of them are rejected, so its other crops come again later.
    const changed = new Set(ending === "reject" ? wrong.map((cell) => cell.item) : []);
    this.cells = this.next.filter((cell) => !changed.has(cell.item));
    this.next = [];
    this.waiting = Math.max(0, this.waiting - cells.length);
    for (const cell of cells) this.#sent.add(keyOf(cell));
    this.loading = this.cells.length === 0;
    this.source.onchange();
    try {
      if (decisions.length)
        await this.source.send(decisions, said(written(this.group), cells.length, wrong.length, ending));
    } finally {
      for (const cell of cells) this.#sent.delete(keyOf(cell));
      await this.#fill();
    }
  }

  /** Call crops of this page something else: they leave it at once, all others stay. Fails if the server refuses. */
  rename(cells: readonly Cell[], to: To, ms: number): Promise<void> {
    const gone = new Set(cells.map(keyOf));
    this.cells = this.cells.filter((cell) => !gone.has(keyOf(cell)));
    this.waiting = Math.max(0, this.waiting - cells.length);
    for (const key of gone) {
      this.#sent.add(key);
      this.#marked.delete(key);
    }
    this.source.onchange();
    const before = this.#renaming;
    const sent = (async () => {
      await before;
      const now = cells.map((cell) => ({ ...cell, annotation: this.#holds.get(cell.item) ?? cell.annotation }));
      try {
        const made = await this.source.send(renamesOf(now, to, ms), `Named ${cells.length} × ${to.name || "unknown"}`);
        for (const one of made) this.#follow(one.item, one.state.annotation);
      } finally {
        for (const key of gone) this.#sent.delete(key);
      }
    })();
    const over = sent.catch(() => undefined); // told to who asked for it
    this.#renaming = over;
    void over.then(() => {
      if (this.#renaming === over) this.#renaming = null;
    });
    return sent.finally(() => this.#fill());
  }

  // Renaming leaves rows where they are, so that what is on the page stays under another number.
  #follow(item: string, annotation: number): void {
    this.#holds.set(item, annotation);
    const moved = (cell: Cell): Cell => {
      if (cell.item !== item) return cell;
      const now = { ...cell, annotation };
      for (const set of [this.#marked, this.#seen, this.#broken]) if (set.has(keyOf(cell))) set.add(keyOf(now));
      return now;
    };
    this.cells = this.cells.map(moved);
    this.next = this.next.map(moved);
  }

  // Two pages are asked for at once: what is on the screen keeps its place, the rest is the next page.
  #fill(): Promise<void> {
    if (this.#filling) this.#again = true;
    this.#filling ??= this.#take().finally(() => {
      this.#filling = null;
      if (this.#again) {
        this.#again = false;
        return this.#fill();
      }
    });
    return this.#filling;
  }

  async #take(): Promise<void> {
    try {
      const { class: of, name } = this.group;
      const named = name === null ? {} : { name, doubtful: this.doubtful };
      const grid = await this.source.grid({ class: of, ...named, n: 2 * PAGE });
      const found = grid.cells.filter((cell) => !this.#sent.has(keyOf(cell)) && !this.#broken.has(keyOf(cell)));
      const known = new Set(found.map(keyOf));
      const kept = this.cells.filter((cell) => known.has(keyOf(cell)) || this.isBroken(cell));
      const here = new Set(kept.map(keyOf));
      const rest = found.filter((cell) => !here.has(keyOf(cell)));
      // A page on which somebody may be looking is not filled up.
      const first = kept.length ? kept : rest.splice(0, PAGE);
      this.cells = first;
      this.next = rest.slice(0, PAGE);
      this.waiting = grid.waiting - this.#sent.size;
      for (const cell of [...first, ...this.next]) this.source.ahead(cell.crop);
    } finally {
      this.loading = false;
      this.source.onchange();
    }
  }
}

function said(name: string, n: number, wrong: number, ending: Ending): string {
  const right = `Accepted ${n - wrong} × ${name}`;
  if (wrong === 0) return right;
  return `${right}, ${wrong} ${ending === "repair" ? "to repair" : "removed"}`;
}
