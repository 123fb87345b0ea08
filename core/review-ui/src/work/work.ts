/**
 * The labels of one item while somebody works on them.
 *
 * A label has a key that stays the same while rows of the annotation are renumbered. `set`, `add`, `drop` and `setContext` are one
 * step of the history each; `changes()` says what they come to against the annotation that holds; `rebase()` follows a decision
 * that was made. Decisions may queue: `seal()` fixes what is sent, and what is done since then is kept on top.
 */
import type { Changes, Item, ItemState, LabelRow } from "../api/types";
import { history, type Step } from "../history";
import type { Where } from "../router";
import { differs, sameValue, tidy } from "./labels";
import { changesBetween, merged, type Sealed } from "./sealed";
import { wordsFor } from "./words";

export type { Sealed };
export type Key = number;

/** What was answered about a label that was open. */
export type Mark = "accepted" | "wrong" | "unsure";

/** One label. Entries are never changed in place: a label that changed is another object. */
export interface Entry {
  readonly key: Key;
  /** Row of the label in the annotation that holds, null for one that was added since. */
  readonly row: number | null;
  readonly label: LabelRow;
  /** A person still has to answer. */
  readonly open: boolean;
  readonly mark: Mark | null;
}

/** What a Work begins with: an Item, or as much of one. */
export type WorkItem = Pick<Item, "id" | "view" | "labels" | "state" | "context">;

export interface WorkOptions {
  /** Where a step happened; by default the screen of the item's view. */
  where?: Where;
  /** Takes the steps; by default the page's history. */
  push?: (step: Step) => void;
}

interface Slot {
  entry: Entry;
  gone: boolean;
}

export class Work {
  readonly id: string;
  /** The state after the last decision that the server confirmed. */
  state: ItemState;

  #slots: Slot[] = [];
  #at = new Map<Key, Slot>();
  #base: Sealed; // the annotation that holds
  #sent: Sealed; // the annotation as it will be once all that was sealed is made
  #context: Record<string, unknown>;
  #next = 1;
  #where: Where;
  #push: (step: Step) => void;
  #listeners = new Set<(keys: readonly Key[]) => void>();
  #live: Entry[] | null = null;
  #changed: Key[] | null = null;
  #last: Sealed | null = null;
  #gesture: { key: Key; gesture: number | undefined; after: LabelRow } | null = null;

  constructor(item: WorkItem, options: WorkOptions = {}) {
    this.id = item.id;
    this.state = item.state;
    this.#context = item.context;
    this.#where = options.where ?? { screen: screenOf(item.view), id: item.id };
    this.#push = options.push ?? ((step) => history.push(step));
    const open = new Set(item.state.open);
    item.labels.forEach((label, row) =>
      this.#place({ key: this.#next++, row, label, open: open.has(row), mark: null }),
    );
    this.#base = this.#sent = this.#now();
  }

  /** Number of the annotation that `changes()` is against. */
  get annotation(): number {
    return this.state.annotation;
  }

  /** The labels as they stand: those of the annotation in their order, then those added. */
  entries(): readonly Entry[] {
    return (this.#live ??= this.#slots.filter((slot) => !slot.gone).map((slot) => slot.entry));
  }

  get(key: Key): Entry | undefined {
    const slot = this.#at.get(key);
    return slot && !slot.gone ? slot.entry : undefined;
  }

  /** The labels of the annotation that holds, by row. */
  base(): LabelRow[] {
    return this.#base.labels.map((held) => held.label);
  }

  /** The row of a label in that annotation, also of one that is dropped here; null if it has none. */
  rowOf(key: Key): number | null {
    return this.#at.get(key)?.entry.row ?? null;
  }

  /** The attributes of the image as a whole. */
  get context(): Readonly<Record<string, unknown>> {
    return this.#context;
  }

  /**
   * Replace a label; what a person set has score 1 and no evidence. Nothing happens if it is the same as before.
   * Calls in a row with the same `gesture` are one step.
   */
  set(key: Key, label: LabelRow, gesture?: number): void {
    const before = this.get(key)?.label;
    const after = tidy(label);
    if (!before || !differs(before, after)) return;
    const running = this.#gesture;
    if (gesture !== undefined && running?.key === key && running.gesture === gesture) {
      running.after = after;
      return this.#relabel(key, after);
    }
    const step = { key, gesture, after };
    this.#step(
      wordsFor(before, after),
      () => this.#relabel(key, step.after),
      () => this.#relabel(key, before),
    );
    this.#gesture = step;
  }

  /** Add a label; it is nobody's question, so it is not open. */
  add(label: LabelRow): Key {
    const key = this.#next++;
    this.#place({ key, row: null, label: tidy(label), open: false, mark: null }, true);
    this.#step(
      wordsFor(null, label),
      () => this.#show(key, true),
      () => this.#show(key, false),
    );
    return key;
  }

  drop(key: Key): void {
    const entry = this.get(key);
    if (!entry) return;
    this.#step(
      wordsFor(entry.label, null),
      () => this.#show(key, false),
      () => this.#show(key, true),
    );
  }

  /** Set an attribute of the image as a whole; undefined takes it away. */
  setContext(name: string, value: unknown): void {
    const before = this.#context;
    if (sameValue(before[name], value)) return;
    const after = { ...before, [name]: value };
    if (value === undefined || value === null) delete after[name];
    this.#step(
      `Set ${name}`,
      () => this.#swapContext(after),
      () => this.#swapContext(before),
    );
  }

  /** Some gesture is not sealed yet. */
  get dirty(): boolean {
    if (this.changedKeys().length > 0 || !sameValue(this.#context, this.#sent.context)) return true;
    return this.#sent.labels.some(({ key }) => this.#at.get(key)!.gone);
  }

  /** Labels that were added or changed since they were sealed; without those dropped. */
  changedKeys(): readonly Key[] {
    if (this.#changed) return this.#changed;
    const sent = new Map(this.#sent.labels.map(({ key, label }) => [key, label]));
    const changed = this.entries().filter(({ key, label }) => !sent.has(key) || differs(sent.get(key)!, label));
    return (this.#changed = changed.map((entry) => entry.key));
  }

  /** Fix the labels as they stand, to be sent; from here on only what comes later is dirty. */
  seal(): Sealed {
    this.#sent = this.#now();
    this.#gesture = null;
    this.#tell([]);
    return this.#sent;
  }

  /** Count all that is not made as not sent, after the server refused it. */
  unseal(): void {
    this.#sent = this.#base;
    this.#tell([]);
  }

  /**
   * Return what turns the annotation that holds into `target`, as little as says it; null for nothing. Without a target, into the
   * labels as they stand.
   */
  changes(target: Sealed = this.#now()): Changes | null {
    this.#last = target;
    return changesBetween(this.#base, target);
  }

  /** Mark labels as answered. This is no step: the decision that says so is. */
  answered(keys: Iterable<Key>, mark: Mark = "accepted"): void {
    this.#update(keys, (entry) => (entry.open || entry.mark !== mark ? { ...entry, open: false, mark } : entry));
  }

  /** Take answers back that did not count. */
  unanswered(keys: Iterable<Key>): void {
    const rows = new Set(this.state.open);
    this.#update(keys, (entry) => ({ ...entry, open: entry.row !== null && rows.has(entry.row), mark: null }));
  }

  /** Take labels away since a decision does so (nothing is there). This is no step: the decision is. */
  remove(keys: Iterable<Key>): void {
    for (const key of keys) this.#show(key, false);
  }

  /**
   * Follow a decision that was made: rows kept, in their order with what was put in place, then those added.
   * `target` is what was sent, by default what `changes()` was asked for last; null if the decision only answered.
   */
  rebase(state: ItemState, target: Sealed | null = this.#last): void {
    const moved = state.annotation !== this.state.annotation;
    this.state = state;
    if (moved && target) {
      const base = merged(this.#base, target);
      if (this.#sent === this.#base || this.#sent === target) this.#sent = base;
      this.#base = base;
    }
    this.#last = this.#gesture = null;
    const rows = new Map(this.#base.labels.map(({ key }, row) => [key, row]));
    const open = new Set(state.open);
    const order = (slot: Slot) => rows.get(slot.entry.key) ?? Infinity;
    this.#slots.sort((a, b) => order(a) - order(b) || a.entry.key - b.entry.key);
    const told: Key[] = [];
    for (const slot of this.#slots) {
      const entry = slot.entry;
      const row = rows.get(entry.key) ?? null;
      // What was answered since the decision left stays answered.
      const still = row !== null && open.has(row) && entry.mark === null;
      if (row === entry.row && still === entry.open) continue;
      slot.entry = { ...entry, row, open: still };
      told.push(entry.key);
    }
    this.#tell(told);
  }

  /** Call `callback` with the keys that changed, came or went; return what ends that. */
  onchange(callback: (keys: readonly Key[]) => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  #now(): Sealed {
    return { labels: this.entries().map(({ key, label }) => ({ key, label })), context: this.#context };
  }

  #step(label: string, redo: () => void, undo: () => void): void {
    const ended = (run: () => void) => () => {
      this.#gesture = null;
      run();
    };
    ended(redo)();
    this.#push({ label, where: this.#where, undo: ended(undo), redo: ended(redo) });
  }

  #place(entry: Entry, gone = false): void {
    const slot = { entry, gone };
    this.#slots.push(slot);
    this.#at.set(entry.key, slot);
  }

  #show(key: Key, shown: boolean): void {
    const slot = this.#at.get(key);
    if (!slot || slot.gone === !shown) return;
    slot.gone = !shown;
    this.#tell([key]);
  }

  #relabel(key: Key, label: LabelRow): void {
    this.#update([key], (entry) => ({ ...entry, label }));
  }

  #swapContext(context: Record<string, unknown>): void {
    this.#context = context;
    this.#tell([]);
  }

  #update(keys: Iterable<Key>, change: (entry: Entry) => Entry): void {
    const told = [...keys].filter((key) => {
      const slot = this.#at.get(key);
      const entry = slot && change(slot.entry);
      if (!slot || !entry || entry === slot.entry) return false;
      slot.entry = entry;
      return true;
    });
    if (told.length) this.#tell(told);
  }

  #tell(keys: readonly Key[]): void {
    this.#live = this.#changed = null;
    for (const listener of [...this.#listeners]) listener(keys);
  }
}

function screenOf(view: Item["view"]): Where["screen"] {
  return view === "map" || view === "image" ? "item" : view;
}
